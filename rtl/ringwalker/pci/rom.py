"""The expansion ROM."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from ..component import Component
from ..interfaces import RegisterPort

__all__ = ["RomContent"]


class RomContent(Component):
    """The bytes of the expansion ROM, which are only read.

    Parameters: ``content``; ``size`` in bytes, a power of two that it fits into. What is beyond it reads 0.

    Latency: a response is valid one cycle after its request was taken. Throughput: a read a cycle.

    Errors: ``ValueError`` for content that is larger than ``size``.
    """

    registers: In(RegisterPort())
    """Of the offset only the place in ``size`` counts. Writes do nothing."""

    def __init__(self, content: bytes, size: int):
        if len(content) > size:
            raise ValueError(f"content has {len(content)} bytes; size is {size}")
        self._words = [int.from_bytes(content[at : at + 4], "little") for at in range(0, size, 4)]
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        requests, responses = self.registers.requests, self.registers.responses
        m.submodules.content = content = Memory(shape=32, depth=len(self._words), init=self._words)
        read: Any = content.read_port()
        m.d.comb += [
            requests.ready.eq(~responses.valid | responses.ready),
            read.en.eq(requests.valid & requests.ready),
            read.addr.eq(requests.p.offset[2:]),
            responses.p.data.eq(read.data),
        ]
        with m.If(requests.ready):
            m.d.sync += responses.valid.eq(requests.valid & ~requests.p.write)
        return m
