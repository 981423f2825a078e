"""One walked chain, handed to all that work on it."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...streams import Chain, ChainInfo, stream_of

__all__ = ["ChainDispatch"]


class ChainDispatch(Component):
    """Gives every chain to the gather, the scatter and the function, each through a buffer of its own.

    Parameters: ``depth``, the chains that each of the three may be behind the others.

    Latency: 1 cycle. Throughput: a chain a cycle.
    """

    chains: In(stream_of(Chain))
    gather: Out(stream_of(Chain))
    scatter: Out(stream_of(Chain))
    function: Out(stream_of(ChainInfo))
    idle: Out(1, init=1)
    """All buffers are empty."""

    def __init__(self, depth: int):
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.gather = gather = StreamFifo(Chain, self._depth)
        m.submodules.scatter = scatter = StreamFifo(Chain, self._depth)
        m.submodules.function = function = StreamFifo(ChainInfo, self._depth)
        fifos = (gather, scatter, function)
        chain = self.chains.payload
        take = self.chains.valid & self.chains.ready
        m.d.comb += [
            self.chains.ready.eq(gather.i.ready & scatter.i.ready & function.i.ready),
            gather.i.payload.eq(chain),
            scatter.i.payload.eq(chain),
            function.i.payload.queue.eq(chain.queue),
            function.i.payload.readable.eq(chain.readable),
            function.i.payload.writable.eq(chain.writable),
            self.idle.eq(gather.idle & scatter.idle & function.idle),
            *(fifo.i.valid.eq(take) for fifo in fifos),
        ]
        for fifo, output in zip(fifos, (self.gather, self.scatter, self.function), strict=True):
            connect(m, fifo.o, flipped(output))
        return m
