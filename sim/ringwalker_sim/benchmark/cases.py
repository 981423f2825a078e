"""The cases that are measured, and the command that measures each of them again."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from ringwalker.config import DeviceConfig

from ..host.ceiling import Cost, blk_cost
from ..host.link import LINKS, Link

__all__ = ["CHECK", "DIRECTIONS", "FULL", "LARGEST_BATCH", "QUICK", "Case"]

DIRECTIONS = {"blk": ("read", "write")}
"""What can be measured of each function."""

LARGEST_BATCH = 32
"""Requests that share a notification at most, where a ceiling is concerned."""


@dataclass(frozen=True)
class Case:
    """``requests`` of ``size`` bytes, ``depth`` in flight, on a device and a link.

    ``queues`` are in use; the device has ``device_queues`` of ``queue_size`` entries. ``latency_ns`` is what
    the host takes to answer a read. Errors: ``ValueError`` that names the value.
    """

    function: str = "blk"
    direction: str = "read"
    size: int = 4096
    queues: int = 1
    depth: int = 64
    link: str = "gen3x8"
    data_width: int = 256
    clock_mhz: int = 250
    latency_ns: int = 550
    requests: int = 1000
    device_queues: int = 16
    queue_size: int = 256

    def __post_init__(self):
        for name, known in (
            ("function", tuple(DIRECTIONS)),
            ("direction", DIRECTIONS.get(self.function, ())),
            ("link", tuple(LINKS)),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
        if self.queues > self.device_queues:
            raise ValueError(f"queues is {self.queues}; the device has {self.device_queues}")

    @property
    def config(self) -> DeviceConfig:
        """The device."""
        return DeviceConfig(
            function=self.function,
            data_width=self.data_width,
            clock_mhz=self.clock_mhz,
            queues=self.device_queues,
            queue_size=self.queue_size,
        )

    @property
    def pcie(self) -> Link:
        """The link."""
        return LINKS[self.link]

    @property
    def batch(self) -> int:
        """How many requests share a notification in the ceiling."""
        return min(self.depth, LARGEST_BATCH)

    @property
    def cost(self) -> Cost:
        """Bytes on the wire that a request has to cost."""
        return blk_cost(self.pcie, self.direction, self.size, batch=self.batch)

    @property
    def arguments(self) -> list[str]:
        """Options of ``ringwalker bench`` that measure this case."""
        words = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "direction" or value != item.default:
                words += [f"--{item.name.replace('_', '-')}", str(value)]
        return words

    @property
    def key(self) -> dict[str, Any]:
        """What tells its row from others."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def _both(case: Case) -> Iterator[Case]:
    for direction in DIRECTIONS[case.function]:
        yield replace(case, direction=direction)


def _sizes(case: Case) -> Iterator[Case]:
    for size, requests in ((512, 2000), (4096, 1000), (65536, 150)):
        yield from _both(replace(case, size=size, requests=requests))


def _full() -> Iterator[Case]:
    for queues in (1, 16):
        yield from _sizes(Case(queues=queues))
    yield from _both(Case(depth=1, requests=100))
    for latency in (300, 800, 1200, 2000):
        yield from _both(Case(latency_ns=latency))
    yield from _both(Case(link="gen2x4", data_width=64))
    yield from _both(Case(link="gen2x4", data_width=128, clock_mhz=125))
    yield from _both(Case(link="gen3x16", data_width=512))


FULL = tuple(_full())
"""All cases."""

QUICK = (*_sizes(Case()), *_both(Case(depth=1, requests=100)), *_both(Case(latency_ns=1200)))
"""Those of one queue at the usual width: one model to build."""


def _check() -> Iterator[Case]:
    narrow = Case(data_width=64, link="gen2x4", device_queues=4, queue_size=32, depth=8, requests=64)
    yield from _both(narrow)
    yield from _both(replace(narrow, size=512, queues=4))
    yield from _both(replace(narrow, depth=1, requests=8))


CHECK = tuple(_check())
"""Small ones, which every run of the tests measures."""
