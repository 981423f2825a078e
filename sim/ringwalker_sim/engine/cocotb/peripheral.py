"""What is behind the ports of a device under cocotb: a model of each kind in a module of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ringwalker.config import DeviceConfig

from ...disk_image import DiskImage
from ...workload.job import Job
from ..peripherals import peripherals_of

__all__ = ["Surroundings", "put_behind_ports"]


@dataclass(frozen=True)
class Surroundings:
    """What a model may need to know.

    ``cycle_steps`` is a cycle in steps of the simulator.
    ``stalls`` makes an iterator for each stream by name, or is None.
    """

    job: Job
    config: DeviceConfig
    disk: DiskImage | None
    cycle_steps: int
    stalls: Callable[[str], Iterator[bool] | None] | None


def put_behind_ports(dut: Any, surroundings: Surroundings) -> dict[str, Any]:
    """A model for each kind of peripheral that ``dut`` has and this engine knows, by name.

    The ports of other kinds are left as they are.
    """
    models = {}
    for kind in peripherals_of({handle._name for handle in dut}):
        name = f"{__package__}.{kind.name}"
        if find_spec(name) is not None:
            made = getattr(import_module(name), f"{kind.name.capitalize()}Model")
            models[kind.name] = made.behind(dut, surroundings)
    return models
