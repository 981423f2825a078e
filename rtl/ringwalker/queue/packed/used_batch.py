"""Used descriptors gathered into batches: as many as one write can carry, or one for all that are in order.

Ref: virtio 1.4, 2.8.1, 2.8.8 (In-order use of descriptors).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...interfaces import QueueClear, QueueRead
from ...spec.packed import DESC_F_AVAIL, DESC_F_USED
from ...spec.ring import DESC_BYTES, DESC_F_WRITE
from ...streams import QUEUE_BITS, Completed, stream_of
from ..ring.limits import IN_ORDER_CHAINS
from .place import Place, advanced

__all__ = ["BATCH_DESCRIPTORS", "PackedBatch", "PackedCollector", "UsedPlace"]

BATCH_DESCRIPTORS = 8
"""A batch ends at multiples of so many descriptors in memory: what the smallest maximum payload carries."""

_SHIFT = DESC_BYTES.bit_length() - 1
_BITS = 8 * DESC_BYTES


class UsedPlace(data.Struct):
    """``queue`` is used up to before ``place``; ``total`` counts its used descriptors, modulo 2^16. ``more``:
    others of it are about to be written, so the driver need not be notified of these."""

    queue: unsigned(QUEUE_BITS)
    place: Place
    total: unsigned(16)
    more: unsigned(1)


class PackedBatch(data.Struct):
    """``count`` used descriptors from ``address`` on. ``upper`` is the upper half of the first of them; the
    lower half of a used descriptor means nothing. ``after``: how far the queue is used with them."""

    address: unsigned(64)
    upper: unsigned(64)
    count: range(BATCH_DESCRIPTORS + 1)
    after: UsedPlace


class _Element(data.Struct):
    """A used descriptor. ``follows``: it stands behind the one before, and can be in one write with it.
    ``whole``: others may be used with it, of which nothing is said."""

    address: unsigned(64)
    upper: unsigned(64)
    follows: unsigned(1)
    whole: unsigned(1)
    after: UsedPlace


class PackedCollector(Component):
    """Finds the place of each used descriptor, and gathers those that one write can carry.

    With ``in_order`` a batch has one descriptor, that of its last chain, in the place of the first; all
    chains but the last are ``whole``, and there are ``IN_ORDER_CHAINS`` at most.

    Parameters: ``data_width`` in bits; ``queues``, how many there are.

    Members (W is ``data_width``):

    - ``completed`` In stream of Completed; ``in_order`` In 1: VIRTIO_F_IN_ORDER was negotiated.
    - ``table`` Out(QueueRead()); ``clear`` In(QueueClear()), ``total`` In 16: set a queue's place, and how
      many descriptors were used.
    - ``batch`` Out PackedBatch, when ``waiting`` Out 1: what has been gathered. It grows until it is taken.
    - ``full`` Out 1: it does not grow any more.
    - ``take`` In 1: ``batch`` is taken, and a new one begins. Only with ``waiting``.
    - ``row`` In: ``others`` Out W are those with this number, W bits at a time, of the descriptors but the
      first of the batch that was taken last, combinationally.
    - ``idle`` Out 1: nothing is gathered or on its way.

    Latency: 3 cycles from a chain to the batch. Throughput: a chain every two cycles.
    """

    def __init__(self, data_width: int, queues: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._width = data_width
        self._queues = queues
        self._rows = BATCH_DESCRIPTORS * _BITS // data_width
        super().__init__(
            {
                "completed": In(stream_of(Completed)),
                "in_order": In(1),
                "table": Out(QueueRead()),
                "clear": In(QueueClear()),
                "total": In(16),
                "batch": Out(PackedBatch),
                "waiting": Out(1),
                "full": Out(1),
                "take": In(1),
                "row": In(range(self._rows)),
                "others": Out(data_width),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        element: Any = Signal(_Element)
        placed, joins, looked = Signal(), Signal(), Signal()
        with m.If(~placed | joins):
            m.d.sync += placed.eq(looked & ~placed)
        self._place(m, element, looked, ~placed)
        self._gather(m, element, placed, joins)
        m.d.comb += self.idle.eq(~looked & ~placed & ~self.waiting)
        return m

    def _place(self, m: Any, element: Any, looked: Signal, moves: Any) -> None:
        """Look up the queue of a chain, and where its used descriptor goes: behind what was used before."""
        shape = data.StructLayout({"place": Place, "total": 16})
        m.submodules.places = places = Memory(shape=shape, depth=self._queues, init=[])
        look: Any = places.read_port()
        move: Any = places.write_port()
        chain: Any = Signal(Completed)
        here: Any = Signal(shape)
        known, again, starts = Signal(), Signal(), Signal()
        row, flags = self.table.row, Signal(16)
        after: Any = Signal(UsedPlace)
        address: Any = Signal(64)
        m.d.comb += [
            self.completed.ready.eq(~looked | moves),
            self.table.en.eq(self.completed.valid & self.completed.ready),
            self.table.index.eq(self.completed.payload.queue),
            look.en.eq(self.table.en),
            look.addr.eq(self.completed.payload.queue),
            # What the memory shows may be from before the chain that is placed now.
            here.place.eq(Mux(known & again, element.after.place.as_value(), look.data.place.as_value())),
            here.total.eq(Mux(known & again, element.after.total, look.data.total)),
            after.queue.eq(chain.queue),
            after.place.eq(advanced(here.place, chain.span, row.size)),
            after.total.eq(here.total + chain.span),
            address.eq(Cat(Const(0, _SHIFT), row.desc[_SHIFT:] + here.place.offset)),
            starts.eq((address[_SHIFT : _SHIFT + 3] == 0) | (here.place.offset == 0)),
            flags.eq(
                Mux(here.place.lap, 0, DESC_F_AVAIL | DESC_F_USED) | Mux(chain.written != 0, DESC_F_WRITE, 0)
            ),
            move.en.eq(self.clear.en | (looked & moves)),
            move.addr.eq(Mux(self.clear.en, self.clear.index, chain.queue)),
            move.data.eq(
                Mux(self.clear.en, Cat(self.clear.position, self.total), Cat(after.place, after.total))
            ),
        ]
        single = Signal()
        with m.If(self.completed.ready):
            m.d.sync += [looked.eq(self.completed.valid), chain.eq(self.completed.payload)]
            m.d.sync += again.eq(
                self.completed.payload.queue == Mux(looked, chain.queue, element.after.queue)
            )
        with m.If(looked & moves):
            m.d.sync += [
                known.eq(1),
                single.eq(chain.span == 1),
                element.address.eq(address),
                element.upper.eq(Cat(chain.written, chain.id, flags)),
                element.follows.eq(
                    known & again & Mux(self.in_order, element.whole, single & ~starts),
                ),
                element.whole.eq(chain.whole),
                element.after.eq(after),
            ]
        with m.If(self.clear.en):
            m.d.sync += known.eq(0)

    def _gather(self, m: Any, element: Any, placed: Signal, joins: Signal) -> None:
        """Put a descriptor into the batch, or begin one; all but the first stand in one of two banks."""
        bits = max(_BITS, self._width)
        parts, lanes = bits // self._width, bits // _BITS
        memory: Any = Memory(shape=unsigned(bits), depth=2 * BATCH_DESCRIPTORS // lanes, init=[])
        m.submodules.banks = memory
        write, read = memory.write_port(granularity=_BITS), memory.read_port(domain="comb")
        lane_bits, part_bits = (lanes - 1).bit_length(), (parts - 1).bit_length()
        bank, begins, grows, ended, batch = Signal(), Signal(), Signal(), Signal(), self.batch
        slot, members = Signal(range(BATCH_DESCRIPTORS)), Signal(range(IN_ORDER_CHAINS + 1))
        whole: Any = Cat(Const(0, 64), element.upper)
        m.d.comb += [
            grows.eq(element.follows & ~ended),
            begins.eq(self.take | ~self.waiting),
            joins.eq(placed & (begins | grows)),
            # The first is not among the others.
            slot.eq(batch.count - 1),
            self.waiting.eq(batch.count != 0),
            self.full.eq(ended | (placed & ~grows)),
            write.addr.eq(Cat(slot[lane_bits:], bank)),
            write.data.eq(whole.replicate(lanes)),
            write.en.eq(Mux(joins & ~begins, Const(1, lanes) << slot[:lane_bits], 0)),
            read.addr.eq(Cat(self.row[part_bits:], ~bank)),
            self.others.eq(read.data.word_select(self.row[:part_bits], self._width)),
        ]
        with m.If(self.take):
            m.d.sync += [bank.eq(~bank), batch.count.eq(0), ended.eq(0)]
        with m.If(joins):
            m.d.sync += batch.after.eq(element.after)
            m.d.sync += members.eq(Mux(begins, 1, members + 1))
            with m.If(begins):
                m.d.sync += [batch.count.eq(1), batch.address.eq(element.address), ended.eq(0)]
                m.d.sync += batch.upper.eq(element.upper)
            with m.Elif(self.in_order):
                # The flags say on which lap the descriptor stands, which is that of the first chain.
                lap, kept = DESC_F_AVAIL | DESC_F_USED, batch.upper[48:]
                m.d.sync += ended.eq(members == IN_ORDER_CHAINS - 1)
                m.d.sync += batch.upper.eq(
                    Cat(element.upper[:48], (element.upper[48:] & ~Const(lap, 16)) | (kept & lap))
                )
            with m.Else():
                m.d.sync += [
                    batch.count.eq(batch.count + 1),
                    ended.eq(batch.count == BATCH_DESCRIPTORS - 1),
                ]
