"""Reads and writes of guest memory."""

from collections.abc import Callable
from typing import Any

from ringwalker.dma.posted import PacketBuffer
from ringwalker.dma.reader import DmaReader
from ringwalker.dma.scatter import Scatter
from ringwalker.spec.tlp import RequestKind
from ringwalker.tlp.arbiter import TlpArbiter
from ringwalker.tlp.tags import TagRange

from ...testing.inprocess import Bench, Item
from ..scene import Arrow, Level, Scene, Stream
from .words import address, dma, request

__all__ = ["ARBITER", "LATE", "POSTED", "READS", "WRITES"]

_WIDTH = 64
_TIMEOUT = 20


class _Reader(Bench):
    @classmethod
    def component(cls) -> Any:
        return DmaReader(_WIDTH, TagRange(low=0, low_count=2), 64, _TIMEOUT)

    def answer(self, tag: int, value: int) -> None:
        """A completion of 8 bytes."""
        header = {"tag": tag, "has_data": 1, "length": 2, "byte_count": 8}
        beat = {"first": 1, "last": 1, "data": value, "dwords": 3}
        self.put("completions", beat | {f"header_{key}": item for key, item in header.items()})


def _completion(item: Item) -> str:
    return f"tag {item['header_tag']}"


def _data(item: Item) -> str:
    return "error" if item["error"] else f"{item['data']:x}"


_READER = (
    Stream("reads", "port.requests", dma),
    Stream("requests", "requests", request),
    Stream("completions", "completions", _completion),
    Stream("data", "port.data", _data),
)


async def _read(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(2)
    begin()
    for at in (0x100, 0x200):
        bench.put("port.requests", {"address": at, "length": 8})
    await bench.cycles(9)
    bench.answer(1, 0xBB)
    await bench.cycles(3)
    bench.answer(0, 0xAA)
    await bench.cycles(12)


READS = Scene(
    "Two reads in flight; the host answers the second one first",
    _Reader,
    _read,
    _READER,
    (
        Arrow(("reads", 0), ("requests", 0)),
        Arrow(("requests", 0), ("completions", 1)),
        Arrow(("completions", 1), ("data", 0)),
        Arrow(("completions", 0), ("data", 1), "in order"),
    ),
)


async def _wait(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(2)
    begin()
    bench.put("port.requests", {"address": 0x100, "length": 8})
    await bench.cycles(_TIMEOUT + 6)
    bench.put("port.requests", {"address": 0x200, "length": 8})
    await bench.cycles(5)
    bench.answer(0, 0xDEAD)
    await bench.cycles(4)
    bench.answer(1, 0xBB)
    await bench.cycles(12)


LATE = Scene(
    "The host does not answer in time: an error, and the tag is not used again before its answer came",
    _Reader,
    _wait,
    (*_READER[:3], Level("quarantined", "quarantined"), _READER[3]),
    (
        Arrow(("quarantined", 0), ("data", 0)),
        Arrow(("completions", 0), ("requests", 1), "late"),
    ),
)


class _Scatter(Bench):
    """The segment store has one segment of 256 bytes for each number, at 64 KiB times the number."""

    @classmethod
    def component(cls) -> Any:
        return Scatter(_WIDTH)

    def __init__(self) -> None:
        super().__init__()
        self.drive("max_payload", 16)
        self.each_cycle(self._look_up)

    def _look_up(self) -> None:
        if self.value("segments.en"):
            number = self.value("segments.index")
            self.drive("segments.address", number << 16 | 0xFF8)
            self.drive("segments.length", 256)


async def _reply(bench: Any, begin: Callable[[], None]) -> None:
    chain = {"queue": 1, "id": 5, "writable": 256, "writable_segments": 1, "first_writable": 1}
    bench.put("chains", chain)
    await bench.cycles(4)
    begin()
    reply = {"length": 24, "written": 24, "done": 1}
    for n in range(3):
        beat = {"data": n + 1, "count": 8, "first": int(n == 0), "last": int(n == 2)}
        bench.put("replies", reply | beat)
    await bench.cycles(24)


WRITES = Scene(
    "A reply of 24 bytes, cut at 4 KiB; the chain is complete when its last write has left",
    _Scatter,
    _reply,
    (
        Stream("replies", "replies", lambda item: f"{item['count']} B" + (", last" if item["last"] else "")),
        Stream("writes", "writes", address),
        Stream("completed", "completed", lambda item: f"chain {item['id']}: {item['written']} B"),
    ),
    (Arrow(("replies", 0), ("writes", 0)), Arrow(("writes", 2), ("completed", 0))),
)


class _Buffer(Bench):
    @classmethod
    def component(cls) -> Any:
        return PacketBuffer(_WIDTH, 8)


def _beats(at: int, count: int) -> list[dict[str, int]]:
    header = {"header_kind": RequestKind.MEMORY_WRITE.value, "header_address": at, "header_length": 2 * count}
    flags = [{"first": int(n == 0), "last": int(n == count - 1), "dwords": 3} for n in range(count)]
    return [header | one for one in flags]


async def _store(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(2)
    begin()
    beats = _beats(0x1000, 3)
    for beat, pause in zip(beats, (3, 4, 1), strict=True):
        bench.put("i", beat)
        await bench.cycles(pause)
    bench.put("i", *_beats(0x2000, 1))
    await bench.cycles(10)


POSTED = Scene(
    "However slowly a write comes, the link gets it in one piece",
    _Buffer,
    _store,
    (Stream("i", "i", address), Stream("o", "o", address)),
    (Arrow(("i", 2), ("o", 0), "whole"),),
)


class _Arbiter(Bench):
    @classmethod
    def component(cls) -> Any:
        return TlpArbiter(_WIDTH, 2)


def _read_beat(tag: int) -> dict[str, int]:
    kind = RequestKind.MEMORY_READ.value
    return {"header_kind": kind, "header_address": 0x100 * tag, "header_tag": tag, "first": 1, "last": 1}


async def _arbitrate(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(2)
    begin()
    bench.put("i0", *(_read_beat(tag) for tag in (1, 2, 3)))
    bench.put("i1", *_beats(0x1000, 3), *_beats(0x2000, 2))
    await bench.cycles(14)


ARBITER = Scene(
    "Packets of two inputs take turns, and none is torn apart",
    _Arbiter,
    _arbitrate,
    (Stream("reads", "i0", address), Stream("posted", "i1", address), Stream("link", "o", address)),
    (),
)
