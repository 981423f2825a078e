"""Buffers, arbiters and the scheduler: nothing is lost, mixed or starved."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Mux, Signal
from amaranth.lib import data

from ..mutants.change import Change
from .bench import Bench
from .property import statement

__all__ = ["PROPERTIES"]

_BEAT = data.StructLayout({"data": 4, "first": 1, "last": 1})


def _taken(one: Any) -> Any:
    return one.valid & one.ready


def _counts(b: Bench, it: Any) -> Signal:
    """The items that went into ``i`` are numbered, and must come out of ``o`` so; how many are inside."""
    inward, outward, inside = Signal(4), Signal(4), Signal(4)
    b.assume(it.i.payload == inward)
    b.m.d.sync += [inward.eq(inward + _taken(it.i)), outward.eq(outward + _taken(it.o))]
    b.m.d.comb += inside.eq(inward - outward)
    b.prove(~it.o.valid | (it.o.payload == outward))
    return inside


@statement(
    "buffers",
    "ElasticBuffer",
    "any data, since it looks at none",
    4,
    Change("the spare item is overtaken", "Mux(spare_valid, spare, self.i.payload)", "self.i.payload"),
)
def elastic_buffer_keeps_order(b: Bench, cls: Any) -> None:
    """What goes in comes out in the same order, each item once."""
    it = b.block(cls(4))
    inside = _counts(b, it)
    spare = b.inside("spare")
    b.prove(inside == it.o.valid + b.inside("spare_valid"))
    b.prove(~b.inside("spare_valid") | (it.o.valid & (spare == (it.o.payload + 1)[:4])))


@statement(
    "buffers",
    "HalfBuffer",
    "any data, since it looks at none",
    2,
    Change("it takes an item while it holds one", "self.i.ready.eq(~self.o.valid), ", "self.i.ready.eq(1), "),
)
def half_buffer_keeps_order(b: Bench, cls: Any) -> None:
    """What goes in comes out in the same order, each item once."""
    it = b.block(cls(4))
    b.prove(_counts(b, it) == it.o.valid)


@statement(
    "buffers",
    "StreamFifo",
    "depth 2; any data, since it looks at none",
    10,
    Change("an item is taken when there is no room", "self.i.ready.eq(fifo.w_rdy)", "self.i.ready.eq(1)"),
    inductive=False,
)
def fifo_keeps_order(b: Bench, cls: Any) -> None:
    """What goes in comes out in the same order, each item once."""
    _counts(b, b.block(cls(4, 2)))


def _arbiter(b: Bench, cls: Any, inputs: int = 3) -> tuple[Any, list[Any], Any]:
    """An arbiter whose inputs offer well-formed packets; its inputs, and which of them are taken."""
    it = b.block(cls(_BEAT, inputs))
    sources = [getattr(it, f"i{k}") for k in range(inputs)]
    b.input_holds(*sources)
    taken = Signal(inputs)
    b.m.d.comb += taken.eq(Cat(map(_taken, sources)))
    return it, sources, taken


def _turns(b: Bench, it: Any) -> Any:
    """What makes it inductive: the turn is one input's, and the number is that of the bit."""
    turn, chosen = b.inside("turn"), b.inside("chosen")
    b.prove(reduce(or_, ((turn == 1 << k) & (chosen == k) for k in range(it.inputs))))
    return turn


@statement(
    "tlp.arbiter",
    "PacketArbiter",
    "3 inputs",
    2,
    Change("two can have their turn", "mine = mine | ~valid.any()", "mine = mine | ~valid.all()"),
)
def arbiter_takes_from_one(b: Bench, cls: Any) -> None:
    """In a cycle a beat is taken from one input at most."""
    it, _sources, taken = _arbiter(b, cls)
    _turns(b, it)
    b.prove((taken & (taken - 1)[:3]) == 0)


@statement(
    "tlp.arbiter",
    "PacketArbiter",
    "3 inputs, any data",
    2,
    Change(
        "the turn goes on within a packet",
        "Mux(offered, free & last, ~inside)",
        "Mux(offered, free, ~inside)",
    ),
)
def arbiter_keeps_packets_whole(b: Bench, cls: Any) -> None:
    """Between the beats of a packet no other input is taken from."""
    it, sources, taken = _arbiter(b, cls)
    turn, inside, owner = _turns(b, it), Signal(), Signal(3)
    last = reduce(or_, (taken[k] & source.p.last for k, source in enumerate(sources)))
    with b.m.If(taken.any()):
        b.m.d.sync += [owner.eq(taken), inside.eq(~last)]
    b.prove(~inside | ~taken.any() | (taken == owner))
    b.prove((inside == b.inside("inside")) & (~inside | (turn == owner)))


@statement(
    "tlp.arbiter",
    "PacketArbiter",
    "3 inputs, any data",
    2,
    Change(
        "a beat is passed on twice",
        "self.o.valid.eq(offered), self.o.p",
        "self.o.valid.eq(offered | self.o.valid), self.o.p",
    ),
)
def arbiter_passes_on_what_it_takes(b: Bench, cls: Any) -> None:
    """Each beat that is taken is offered in the next cycle, and nothing else ever is."""
    it, sources, taken = _arbiter(b, cls)
    _turns(b, it)
    data_taken = reduce(or_, (Mux(taken[k], s.p.as_value(), 0) for k, s in enumerate(sources)))
    waits = b.past(it.o.valid & ~it.o.ready)
    b.prove(~b.begun | (it.o.valid == (b.past(taken.any()) | waits)))
    b.prove(~b.past(taken.any()) | (it.o.p.as_value() == b.past(data_taken)))
    b.prove(~(taken.any() & it.o.valid & ~it.o.ready))


@statement(
    "tlp.arbiter",
    "PacketArbiter",
    "3 inputs",
    2,
    Change("the same input may go on", "turn[k] & valid[k] & alone", "turn[k] & valid[k]"),
    mutant_depth=12,
)
def arbiter_starves_nobody(b: Bench, cls: Any) -> None:
    """While an input waits, at most two packets of others end before it is taken from."""
    it, sources, taken = _arbiter(b, cls)
    turn = _turns(b, it)
    ended = Signal(2)
    waits = sources[1].valid & ~taken[1]
    ends = reduce(or_, (taken[k] & sources[k].p.last for k in (0, 2)))
    b.m.d.sync += ended.eq(Mux(waits & ~ended.all(), ended + ends, 0))
    # From the turn of i2 it goes over i0 to i1.
    b.prove(ended <= Mux(turn == 0b100, 0, Mux(turn == 0b001, 1, 2)))


@statement(
    "merge",
    "StreamMerge",
    "4 bits, 3 inputs",
    2,
    Change(
        "the turn stays", "turn.eq(Mux(self.chosen == self._inputs - 1, 0, self.chosen + 1))", "turn.eq(turn)"
    ),
    mutant_depth=12,
)
def merge_by_turns_starves_nobody(b: Bench, cls: Any) -> None:
    """With ``turns``, while an input waits at most two items of others are taken."""
    it = b.block(cls(4, 3, turns=True))
    sources = [it.i0, it.i1, it.i2]
    b.input_holds(*sources)
    others = Signal(2)
    waits = it.i1.valid & ~it.i1.ready
    b.m.d.sync += others.eq(Mux(waits & ~others.all(), others + (_taken(it.i0) | _taken(it.i2)), 0))
    # Who comes before i1, from what is held or whose turn it is: i2 and i0, or i0 alone.
    first = Mux(b.inside("held"), b.inside("kept"), b.inside("turn"))
    b.prove(others <= Mux(first == 2, 0, Mux(first == 0, 1, 2)))
    b.prove((b.inside("turn") < 3) & (b.inside("kept") < 3))


PROPERTIES = (
    elastic_buffer_keeps_order,
    half_buffer_keeps_order,
    fifo_keeps_order,
    arbiter_takes_from_one,
    arbiter_keeps_packets_whole,
    arbiter_passes_on_what_it_takes,
    arbiter_starves_nobody,
    merge_by_turns_starves_nobody,
)
