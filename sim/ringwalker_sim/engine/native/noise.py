"""The source behind the device's noise port, as a part of the native engine."""

from ..noise import NoiseSource
from .peripheral import Peripheral

__all__ = ["NoisePeripheral", "NoiseSource"]


class NoisePeripheral(Peripheral):
    """The bytes of a :class:`~..noise.NoiseSource` with the engine's seed, at most a beat a cycle.

    The device gets them in order and without gaps, after a reset too. ``noise_bytes`` counts those it took.
    """
