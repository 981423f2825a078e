"""The rule of streams: what is offered stays, and does not change, until it is taken."""

from collections.abc import Callable
from typing import Any

from amaranth.lib import data

from ..mutants.change import Change
from .bench import Bench
from .property import Property

__all__ = ["PROPERTIES"]

_FORGETS = "what is offered is replaced though it was not taken"
_BEAT = data.StructLayout({"data": 4, "first": 1, "last": 1})

Make = Callable[[Any], Any]


def _holds(
    module: str,
    block: str,
    where: str,
    make: Make,
    fault: tuple[str, str],
    output: str = "o",
    inputs: tuple[str, ...] = ("i",),
    unless: str = "",
    depth: int = 2,
    **options: Any,
) -> Property:
    def build(b: Bench, cls: Any) -> None:
        it = b.block(make(cls))
        b.input_holds(*(getattr(it, name) for name in inputs))
        b.output_holds(getattr(it, output), getattr(it, unless) if unless else 0)

    stem = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in block)[1:]
    more = f", unless `{unless}` is up" if unless else ""
    says = f"What it offers on `{output}` stays, and does not change, until it is taken{more}."
    name = f"{stem}_keeps_its_offers"
    return Property(name, module, block, says, where, depth, build, Change(_FORGETS, *fault), **options)


_FREE = "free.eq(~self.o.valid | self.o.ready)"
_ANY_TIME = "free.eq(1)"

PROPERTIES = (
    _holds(
        "buffers",
        "ElasticBuffer",
        "4 bits",
        lambda cls: cls(4),
        ("with m.If(~self.o.valid | self.o.ready):", "with m.If(1):"),
    ),
    _holds(
        "buffers",
        "HalfBuffer",
        "4 bits",
        lambda cls: cls(4),
        ("self.i.ready.eq(~self.o.valid), self.idle", "self.i.ready.eq(1), self.idle"),
    ),
    _holds(
        "buffers",
        "StreamFifo",
        "4 bits, depth 3",
        lambda cls: cls(4, 3),
        ("fifo.r_en.eq(self.o.ready)", "fifo.r_en.eq(1)"),
        depth=12,
        inductive=False,
    ),
    _holds(
        "merge",
        "StreamMerge",
        "4 bits, 3 inputs",
        lambda cls: cls(4, 3),
        ("self.chosen.eq(Mux(held, kept, best))", "self.chosen.eq(best)"),
        inputs=("i0", "i1", "i2"),
    ),
    _holds(
        "tlp.arbiter",
        "PacketArbiter",
        "packets of 4 bits, 3 inputs",
        lambda cls: cls(_BEAT, 3),
        (_FREE, _ANY_TIME),
        inputs=("i0", "i1", "i2"),
    ),
    _holds("dma.cutter", "Cutter", "all", lambda cls: cls(), (_FREE, _ANY_TIME), mutant_depth=6),
    _holds("dma.byte_packer", "BytePacker", "64 bits", lambda cls: cls(64), (_FREE, _ANY_TIME), depth=6),
    _holds(
        "dma.realign",
        "Realign",
        "64 bits",
        lambda cls: cls(64),
        (f"m.d.comb += [{_FREE}", f"m.d.comb += [{_ANY_TIME}"),
        inputs=("i", "placements"),
        depth=6,
    ),
    _holds(
        "dma.posted",
        "PacketBuffer",
        "64 bits, 4 beats",
        lambda cls: cls(64, 4),
        ("advance.eq(~self.o.valid | self.o.ready)", "advance.eq(1)"),
        depth=8,
    ),
    _holds("dma.posted", "PostedGate", "64 bits", lambda cls: cls(64), (_FREE, _ANY_TIME)),
    _holds(
        "dma.segment_lists",
        "SegmentWalker",
        "all",
        lambda cls: cls(),
        (_FREE, _ANY_TIME),
        inputs=("lists",),
        depth=8,
    ),
    _holds(
        "dma.planner",
        "WritePlanner",
        "all",
        lambda cls: cls(),
        ("(exhausted | offered)", "exhausted"),
        output="completed",
        inputs=("owners", "segments", "replies"),
        depth=6,
        mutant_depth=10,
    ),
    _holds(
        "transport.interrupt_router",
        "InterruptRouter",
        "all",
        lambda cls: cls(),
        ("free.eq(~vectors.valid | vectors.ready)", "free.eq(1)"),
        output="vectors",
        inputs=("interrupts",),
        unless="clear",
    ),
    _holds(
        "queue.scheduler",
        "Scheduler",
        "4 queues",
        lambda cls: cls(4),
        ("with m.If(~self.visits.valid | self.visits.ready):", "with m.If(1):"),
        output="visits",
        inputs=("doorbells",),
    ),
)
