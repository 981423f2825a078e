"""Sizes that ring formats and the walking of chains have in common."""

from ...config import DeviceConfig

__all__ = ["HOLD_CYCLES", "IN_ORDER_CHAINS", "LINE_BYTES", "visits_in_flight"]

LINE_BYTES = 64
"""Reads of rings and descriptor tables end at multiples of this: what a host supplies in one piece."""

HOLD_CYCLES = 256
"""How long a batch of used buffers may wait for more of them under load."""

IN_ORDER_CHAINS = 16
"""Chains that one used entry stands for at most, with VIRTIO_F_IN_ORDER: more would come back late."""

_FEWEST, _MOST = 4, 16


def visits_in_flight(config: DeviceConfig) -> int:
    """How many visits are in flight at most. Each is worth one read of each kind that a ring format has."""
    return min(max(_FEWEST, config.queues), _MOST)
