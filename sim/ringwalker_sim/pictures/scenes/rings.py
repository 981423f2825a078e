"""Rings and chains: from a visit to a head, and from a completed chain to what the driver sees."""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.queue.chain.fetch import DescriptorFetch
from ringwalker.queue.packed.ring import PackedRing
from ringwalker.queue.scheduler import Scheduler
from ringwalker.queue.split.descriptors import SplitDecoder
from ringwalker.queue.split.ring import SplitRing
from ringwalker.queue.split.used_writer import UsedWriter
from ringwalker.spec.packed import DESC_F_AVAIL, PackedDescriptor
from ringwalker.spec.ring import DESC_BYTES, DESC_F_NEXT, DESC_F_WRITE, Descriptor

from ...struct_bytes import struct_bytes
from ...testing.inprocess import Bench, Item
from ...testing.surroundings import DmaReads, QueueRows
from ..scene import Arrow, Level, Scene, Stream
from .words import dma, field, length, queue

__all__ = ["CHAINS", "PACKED", "SCHEDULER", "SPLIT", "USED"]

_WIDTH, _WIDE = 64, 256
_DESC, _AVAIL, _USED = 0x800, 0x1000, 0x2000


class _Scheduler(Bench):
    @classmethod
    def component(cls) -> Any:
        return Scheduler(4)


async def _schedule(bench: Any, begin: Callable[[], None]) -> None:
    bench.stall("visits")
    await bench.cycles(2)
    begin()
    bench.put("doorbells", *({"queue": number} for number in (0, 3, 1, 1)))
    await bench.cycles(4)
    bench.stall("visits", probability=0)
    await bench.cycles(3)
    bench.put("doorbells", {"queue": 1})
    await bench.cycles(8)


SCHEDULER = Scene(
    "Doorbells of a queue that waits already are one visit; a later one is another",
    _Scheduler,
    _schedule,
    (Stream("doorbells", "doorbells", queue), Stream("visits", "visits", queue), Level("waiting", "waiting")),
    (Arrow(("doorbells", 0), ("visits", 0)), Arrow(("doorbells", 4), ("visits", 3))),
)


class _Split(Bench):
    @classmethod
    def component(cls) -> Any:
        return SplitRing(DeviceConfig(data_width=_WIDTH, queues=1, queue_size=16))

    def __init__(self) -> None:
        super().__init__()
        self.memory = bytearray(1 << 14)
        for name in ("index", "entry", "ordered"):
            DmaReads(self, f"{name}_read", self.memory, _WIDTH).latency = (8, 8)
        for name in ("index", "entry", "used", "notification", "event"):
            row = {"driver": _AVAIL, "device": _USED, "size": 16, "vector": 0, "enable": 1}
            QueueRows(self, f"{name}_table").rows[0] = row
        self.drive("msix_enable", 1)
        self.drive("max_read_request", 256)


def _head(item: Item) -> str:
    return f"head {item['id']}" + ("?" if item["guess"] else "")


async def _visit(bench: Any, begin: Callable[[], None]) -> None:
    bench.memory[_AVAIL + 2] = 2
    bench.memory[_AVAIL + 4 : _AVAIL + 8] = bytes((5, 0, 9, 0))
    bench.drive("quiet", 1)
    await bench.cycles(6)
    begin()
    bench.put("visits", {"queue": 0})
    await bench.until(lambda: bench.value("heads.valid"))
    bench.drive("quiet", 0)
    await bench.cycles(20)


SPLIT = Scene(
    "A device at rest: the ring entry is read together with the index, and its head is a guess",
    _Split,
    _visit,
    (
        Stream("visits", "visits", queue),
        Stream("index_read", "index_read.requests", dma),
        Stream("index data", "index_read.data", lambda item: "2 B"),
        Stream("entry_read", "entry_read.requests", dma),
        Stream("heads", "heads", _head),
        Level("confirm", "confirm"),
    ),
    (
        Arrow(("visits", 0), ("index_read", 0)),
        Arrow(("index data", 1), ("heads", 0)),
        Arrow(("entry_read", 0), ("confirm", 0)),
    ),
)


class _Used(Bench):
    @classmethod
    def component(cls) -> Any:
        return UsedWriter(_WIDTH, 1)

    def __init__(self) -> None:
        super().__init__()
        QueueRows(self).rows[0] = {"device": _USED, "size": 16, "enable": 1}


async def _complete(bench: Any, begin: Callable[[], None]) -> None:
    bench.stall("writes")
    await bench.cycles(4)
    begin()
    for number, written in ((5, 513), (9, 1), (2, 513), (7, 513)):
        bench.put("completed", {"queue": 0, "id": number, "written": written})
        await bench.cycles(2)
    await bench.cycles(2)
    bench.stall("writes", probability=0)
    await bench.cycles(24)


def _used_write(item: Item) -> str:
    at = item["header_address"] - _USED
    if at == 0:
        return f"index {item['data'] >> 16 & 0xFFFF}"
    return f"element {item['data'] & 0xFFFF}"


USED = Scene(
    "The link is busy: what finishes meanwhile is one batch. Elements first, then the index that shows them",
    _Used,
    _complete,
    (
        Stream("completed", "completed", field("id", "chain {}")),
        Stream("writes", "writes", _used_write),
        Stream("used", "used", lambda item: f"index {item['idx']}"),
    ),
    (Arrow(("completed", 0), ("writes", 0)), Arrow(("completed", 3), ("writes", 4))),
)


class _Packed(Bench):
    """A driver that wants to be notified of all."""

    @classmethod
    def component(cls) -> Any:
        return PackedRing(DeviceConfig(data_width=_WIDTH, queues=1, queue_size=16, ring="packed"))

    def __init__(self) -> None:
        super().__init__()
        self.memory = bytearray(1 << 14)
        for name in ("poll", "ordered"):
            DmaReads(self, f"{name}_read", self.memory, _WIDTH).latency = (8, 8)
        for name in ("poll", "used", "notification", "event"):
            row = {"desc": _DESC, "driver": _AVAIL, "device": _USED, "size": 16, "vector": 0, "enable": 1}
            QueueRows(self, f"{name}_table").rows[0] = row
        self.drive("msix_enable", 1)
        self.drive("quiet", 1)
        self.drive("max_read_request", 256)

    def make_available(self, place: int, number: int, flags: int = 0) -> None:
        values = {"addr": 0x3000, "len": 512, "id": number, "flags": flags | DESC_F_AVAIL}
        at = _DESC + DESC_BYTES * place
        self.memory[at : at + DESC_BYTES] = struct_bytes(PackedDescriptor, **values)


def _packed_write(item: Item) -> str:
    return "used" if item["first"] else "…"


async def _poll(bench: Any, begin: Callable[[], None]) -> None:
    bench.make_available(0, 3, DESC_F_NEXT)
    bench.make_available(1, 3)
    bench.make_available(2, 8)
    await bench.cycles(6)
    begin()
    bench.put("visits", {"queue": 0})
    await bench.until(lambda: bench.pending("heads") == 2, "two heads")
    await bench.cycles(4)
    bench.put("completed", {"queue": 0, "id": 3, "span": 2, "written": 513})
    await bench.cycles(40)


PACKED = Scene(
    "One read brings the ring and two chains; a used descriptor goes back into its place",
    _Packed,
    _poll,
    (
        Stream("visits", "visits", queue),
        Stream("poll_read", "poll_read.requests", length),
        Stream("heads", "heads", field("id", "id {}")),
        Stream("completed", "completed", field("id", "id {}")),
        Stream("writes", "used_writes", _packed_write),
        Stream("look", "ordered_read.requests", length),
        Stream("interrupts", "interrupts", "vec {}".format),
    ),
    (
        Arrow(("visits", 0), ("poll_read", 0)),
        Arrow(("poll_read", 0), ("heads", 0)),
        Arrow(("completed", 0), ("writes", 0)),
        Arrow(("look", 0), ("interrupts", 0)),
    ),
)


class _Fetch(Bench):
    @classmethod
    def component(cls) -> Any:
        return DescriptorFetch(_WIDE, 16, 4, 32, 4, decoder=SplitDecoder())

    def __init__(self) -> None:
        super().__init__()
        self.memory = bytearray(1 << 14)
        DmaReads(self, "read", self.memory, _WIDE).latency = (8, 8)
        QueueRows(self).rows[0] = {"desc": _DESC, "size": 16, "enable": 1}
        self.drive("max_read_request", 256)
        self.drive("available", 32)
        self.put("allocate", *range(32))

    def describe(self, place: int, length: int, flags: int, following: int = 0) -> None:
        values = {"addr": 0x3000 + 0x200 * place, "len": length, "flags": flags, "next": following}
        at = _DESC + DESC_BYTES * place
        self.memory[at : at + DESC_BYTES] = struct_bytes(Descriptor, **values)


async def _walk(bench: Any, begin: Callable[[], None]) -> None:
    bench.describe(0, 16, DESC_F_NEXT, 1)
    bench.describe(1, 513, DESC_F_WRITE)
    bench.describe(2, 64, 0)
    await bench.cycles(6)
    begin()
    for at, first in ((0, 1), (2, 0)):
        bench.put("heads", {"queue": 0, "at": at, "id": at, "first": first})
    await bench.cycles(60)


def _chain(item: Item) -> str:
    return f"chain {item['id']}"


CHAINS = Scene(
    "Two chains in one cache line: it is read once",
    _Fetch,
    _walk,
    (
        Stream("heads", "heads", field("id", "head {}")),
        Stream("read", "read.requests", dma),
        Stream("data", "read.data", lambda item: "32 B"),
        Stream("chains", "chains", _chain),
    ),
    (Arrow(("heads", 0), ("read", 0)), Arrow(("data", 1), ("chains", 0))),
)
