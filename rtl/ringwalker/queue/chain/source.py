"""Where descriptors come from if heads may bring some along: from there, or from guest memory."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import DmaReadPort
from ...merge import StreamMerge
from ...spec.ring import DESC_BYTES
from ...streams import MOST_BROUGHT, stream_of
from ..ring.brought import BroughtPort
from .lines import SLOT_BITS, DescriptorLines, DescriptorRange, DescriptorRequest

__all__ = ["BroughtRange", "DescriptorSource", "brought_with"]


class BroughtRange(data.Struct):
    """The chain in ``slot`` begins with ``count`` descriptors that came with its head, from ``index`` on."""

    slot: unsigned(SLOT_BITS)
    lap: unsigned(1)
    index: unsigned(16)
    count: range(MOST_BROUGHT + 1)


class DescriptorSource(Component):
    """:class:`~.lines.DescriptorLines`, and the descriptors that heads brought along.

    Parameters: ``data_width`` in bits; ``reads``, how many requests are in flight at most; ``chains``, how
    many chains are walked at once.

    Members: those of :class:`~.lines.DescriptorLines`, and

    - ``comes`` In stream of BroughtRange, always ready: what came with a head. There is one for a chain.
    - ``brought`` Out(BroughtPort()).

    ``ranges`` are those that were read, in the order of the requests, and those that were brought, in the
    order of the heads, in turn. One that was brought is offered a cycle after it came.
    """

    def __init__(self, data_width: int, reads: int, chains: int):
        self._lines = DescriptorLines(data_width, reads)
        self._chains = chains
        super().__init__(
            {
                "requests": In(stream_of(DescriptorRequest)),
                "ranges": Out(stream_of(DescriptorRange)),
                "position": In(range(MOST_BROUGHT)),
                "raw": Out(8 * DESC_BYTES),
                "read": Out(DmaReadPort(data_width)),
                "max_read_request": In(13),
                "idle": Out(1, init=1),
                "comes": In(stream_of(BroughtRange)),
                "brought": Out(BroughtPort()),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.lines = lines = self._lines
        m.submodules.waiting = waiting = StreamFifo(BroughtRange, self._chains)
        m.submodules.merge = merge = StreamMerge(DescriptorRange, 2, turns=True)
        connect(m, flipped(self.requests), lines.requests)
        connect(m, flipped(self.comes), waiting.i)
        connect(m, lines.read, flipped(self.read))
        connect(m, lines.ranges, merge.i1)
        connect(m, merge.o, flipped(self.ranges))
        came, offered = waiting.o.payload, merge.i0.payload
        m.d.comb += [
            lines.max_read_request.eq(self.max_read_request),
            lines.position.eq(self.position),
            *(offered[name].eq(came[name]) for name in ("slot", "lap", "index", "count")),
            offered.first.eq(came.index),
            merge.i0.valid.eq(waiting.o.valid),
            waiting.o.ready.eq(merge.i0.ready),
            self.brought.position.eq(self.position),
            self.brought.release.eq(Mux(waiting.o.valid & waiting.o.ready, came.count, 0)),
            self.raw.eq(Mux(merge.chosen == 0, self.brought.raw, lines.raw)),
            self.idle.eq(lines.idle & waiting.idle),
        ]
        return m


def brought_with(m: Any, source: Component, head: Any, slot: Any, lap: Any, accept: Any) -> Any:
    """Whether descriptors come with ``head``, so that none need be asked for; if it gets ``slot`` on ``lap``,
    which ``accept`` says, ``source`` is told."""
    if not isinstance(source, DescriptorSource):
        return Const(0)
    comes = source.comes.payload
    m.d.comb += [
        comes.slot.eq(slot),
        comes.lap.eq(lap),
        comes.index.eq(head.at),
        comes.count.eq(head.brought),
        source.comes.valid.eq(accept & (head.brought != 0)),
    ]
    return head.brought != 0
