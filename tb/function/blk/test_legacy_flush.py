"""A legacy driver may ask for a flush by the other of its two numbers. Ref: virtio 1.4, 5.2.6.4."""

from typing import Any

import pytest

from ringwalker.function.blk.parser import BlkParser
from ringwalker.function.blk.types import BlkOp
from ringwalker.spec.blk import BlkRequestHeader, BlkRequestType, BlkStatus
from ringwalker_sim.testing.dma import packet_beats
from ringwalker_sim.testing.inprocess import Bench

WIDTH = 64


class Legacy(Bench):
    @classmethod
    def component(cls) -> Any:
        return BlkParser(WIDTH, has_legacy=True)


class Modern(Bench):
    @classmethod
    def component(cls) -> Any:
        return BlkParser(WIDTH)


@pytest.mark.parametrize(
    ("device", "kind", "flushes"),
    [
        (Legacy, BlkRequestType.FLUSH, True),
        (Legacy, BlkRequestType.FLUSH_OUT, True),
        (Legacy, 6, False),
        (Modern, BlkRequestType.FLUSH, True),
        (Modern, BlkRequestType.FLUSH_OUT, False),
    ],
)
def test_what_is_a_flush(device: type[Bench], kind: int, flushes: bool) -> None:
    async def body(bench: Bench) -> None:
        header = BlkRequestHeader.const({"type": kind}).as_bits().to_bytes(16, "little")
        bench.put("chains", {"readable": 16, "writable": 1})
        bench.put("readable", *packet_beats(header, WIDTH))
        request = await bench.get("requests")
        assert (request["op"] == BlkOp.FLUSH.value) is flushes
        assert flushes or request["status"] == BlkStatus.UNSUPP

    device().run(body)
