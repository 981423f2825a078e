"""Requests of the host, doorbells, and messages to it."""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.pci.capabilities import bars
from ringwalker.pci.completer import Completer
from ringwalker.pci.msix import MsixTable
from ringwalker.spec.modern import FACE_BAR, NOTIFY_BASE, NOTIFY_MULTIPLIER
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY
from ringwalker.spec.tlp import RequestKind
from ringwalker.transport.face import Window
from ringwalker.transport.notify import Notify
from ringwalker.transport.register_router import RegisterRouter

from ...testing.inprocess import Bench, Item
from ..scene import Arrow, Scene, Stream
from .words import access

__all__ = ["DOORBELL", "MESSAGE", "REGISTERS", "REQUESTS"]

_WIDTH = 64


class _Notify(Bench):
    @classmethod
    def component(cls) -> Any:
        return Notify(DeviceConfig(data_width=_WIDTH, queues=4))


def _doorbell(item: Item) -> str:
    return f"queue {item['queue']}" + (f", to {item['next']}" if item["carried"] else "")


async def _ring(bench: Any, begin: Callable[[], None]) -> None:
    bench.drive("enable", 1)
    bench.drive("with_data", 1)
    bench.stall("doorbells")
    await bench.cycles(2)
    begin()
    for place, value in ((2, 7 << 16 | 2), (9, 9), (3, 0x123)):
        write = {"offset": NOTIFY_MULTIPLIER * place, "write": 1, "strobe": 0xF, "data": value}
        bench.put("registers.requests", write)
    await bench.cycles(5)
    bench.stall("doorbells", probability=0)
    await bench.cycles(8)


DOORBELL = Scene(
    "Three writes, two doorbells: there is no queue 9",
    _Notify,
    _ring,
    (Stream("registers", "registers.requests", access), Stream("doorbells", "doorbells", _doorbell)),
    (Arrow(("registers", 0), ("doorbells", 0)), Arrow(("registers", 2), ("doorbells", 1))),
)


class _Table(Bench):
    @classmethod
    def component(cls) -> Any:
        return MsixTable(DeviceConfig(data_width=_WIDTH, queues=1, pci=PciOptions(vectors=2)))

    async def write(self, name: str, value: int) -> None:
        """Write a field of the entry of vector 1."""
        offset = MSIX_ENTRY_BYTES + MSIX_TABLE_ENTRY[name].offset
        self.put("registers.requests", {"offset": offset, "write": 1, "strobe": 0xF, "data": value})
        await self.until(lambda: not self.pending("registers.requests"))


async def _notify(bench: Any, begin: Callable[[], None]) -> None:
    bench.drive("enable", 1)
    await bench.write("address_low", 0xFEE0_1000)
    await bench.write("data", 0x31)
    await bench.write("vector_control", 0)
    await bench.cycles(6)
    begin()
    bench.put("vectors", 1)
    await bench.cycles(5)
    await bench.write("vector_control", 1)
    bench.put("vectors", 1)
    await bench.cycles(5)
    await bench.write("vector_control", 0)
    await bench.cycles(10)


MESSAGE = Scene(
    "A vector becomes a message; while it is masked it waits as a pending bit",
    _Table,
    _notify,
    (
        Stream("vectors", "vectors", lambda item: f"vector {item}"),
        Stream("mask bit", "registers.requests", lambda item: "mask" if item["data"] & 1 else "unmask"),
        Stream("messages", "messages", lambda item: f"MWr {item['data']:x}"),
    ),
    (Arrow(("vectors", 0), ("messages", 0)), Arrow(("mask bit", 1), ("messages", 1), "was pending")),
)

_CONFIG = DeviceConfig(data_width=_WIDTH)
_BASE = 0xE000_0000
_KINDS = {
    RequestKind.CONFIG_READ_0.value: "CfgRd",
    RequestKind.MEMORY_WRITE.value: "MWr",
    RequestKind.MEMORY_READ.value: "MRd",
}


class _Completer(Bench):
    @classmethod
    def component(cls) -> Any:
        return Completer(_CONFIG)

    def send(self, kind: RequestKind, address: int, tag: int, value: int | None = None, **more: int) -> None:
        header = {"kind": kind.value, "address": address, "length": 1, "first_be": 0xF, "tag": tag, **more}
        data = {} if value is None else {"data": value, "dwords": 1}
        beat = {f"header_{key}": item for key, item in header.items()} | data
        self.put("requests", beat | {"first": 1, "last": 1})


async def _ask(bench: Any, begin: Callable[[], None]) -> None:
    face = next(bar for bar in bars(_CONFIG) if bar.index == FACE_BAR)
    bench.drive(f"state.bar{face.index}", _BASE)
    bench.drive("state.memory_enable", 1)
    bench.drive("state.requester_id", 0x0100)
    bench.on("config.requests", lambda _request: bench.put("config.responses", {"data": 0x1042_1AF4}))
    bench.stall("completions")
    await bench.cycles(2)
    begin()
    bench.send(RequestKind.CONFIG_READ_0, 0, 5, target_id=0x0100)
    bench.send(RequestKind.MEMORY_WRITE, _BASE + NOTIFY_BASE, 0, 0)
    await bench.cycles(12)
    bench.stall("completions", probability=0)
    await bench.cycles(6)


REQUESTS = Scene(
    "A doorbell does not wait for the answer to the read before it",
    _Completer,
    _ask,
    (
        Stream("requests", "requests", lambda item: f"{_KINDS[item['header_kind']]}"),
        Stream("config", "config.requests", lambda item: "dword 0"),
        Stream("registers", "posted_registers.requests", access),
        Stream("completions", "completions", lambda item: f"tag {item['header_tag']}"),
    ),
    (
        Arrow(("requests", 0), ("config", 0)),
        Arrow(("requests", 1), ("registers", 0)),
        Arrow(("config", 0), ("completions", 0)),
    ),
)


class _Router(Bench):
    @classmethod
    def component(cls) -> Any:
        windows = [Window("common", 4, 0, 0x1000), Window("notify", 4, 0x1000, 0x1000)]
        return RegisterRouter(windows)


async def _access(bench: Any, begin: Callable[[], None]) -> None:
    bench.on(
        "common.requests", lambda request: request["write"] or bench.put("common.responses", {"data": 0x0F})
    )
    await bench.cycles(2)
    begin()
    for offset, write, value in ((0x14, 1, 0x0F), (0x1000, 1, 0), (0x14, 0, 0), (0x3000, 0, 0)):
        bench.put("i.requests", {"bar": 4, "offset": offset, "write": write, "strobe": 0xF, "data": value})
    await bench.cycles(16)


REGISTERS = Scene(
    "Accesses find their block; a read of what is nobody's gives 0",
    _Router,
    _access,
    (
        Stream("accesses", "i.requests", access),
        Stream("common", "common.requests", access),
        Stream("notify", "notify.requests", access),
        Stream("answers", "i.responses", lambda item: f"{item['data']:x}"),
    ),
    (Arrow(("common", 1), ("answers", 0)), Arrow(("accesses", 3), ("answers", 1), "nobody's")),
)
