"""Merges streams of packets into one without mixing packets."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import request_beat, stream_of

__all__ = ["PacketArbiter", "TlpArbiter"]


def _members(shape: Any, inputs: int) -> dict[str, Any]:
    if inputs < 1:
        raise ValueError(f"inputs must be at least 1, not {inputs!r}")
    return {
        **{f"i{k}": In(stream_of(shape)) for k in range(inputs)},
        "o": Out(stream_of(shape)),
        "idle": Out(1, init=1),
    }


def _choose(items: list[Any], number: Any) -> Any:
    """The item with that number, by a tree of multiplexers: it costs fewer LUTs than masks."""
    if len(items) == 1:
        return items[0]
    half = 1 << (len(items) - 1).bit_length() - 1
    bit = half.bit_length() - 1
    return Mux(number[bit], _choose(items[half:], number), _choose(items[:half], number))


def _last(payload: Any) -> Any:
    """Whether a packet ends with ``payload``."""
    return payload.last if isinstance(payload, data.View) and "last" in payload.shape().members else Const(1)


class PacketArbiter(Component):
    """Merges streams of packets: takes whole packets, ``first`` to ``last``, in turn (round robin).

    Order is kept: a packet that was taken leaves before all that are taken later. A register holds whose turn
    it is, so ``ready`` of an input depends on no ``valid``. With the last beat of a packet the turn goes to
    the next valid input, in the order of their numbers and from the last on to ``i0``. If none is valid it
    stays, until another becomes valid.

    Parameters: ``shape``, with the fields ``first`` and ``last``, or of single items, each a packet;
    ``inputs``, how many streams.

    Members:

    - ``i0``, ``i1``, ... In streams of ``shape``.
    - ``o`` Out stream of ``shape``.
    - ``idle`` Out 1: no packet is in flight and nothing is held.
    - ``between`` Out 1: no packet is in flight after this cycle.

    Latency: 1 cycle; 2 for an input that becomes valid when it is another's turn, which it never is for
    ``i0`` if nothing was valid before. Throughput: a beat a cycle, without a gap between packets that wait.
    Errors: ``ValueError`` for less than one input.
    """

    def __init__(self, shape: Any, inputs: int):
        self._shape = shape
        self.inputs = inputs
        super().__init__({**_members(shape, inputs), "between": Out(1, init=1)})

    def elaborate(self, platform):
        m: Any = Module()
        count = self.inputs
        sources = [getattr(self, f"i{k}") for k in range(count)]
        # Whose turn it is, twice: a bit for each input, and a number.
        turn, chosen, inside = Signal(count, init=1), Signal(range(count)), Signal()
        valid, free, offered, last = Signal(count), Signal(), Signal(), Signal()
        m.d.comb += [
            valid.eq(Cat(source.valid for source in sources)),
            free.eq(~self.o.valid | self.o.ready),
            offered.eq((valid & turn).any()),
            last.eq((Cat(_last(source.p) for source in sources) & turn).any()),
            self.between.eq(Mux(offered & free, last, ~inside)),
            self.idle.eq(~self.o.valid & ~inside),
            *(source.ready.eq(free & turn[k]) for k, source in enumerate(sources)),
        ]
        payload = _choose([Value.cast(source.p) for source in sources], chosen)
        with m.If(free):
            m.d.sync += [self.o.valid.eq(offered), self.o.p.eq(payload)]
            with m.If(offered):
                m.d.sync += inside.eq(~last)
        with m.If(Mux(offered, free & last, ~inside)):
            following = self._next(turn, valid)
            numbers = (Mux(following[k], k, 0) for k in range(count))
            m.d.sync += [turn.eq(Cat(following)), chosen.eq(reduce(or_, numbers))]
        return m

    def _next(self, turn: Any, valid: Any) -> list[Any]:
        """Whose turn is next: of the nearest valid input above, wrapping; else of the same, or of ``i0``."""
        count = self.inputs
        alone = ~(valid & ~turn).any()
        following: list[Any] = []
        for k in range(count):
            mine: Any = turn[k] & valid[k] & alone
            if k == 0:
                mine = mine | ~valid.any()
            nearer: Any = Const(0)
            for distance in range(1, count):
                mine = mine | (turn[(k - distance) % count] & valid[k] & ~nearer)
                nearer = nearer | valid[(k - distance) % count]
            following.append(mine)
        return following


class TlpArbiter(Component):
    """Merges the requests of the device, and puts its requester ID into every header.

    Parameters: ``data_width`` (W); ``inputs``, how many streams.

    Members:

    - ``i0``, ``i1``, ... In streams of request_beat(W).
    - ``o`` Out stream of request_beat(W).
    - ``requester_id`` In 16: a change takes effect with the next packet that begins a cycle later or more.
    - ``idle`` Out 1: no packet is in flight and nothing is held.

    Latency, throughput and errors: as :class:`PacketArbiter`.
    Ref: PCI Express Base Specification 3.1, 2.2.6.2 (requester ID).
    """

    def __init__(self, data_width: int, inputs: int):
        self.data_width = data_width
        self.inputs = inputs
        super().__init__({**_members(request_beat(data_width), inputs), "requester_id": In(16)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.arbiter = arbiter = PacketArbiter(request_beat(self.data_width), self.inputs)
        stamp = Signal(16)
        with m.If(arbiter.between):
            m.d.sync += stamp.eq(self.requester_id)
        for k in range(self.inputs):
            outer, inner = getattr(self, f"i{k}"), getattr(arbiter, f"i{k}")
            m.d.comb += [
                inner.p.eq(outer.p),
                inner.p.header.requester_id.eq(stamp),
                inner.valid.eq(outer.valid),
                outer.ready.eq(inner.ready),
            ]
        wiring.connect(m, arbiter.o, wiring.flipped(self.o))
        m.d.comb += self.idle.eq(arbiter.idle)
        return m
