"""The parameters of the root complex as C++ takes them."""

from ...host import HostParameters
from .abi import PARAMETERS, CParameters

__all__ = ["all_ones", "c_parameters"]


def all_ones(size: int) -> int:
    """What a read of ``size`` bytes gives when nothing answers."""
    return (1 << 8 * size) - 1


def c_parameters(host: HostParameters, clock_mhz: int, seed: int, compare: bool) -> CParameters:
    """``host`` at this clock, with the ``seed`` of all its random choices; ``compare`` is of the engine."""
    values = {name: int(getattr(host, name)) for name in PARAMETERS if hasattr(host, name)}
    values["compare"] = int(compare)
    values["seed"] = seed & all_ones(8)
    values["link_rate"] = round(host.link_bytes_per_cycle * 65536)
    values["msi_first"], values["msi_last"] = host.msi_window
    values["period_ps"] = 1_000_000 // clock_mhz
    # A stall is drawn in every cycle, so with stalls every cycle is simulated.
    values["skip_idle"] = int(host.skip_idle and not any(host.stall_probabilities().values()))
    for name, probability in host.stall_probabilities().items():
        values[f"stall_{name}"] = int(probability * 2**32)
    assert set(values) == set(PARAMETERS), set(values) ^ set(PARAMETERS)
    return CParameters(**values)
