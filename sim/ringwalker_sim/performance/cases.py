"""The cases that are measured, and the command that measures each of them again."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, fields, replace
from typing import Any

from ringwalker.config import FACES, USUAL, DeviceConfig
from ringwalker.spec.features import Feature

from ..errors import ParameterError
from ..guest.transport.faces import driver_face
from ..host.link import LINKS, Link
from .ceiling import RINGS, Cost, blk_cost, net_cost

__all__ = ["CHECK", "DIRECTIONS", "FULL", "LARGEST_BATCH", "QUICK", "Case"]

DIRECTIONS = {"blk": ("read", "write"), "net": ("tx", "rx")}
"""What can be measured of each function."""

LARGEST_BATCH = 32
"""Requests that share a notification at most, where a ceiling is concerned."""

_IN_TURN = 16
"""With more queues than that each has a share of the requests of its own."""

_BY_FUNCTION = {
    "blk": {
        "depth": 64,
        "device_queues": 16,
        "queue_size": 256,
        **{name: getattr(DeviceConfig(), name) for name in ("read_tags", "ring_tags", "chains")},
    },
    # 64-byte frames at line rate, from a host that takes 1,200 ns: no other case needs so many in flight.
    "net": {
        "depth": 1024,
        "device_queues": DeviceConfig(function="net").queues,
        "queue_size": 1024,
        "read_tags": 128,
        "ring_tags": 32,
        "chains": 128,
    },
}
"""What is usual where that depends on the function."""


@dataclass(frozen=True)
class Case:
    """``requests`` of ``size`` bytes, ``depth`` in flight, on a device and a link.

    A network frame of 64 bytes is counted with its check sequence, others without. ``queues`` are in use; the
    device has ``device_queues`` of ``queue_size`` entries, and what :class:`~ringwalker.config.DeviceConfig`
    calls ``read_tags``, ``ring_tags`` and ``chains``. ``latency_ns`` is what the host takes to answer a
    read. With ``indirect`` a block request is an indirect table, with ``notification_data`` a notification
    carries the available index. ``ring`` is ``"split"`` or ``"packed"``; with ``in_order`` the device uses
    requests in order, and says so of many at once. ``face`` is what the device has of registers, and
    ``driver_face`` what the driver uses of that, by itself the modern ones where there are those. With more
    than 16 queues each keeps its share of ``depth`` in flight, with doorbells of its own. Errors:
    :class:`~ringwalker_sim.errors.ParameterError` that names the value.
    """

    function: str = "blk"
    direction: str = "read"
    size: int = 4096
    queues: int = 1
    depth: int = USUAL
    indirect: bool = False
    notification_data: bool = False
    ring: str = "split"
    in_order: bool = False
    face: str = "modern"
    driver_face: str = ""
    link: str = "gen3x8"
    data_width: int = 256
    clock_mhz: int = 250
    latency_ns: int = 550
    requests: int = 1000
    device_queues: int = USUAL
    queue_size: int = USUAL
    read_tags: int = USUAL
    ring_tags: int = USUAL
    chains: int = USUAL

    def __post_init__(self):
        for name, known in (
            ("function", tuple(DIRECTIONS)),
            ("direction", DIRECTIONS.get(self.function, ())),
            ("link", tuple(LINKS)),
            ("ring", RINGS),
            ("face", FACES),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ParameterError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
        for name, value in _BY_FUNCTION[self.function].items():
            if getattr(self, name) == USUAL:
                object.__setattr__(self, name, value)
        object.__setattr__(self, "driver_face", driver_face(self.face, self.driver_face or None))
        for name in ("notification_data", "in_order"):
            if self.driver_face == "legacy" and getattr(self, name):
                raise ParameterError(f"{name} is True; a legacy driver cannot ask for that")
        most = self.device_queues if self.function == "blk" else 1
        if self.queues > most:
            raise ParameterError(f"queues is {self.queues}; there are {most} that can be used")
        if self.indirect and self.function != "blk":
            raise ParameterError(f"indirect is for blk; a frame of {self.function} has one buffer")
        if self.depth > self.queue_size * self.queues:
            raise ParameterError(
                f"depth is {self.depth}; {self.queues} queue(s) have {self.queue_size} entries"
            )

    @property
    def config(self) -> DeviceConfig:
        """The device."""
        return DeviceConfig(
            function=self.function,
            data_width=self.data_width,
            clock_mhz=self.clock_mhz,
            queues=self.device_queues,
            queue_size=self.queue_size,
            read_tags=self.read_tags,
            ring_tags=self.ring_tags,
            chains=self.chains,
            ring=self.ring,
            face=self.face,
        )

    @property
    def pcie(self) -> Link:
        """The link."""
        return LINKS[self.link]

    @property
    def batch(self) -> int:
        """How many requests share a notification in the ceiling: no more than each queue has in flight."""
        return min(max(1, self.depth // self.queues), LARGEST_BATCH)

    @property
    def cost(self) -> Cost:
        """Bytes on the wire that a request has to cost."""
        legacy = self.driver_face == "legacy"
        use = {"ring": self.ring, "batch": self.batch, "in_order": self.in_order, "suppression": True}
        if self.function == "net":
            return net_cost(self.pcie, self.direction, self.size, legacy=legacy, **use)
        return blk_cost(self.pcie, self.direction, self.size, indirect=self.indirect, **use)

    @property
    def each_queue(self) -> bool:
        """Whether each queue keeps requests of its own in flight, instead of all in turn."""
        return self.function == "blk" and self.queues > _IN_TURN

    @property
    def ring_features(self) -> int:
        """What the driver makes use of besides what it always does."""
        return (
            self.indirect << Feature.INDIRECT_DESC
            | self.notification_data << Feature.NOTIFICATION_DATA
            | (self.ring == "packed") << Feature.RING_PACKED
            | self.in_order << Feature.IN_ORDER
        )

    @property
    def arguments(self) -> list[str]:
        """Options of ``ringwalker bench`` that measure this case."""
        words = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "direction" or value != self._usual(item):
                option = f"--{item.name.replace('_', '-')}"
                words += [option] if value is True else [option, str(value)]
        return words

    def _usual(self, item: "Field[Any]") -> Any:
        if item.name == "driver_face":
            return driver_face(self.face)
        return _BY_FUNCTION[self.function].get(item.name, item.default)

    @property
    def key(self) -> dict[str, Any]:
        """What distinguishes its row from others."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def _both(case: Case) -> Iterator[Case]:
    for direction in DIRECTIONS[case.function]:
        yield replace(case, direction=direction)


def _sizes(case: Case) -> Iterator[Case]:
    for size, requests in ((512, 2000), (4096, 1000), (65536, 150)):
        yield from _both(replace(case, size=size, requests=requests))


_NARROW = (
    {"link": "gen2x4", "data_width": 64},
    {"link": "gen2x4", "data_width": 128, "clock_mhz": 125},
)
_WIDE = {"link": "gen3x16", "data_width": 512}
_FRAME = Case(function="net", direction="tx", size=64, requests=10000)
_FRAMES = {64: 10000, 128: 8000, 256: 6000, 512: 4000, 1024: 3000, 1514: 2000}
"""How many frames of each size."""


def _blk() -> Iterator[Case]:
    for queues in (1, 16):
        yield from _sizes(Case(queues=queues))
    yield from _sizes(Case(indirect=True))
    yield from _both(Case(indirect=True, queues=16))
    for size in (512, 4096):
        yield from _both(Case(size=size, queues=256, device_queues=256, depth=512, requests=4096))
    for carried in (False, True):
        yield from _both(Case(depth=1, requests=100, notification_data=carried))
    for latency in (300, 800, 1200, 2000):
        yield from _both(Case(latency_ns=latency))
    for other in (*_NARROW, _WIDE):
        yield from _both(Case(**other))


def _net() -> Iterator[Case]:
    for size, requests in _FRAMES.items():
        yield from _both(replace(_FRAME, size=size, requests=requests))
    yield from _both(replace(_FRAME, depth=1, requests=100))
    for latency in (300, 800, 1200, 2000):
        yield from _both(replace(_FRAME, latency_ns=latency))
    for other in (*_NARROW, _WIDE):
        yield from _both(replace(_FRAME, **other))
        yield from _both(replace(_FRAME, size=1514, requests=_FRAMES[1514], **other))


FULL = (*_net(), *_blk())
"""All cases."""

QUICK = (
    *(case for size in (64, 1514) for case in _both(replace(_FRAME, size=size, requests=_FRAMES[size]))),
    replace(_FRAME, latency_ns=300),
    replace(_FRAME, latency_ns=1200),
    *_sizes(Case()),
    *_both(Case(indirect=True)),
    *_both(Case(depth=1, requests=100)),
    *_both(Case(latency_ns=1200)),
)
"""Those of one queue at the usual width: two models to build."""


def _check() -> Iterator[Case]:
    narrow = Case(data_width=64, link="gen2x4", device_queues=4, queue_size=32, depth=8, requests=64)
    yield from _both(narrow)
    yield from _both(replace(narrow, indirect=True))
    yield from _both(replace(narrow, size=512, queues=4))
    for carried in (False, True):
        yield from _both(replace(narrow, depth=1, requests=8, notification_data=carried))
    many = replace(narrow, size=512, device_queues=32, queues=32, queue_size=16, depth=64, requests=512)
    yield from _both(many)
    small: dict[str, Any] = {"queue_size": 64, "read_tags": 32, "ring_tags": 8, "chains": 32}
    frames = Case("net", "tx", 64, depth=64, data_width=64, link="gen2x4", requests=256, **small)
    yield from _both(frames)
    yield from _both(replace(frames, size=1514, requests=64))


CHECK = tuple(_check())
"""Small ones, which every run of the tests measures."""
