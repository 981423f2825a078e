"""What the entropy function is."""

from ...spec.ids import DeviceType
from ..kind import FunctionKind
from .function import EntropyFunction, entropy_ports

__all__ = ["KIND"]

KIND = FunctionKind(
    name="rng",
    device_type=DeviceType.ENTROPY,
    component=EntropyFunction,
    ports=entropy_ports,
    simulation="ringwalker_sim.function.rng:SIMULATION",
)
"""A source of random bytes: one queue, no feature bits, no device configuration."""
