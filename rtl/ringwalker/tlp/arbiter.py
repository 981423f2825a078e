"""Merges streams of packets into one without mixing packets."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..streams import request_beat

__all__ = ["PacketArbiter", "TlpArbiter"]


def _members(shape: Any, inputs: int) -> dict[str, Any]:
    if inputs < 1:
        raise ValueError(f"inputs must be at least 1, not {inputs!r}")
    return {
        **{f"i{k}": In(stream.Signature(shape)) for k in range(inputs)},
        "o": Out(stream.Signature(shape)),
        "idle": Out(1, init=1),
    }


class PacketArbiter(wiring.Component):
    """Takes whole packets, ``first`` to ``last``, from ``inputs`` streams of ``shape`` in turn (round robin).

    Members: ``i0``, ``i1``, ... In streams of ``shape``, which has ``first`` and ``last``; ``o`` Out stream
    of ``shape``; ``idle`` Out 1: no packet is under way and nothing is held.
    Latency: 1 cycle. Throughput: a beat a cycle, without a gap between packets.
    Errors: ``ValueError`` for less than one input.
    """

    o: Any
    idle: Any

    def __init__(self, shape: Any, inputs: int):
        self._shape = shape
        self.inputs = inputs
        super().__init__(_members(shape, inputs))

    def elaborate(self, platform):
        m: Any = Module()
        count = self.inputs
        sources = [getattr(self, f"i{k}") for k in range(count)]
        last_turn, choice, inside = Signal(range(count), init=count - 1), Signal(range(count)), Signal()
        valid, free = Signal(count), Signal()
        m.d.comb += [
            valid.eq(Cat(source.valid for source in sources)),
            free.eq(~self.o.valid | self.o.ready),
            choice.eq(last_turn),
            self.idle.eq(~self.o.valid & ~inside),
        ]
        # The nearest input above the one that had the last turn, else the lowest.
        with m.If(~inside):
            above = Signal(count)
            m.d.comb += above.eq(valid & ~((Const(2, count + 1) << last_turn) - 1))
            for candidates in (valid, above):
                for k in reversed(range(count)):
                    with m.If(candidates[k]):
                        m.d.comb += choice.eq(k)
        chosen: Any = Signal(self._shape)
        taken = Signal()
        m.d.comb += taken.eq(valid.bit_select(choice, 1) & free)
        with m.Switch(choice):
            for k, source in enumerate(sources):
                with m.Case(k):
                    m.d.comb += chosen.eq(source.p)
        for k, source in enumerate(sources):
            m.d.comb += source.ready.eq(free & (choice == k))
        with m.If(free):
            m.d.sync += self.o.valid.eq(taken)
        with m.If(taken):
            m.d.sync += [self.o.p.eq(chosen), last_turn.eq(choice), inside.eq(~chosen.last)]
        return m


class TlpArbiter(wiring.Component):
    """All requesters of the device on one stream, with the device's requester ID in every header.

    Members (W is ``data_width``): ``i0``, ``i1``, ... In streams of request_beat(W); ``o`` Out stream of
    request_beat(W); ``requester_id`` In 16; ``idle`` Out 1. Latency, throughput and errors as
    :class:`PacketArbiter`. A change of ``requester_id`` takes effect with the next packet.
    """

    o: Any
    requester_id: Any
    idle: Any

    def __init__(self, data_width: int, inputs: int):
        self.data_width = data_width
        self.inputs = inputs
        super().__init__({**_members(request_beat(data_width), inputs), "requester_id": In(16)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.arbiter = arbiter = PacketArbiter(request_beat(self.data_width), self.inputs)
        out = arbiter.o.p
        for k in range(self.inputs):
            outer, inner = getattr(self, f"i{k}"), getattr(arbiter, f"i{k}")
            # The arbiter's output still holds the beat before, of the same packet.
            stamp = Mux(outer.p.first, self.requester_id, out.header.requester_id)
            m.d.comb += [
                inner.p.eq(outer.p),
                inner.p.header.requester_id.eq(stamp),
                inner.valid.eq(outer.valid),
                outer.ready.eq(inner.ready),
            ]
        wiring.connect(m, arbiter.o, wiring.flipped(self.o))
        m.d.comb += self.idle.eq(arbiter.idle)
        return m
