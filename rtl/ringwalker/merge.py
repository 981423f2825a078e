"""Streams of single items merged into one, without latency.

Packets, and items that may wait for a register, are merged by :class:`~.tlp.arbiter.PacketArbiter`.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from .component import Component
from .streams import stream_of

__all__ = ["StreamMerge"]


class StreamMerge(Component):
    """Offers an item of one of ``inputs`` streams of ``shape``: that with the lowest number that is valid.

    An item that was offered and not taken stays, whatever comes meanwhile.

    Parameters: ``shape``, of the items; ``inputs``, how many streams; ``turns``: the input that goes first
    is the one behind that of the last item, round the end.

    Members:

    - ``i0``, ``i1``, ... In streams of ``shape``.
    - ``o`` Out stream of ``shape``.
    - ``chosen`` Out: the number of the input that ``o`` comes from; it counts while ``o`` is valid.

    Latency: none; ``ready`` of an input depends on ``valid`` of all. One item a cycle.
    Errors: ``ValueError`` for less than one input.
    """

    def __init__(self, shape: Any, inputs: int, *, turns: bool = False):
        if inputs < 1:
            raise ValueError(f"inputs is {inputs!r}; it must be at least 1")
        self._inputs = inputs
        self._turns = turns
        super().__init__(
            {
                **{f"i{n}": In(stream_of(shape)) for n in range(inputs)},
                "o": Out(stream_of(shape)),
                "chosen": Out(range(inputs)),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        sources = [getattr(self, f"i{n}") for n in range(self._inputs)]
        best, held, kept = Signal.like(self.chosen), Signal(), Signal.like(self.chosen)
        if self._turns:
            turn = Signal.like(self.chosen)
            with m.If(self.o.valid & self.o.ready):
                m.d.sync += turn.eq(Mux(self.chosen == self._inputs - 1, 0, self.chosen + 1))
            with m.Switch(turn):
                for first in range(self._inputs):
                    with m.Case(first):
                        self._choose(m, best, sources, first)
        else:
            self._choose(m, best, sources, 0)
        m.d.comb += self.chosen.eq(Mux(held, kept, best))
        m.d.sync += [held.eq(self.o.valid & ~self.o.ready), kept.eq(self.chosen)]
        with m.Switch(self.chosen):
            for number, source in enumerate(sources):
                with m.Case(number):
                    m.d.comb += [
                        self.o.valid.eq(source.valid),
                        self.o.payload.eq(source.payload),
                        source.ready.eq(self.o.ready),
                    ]
        return m

    def _choose(self, m: Any, best: Signal, sources: list[Any], first: int) -> None:
        """``best`` is the nearest valid input from ``first`` on; ``first`` if none is."""
        m.d.comb += best.eq(first)
        for distance in reversed(range(self._inputs)):
            number = (first + distance) % self._inputs
            with m.If(sources[number].valid):
                m.d.comb += best.eq(number)
