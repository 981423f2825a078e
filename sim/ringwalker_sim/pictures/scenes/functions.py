"""What a function makes of its chains, and a bus on the chip."""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.function import BlkFunction
from ringwalker.function.console.receive import ConsoleReceive
from ringwalker.function.entropy.function import EntropyFunction
from ringwalker.function.net.receive import NetReceive
from ringwalker.shim.axi_read import AxiReader
from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestHeader, BlkRequestType
from ringwalker.streams import StorageOp

from ...struct_bytes import struct_bytes
from ...testing.axi import AxiMaster, Transaction
from ...testing.dma import packet_beats
from ...testing.inprocess import Bench, Item
from ..scene import Arrow, Channel, Scene, Stream
from .words import address, bytes_of

__all__ = ["AXI", "BLK", "CONSOLE", "ENTROPY", "NET"]

_WIDTH, _WIDE = 64, 512


def _reply(item: Item) -> str:
    return f"{item['count']} B" + (", done" if item["done"] and item["last"] else "")


class _Blk(Bench):
    """The block function, and storage that needs some cycles for a command."""

    @classmethod
    def component(cls) -> Any:
        return BlkFunction(DeviceConfig(data_width=_WIDE, queues=1))

    def __init__(self) -> None:
        super().__init__()
        self.drive("capacity", 1000)

    def serve(self) -> None:
        """Answer the command that came."""
        beats = SECTOR_BYTES * 8 // _WIDE
        self.put("storage.read_data", *({"data": n, "last": int(n == beats - 1)} for n in range(beats)))
        self.put("storage.results", 0)


def _command(item: Item) -> str:
    return f"{StorageOp(item['op']).name} {item['sector']}"


async def _read_sector(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(4)
    begin()
    header = struct_bytes(BlkRequestHeader, type=int(BlkRequestType.IN), sector=40)
    bench.put("chain.chains", {"readable": len(header), "writable": SECTOR_BYTES + 1})
    bench.put("chain.readable", *packet_beats(header, _WIDE))
    await bench.get("storage.commands")
    await bench.cycles(6)
    bench.serve()
    await bench.cycles(30)


BLK = Scene(
    "A read of sector 40: header in, command out, data and status back",
    _Blk,
    _read_sector,
    (
        Stream("chains", "chain.chains", lambda item: f"{item['readable']}+{item['writable']}"),
        Stream("readable", "chain.readable", bytes_of),
        Stream("commands", "storage.commands", _command),
        Stream("read_data", "storage.read_data", lambda _item: "64 B"),
        Stream("results", "storage.results", lambda item: "bad" if item else "good"),
        Stream("replies", "chain.replies", _reply),
    ),
    (
        Arrow(("readable", 0), ("commands", 0)),
        Arrow(("results", 0), ("replies", 8), "status"),
    ),
)


class _Net(Bench):
    @classmethod
    def component(cls) -> Any:
        return NetReceive(_WIDE)


async def _receive(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(4)
    begin()
    bench.put("lengths", 100)
    bench.put("data", 1, 2)
    await bench.cycles(6)
    bench.put("chain.chains", {"writable": 1526})
    await bench.cycles(20)


NET = Scene(
    "A frame of 100 bytes waits for a chain; the answer is header and frame",
    _Net,
    _receive,
    (
        Stream("lengths", "lengths", lambda item: f"{item} B"),
        Stream("data", "data", lambda _item: "64 B"),
        Stream("chains", "chain.chains", lambda item: f"{item['writable']} B"),
        Stream("replies", "chain.replies", _reply),
    ),
    (Arrow(("chains", 0), ("replies", 0)),),
)


class _Console(Bench):
    @classmethod
    def component(cls) -> Any:
        return ConsoleReceive(_WIDTH, 10)


async def _type(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(4)
    begin()
    bench.put("chain.chains", {"writable": 64})
    for letter, pause in zip(b"ls\n", (3, 2, 1), strict=True):
        bench.put("i", letter)
        await bench.cycles(pause)
    await bench.cycles(30)


CONSOLE = Scene(
    "Three bytes are typed, and then none for 10 cycles: the chain goes back with three",
    _Console,
    _type,
    (
        Stream("i", "i", lambda item: repr(chr(item))[1:-1]),
        Stream("chains", "chain.chains", lambda item: f"{item['writable']} B"),
        Stream("replies", "chain.replies", _reply),
    ),
    (Arrow(("i", 2), ("replies", 0)),),
)


class _Entropy(Bench):
    @classmethod
    def component(cls) -> Any:
        return EntropyFunction(DeviceConfig(function="rng", data_width=_WIDTH))


async def _fill(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(4)
    begin()
    bench.put("noise", 0x1111)
    await bench.cycles(3)
    bench.put("chain.chains", {"writable": 12})
    await bench.cycles(6)
    bench.put("noise", 0x2222)
    await bench.cycles(12)


ENTROPY = Scene(
    "Noise is taken ahead; a packet begins when there is enough for all of it",
    _Entropy,
    _fill,
    (
        Stream("noise", "noise", "{:x}".format),
        Stream("chains", "chain.chains", lambda item: f"{item['writable']} B"),
        Stream("replies", "chain.replies", lambda item: f"{item['data']:x}"),
    ),
    (Arrow(("noise", 1), ("replies", 0)),),
)


class _Axi(Bench):
    """A master that never pauses, and a host that answers with the data of one completion."""

    @classmethod
    def component(cls) -> Any:
        return AxiReader(_WIDTH, _WIDTH, 512, 500)

    def __init__(self) -> None:
        super().__init__()
        self.drive("limit", 128)
        self.drive("enable", 1)
        self.master = AxiMaster(self, _WIDTH, stall=0.0)
        self.asked: list[Item] = []
        self.on("requests", self.asked.append)

    def answer(self, request: Item) -> None:
        count = request["header_length"]
        header = {
            "has_data": 1,
            "length": count,
            "byte_count": 4 * count,
            "lower_address": request["header_address"] % 128,
            "tag": request["header_tag"],
        }
        for n in range(0, count, 2):
            flags = {"first": int(n == 0), "last": int(n + 2 >= count), "dwords": 3}
            beat = {f"header_{key}": value for key, value in header.items()}
            self.put("completions", beat | flags | {"data": request["header_address"] + 4 * n})


async def _burst(bench: Any, begin: Callable[[], None]) -> None:
    await bench.cycles(4)
    begin()
    bench.master.read(Transaction(0x1070, 4, 3))
    await bench.until(lambda: len(bench.asked) == 2)
    await bench.cycles(5)
    for request in reversed(bench.asked):
        bench.answer(request)
    await bench.cycles(24)


AXI = Scene(
    "A burst of four words becomes two reads, cut at 128 bytes; the host answers the second one first",
    _Axi,
    _burst,
    (
        Channel("AR", "bus.ar", "addr"),
        Stream("requests", "requests", address),
        Stream("completions", "completions", lambda item: f"tag {item['header_tag']}"),
        Channel("R", "bus.r", "data"),
    ),
    (Arrow(("AR", 0), ("requests", 0)), Arrow(("completions", 3), ("R", 0))),
)
