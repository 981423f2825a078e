"""One reader for several clients that read little."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import StreamFifo
from ..component import Component
from ..interfaces import DmaReadPort
from ..merge import StreamMerge
from ..streams import DmaReadRequest

__all__ = ["SharedReads"]


class SharedReads(Component):
    """Passes on the reads of two clients in the order in which they were taken, and gives each its responses.

    A client that does not take its responses holds up the other.

    Parameters: ``data_width`` (W); ``depth``, how many reads may be in flight.

    Members:

    - ``port0``, ``port1`` In(DmaReadPort(W)): the clients. ``port0`` goes first.
    - ``read`` Out(DmaReadPort(W)): a reader.
    - ``idle`` Out 1: no read is in flight.

    Latency: none, both ways. Throughput: that of the reader.
    """

    def __init__(self, data_width: int, depth: int):
        self._depth = depth
        port = DmaReadPort(data_width)
        super().__init__({"port0": In(port), "port1": In(port), "read": Out(port), "idle": Out(1, init=1)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.owners = owners = StreamFifo(1, self._depth)
        requests, data = self.read.requests, self.read.data
        m.submodules.merge = merge = StreamMerge(DmaReadRequest, 2)
        connect(m, flipped(self.port0.requests), merge.i0)
        connect(m, flipped(self.port1.requests), merge.i1)
        m.d.comb += [
            requests.payload.eq(merge.o.payload),
            requests.valid.eq(merge.o.valid & owners.i.ready),
            merge.o.ready.eq(requests.ready & owners.i.ready),
            owners.i.payload.eq(merge.chosen),
            owners.i.valid.eq(requests.valid & requests.ready),
            owners.o.ready.eq(data.valid & data.ready & data.payload.last),
            self.idle.eq(owners.idle),
        ]
        for number, port in enumerate((self.port0, self.port1)):
            m.d.comb += port.data.payload.eq(data.payload)
            with m.If(owners.o.payload == number):
                m.d.comb += [
                    port.data.valid.eq(data.valid & owners.o.valid),
                    data.ready.eq(port.data.ready & owners.o.valid),
                ]
        return m
