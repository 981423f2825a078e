"""The devices that the page about synthesis is about."""

from dataclasses import dataclass, field

from ringwalker.config import DeviceConfig

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
    clock_mhz=125,
)
"""A small block device: one queue of 64 entries, 8 chains and 8 payload reads of 256 bytes under way."""


@dataclass(frozen=True)
class Case:
    """A device and what it is synthesized for; ``seeds`` of place and route on ``chip``, none without it."""

    name: str
    target: str
    config: DeviceConfig
    seeds: int = 0
    chip: Chip = field(default_factory=Chip)


CASES = (
    Case("block device, 64 bits, small", "ecp5", SMALL, seeds=3),
    Case("block device, 256 bits", "xilinxup", DeviceConfig()),
)
"""What is measured for the page."""
