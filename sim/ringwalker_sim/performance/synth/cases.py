"""The devices that the page about synthesis is about."""

from dataclasses import dataclass, field

from ringwalker.config import DeviceConfig, Identity

from .flow import Chip

__all__ = ["CASES", "SMALL", "Case"]

SMALL = DeviceConfig(
    data_width=64,
    queues=1,
    queue_size=64,
    read_tags=8,
    ring_tags=4,
    chains=8,
    max_payload=256,
    max_read_request=256,
    completion_timeout=1 << 16,
    clock_mhz=125,
    identity=Identity(preset="oasis"),
)
"""A small block device for today's drivers: one queue of 64 entries, 8 chains and 8 payload reads of 256
bytes in flight, and a completion timeout of half a millisecond."""


@dataclass(frozen=True)
class Case:
    """A device, what it is synthesized for, and what it ought to reach.

    ``seeds`` runs of place and route on ``chip``. ``most_luts`` as a whole and ``most_levels`` on the longest
    path between registers are upper bounds; ``chip.freq`` is to be met in all runs. None: no such goal.
    """

    name: str
    target: str
    config: DeviceConfig
    seeds: int = 0
    chip: Chip = field(default_factory=Chip)
    most_luts: int | None = None
    most_levels: int | None = None


SEEDS = 3
"""Runs of place and route."""

CASES = (
    Case("block device, 64 bits, small", "ecp5", SMALL, seeds=SEEDS, most_luts=8000),
    Case("block device, 256 bits", "xilinxup", DeviceConfig(), most_levels=9),
)
"""What is measured for the page."""
