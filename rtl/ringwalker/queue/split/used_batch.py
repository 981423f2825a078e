"""Used elements gathered into batches: as many as one write can carry.

Ref: virtio 1.4, 2.7.8 (The Virtqueue Used Ring).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...interfaces import QueueClear, QueueRead
from ...spec.ring import DEVICE_ALIGN, USED_ENTRY_BYTES, USED_RING_OFFSET
from ...streams import QUEUE_BITS, Completed, stream_of
from ..ring.limits import IN_ORDER_CHAINS

__all__ = ["BATCH_BYTES", "BATCH_ELEMENTS", "UsedBatch", "UsedCollector"]

BATCH_BYTES = 128
"""Batches end at multiples of this, or in the element that goes beyond it: the smallest maximum payload."""

BATCH_ELEMENTS = BATCH_BYTES // USED_ENTRY_BYTES

_PAGE_DWORDS = 4096 // 4


class UsedBatch(data.Struct):
    """``count`` used elements to be written from ``address`` on. ``ring`` is where the used ring is, ``idx``
    the used index after them. ``crosses``: it is one element, and its halves lie in different 4 KiB pages.
    """

    queue: unsigned(QUEUE_BITS)
    ring: unsigned(64)
    address: unsigned(64)
    idx: unsigned(16)
    count: unsigned(BATCH_ELEMENTS.bit_length())
    crosses: unsigned(1)


class _Element(data.Struct):
    """A used element and its place; ``first`` and ``last``: it can only begin, or end, a batch. ``whole``:
    others may be used with it, of which nothing is said."""

    queue: unsigned(QUEUE_BITS)
    ring: unsigned(64)
    address: unsigned(64)
    idx: unsigned(16)
    first: unsigned(1)
    last: unsigned(1)
    whole: unsigned(1)
    crosses: unsigned(1)
    value: unsigned(8 * USED_ENTRY_BYTES)


class UsedCollector(Component):
    """Finds the place of each used element, and gathers those of one queue that follow each other in memory.

    Parameters: ``data_width`` in bits; ``queues``, how many there are.

    Members (W is ``data_width``):

    - ``completed`` In; ``table`` Out(QueueRead()); ``clear`` In(QueueClear()): set a queue's used index.
    - ``in_order`` In 1: a batch has one element, that of its last chain, in the place of the first; all
      chains but the last are ``whole``, and there are ``IN_ORDER_CHAINS`` at most.
    - ``batch`` Out UsedBatch, when ``waiting`` Out 1: what has been gathered. It grows until it is taken.
    - ``full`` Out 1: it does not grow any more.
    - ``take`` In 1: ``batch`` is taken, and a new one begins. Only with ``waiting``.
    - ``row`` In: ``elements`` Out W are those with this number, W bits at a time, of the batch that was taken
      last, combinationally.
    - ``idle`` Out 1: nothing is gathered or on its way.

    An element is in the batch three cycles after its chain was taken. One chain every two cycles.
    """

    def __init__(self, data_width: int, queues: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._width = data_width
        self._queues = queues
        self._rows = 8 * BATCH_BYTES // data_width
        super().__init__(
            {
                "completed": In(stream_of(Completed)),
                "in_order": In(1),
                "table": Out(QueueRead()),
                "clear": In(QueueClear()),
                "batch": Out(UsedBatch),
                "waiting": Out(1),
                "full": Out(1),
                "take": In(1),
                "row": In(range(self._rows)),
                "elements": Out(data_width),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        element: Any = Signal(_Element)
        placed, joins, looked, alike = Signal(), Signal(), Signal(), Signal()
        with m.If(~placed | joins):
            m.d.sync += placed.eq(looked & ~placed)
        self._place(m, element, looked, ~placed, alike)
        self._gather(m, element, placed, joins, alike)
        m.d.comb += self.idle.eq(~looked & ~placed & ~self.waiting)
        return m

    def _place(self, m: Any, element: Any, looked: Signal, moves: Any, alike: Signal) -> None:
        """Look up the queue of a chain, and find the address of its element. ``alike``: that of the batch.

        The position of the queue that had the last element stands in registers, those of others in memory.
        """
        m.submodules.positions = positions = Memory(shape=16, depth=self._queues, init=[])
        look: Any = positions.read_port()
        move: Any = positions.write_port()
        chain: Any = Signal(Completed)
        known, follows, same, slot_zero = Signal(), Signal(), Signal(), Signal()
        position, following = Signal(16), Signal(64)
        ring, address = Signal(64), Signal(64)
        row = self.table.row
        slot = position & (row.size - 1)
        m.d.comb += [
            self.completed.ready.eq(~looked | moves),
            self.table.en.eq(self.completed.valid & self.completed.ready),
            self.table.index.eq(self.completed.payload.queue),
            look.en.eq(self.table.en),
            look.addr.eq(self.completed.payload.queue),
            same.eq(known & follows),
            position.eq(Mux(same, element.idx, look.data)),
            slot_zero.eq(slot == 0),
            ring.eq(Cat(Const(0, DEVICE_ALIGN.bit_length() - 1), row.device[2:])),
            following.eq(element.address + USED_ENTRY_BYTES),
            address.eq(
                Mux(same & ~slot_zero, following, ring + USED_RING_OFFSET + slot * USED_ENTRY_BYTES),
            ),
            move.en.eq(self.clear.en | (looked & moves)),
            move.addr.eq(Mux(self.clear.en, self.clear.index, chain.queue)),
            move.data.eq(Mux(self.clear.en, self.clear.position, position + 1)),
        ]
        with m.If(self.completed.ready):
            m.d.sync += [looked.eq(self.completed.valid), chain.eq(self.completed.payload)]
            # A chain that is looked up now is the element next to it.
            m.d.sync += follows.eq(self.completed.payload.queue == Mux(looked, chain.queue, element.queue))
        with m.If(looked & moves):
            in_batch: Any = address[: (BATCH_BYTES - 1).bit_length()]
            m.d.sync += [
                known.eq(1),
                alike.eq(chain.queue == self.batch.queue),
                element.queue.eq(chain.queue),
                element.ring.eq(ring),
                element.address.eq(address),
                element.idx.eq(position + 1),
                element.first.eq(slot_zero | (address[2:12] == _PAGE_DWORDS - 1)),
                element.last.eq(in_batch >= BATCH_BYTES - USED_ENTRY_BYTES),
                element.whole.eq(chain.whole),
                element.crosses.eq(address[2:12] == _PAGE_DWORDS - 1),
                element.value.eq(Cat(chain.id, Const(0, 16), chain.written)),
            ]
        with m.If(self.clear.en):
            m.d.sync += known.eq(0)

    def _gather(self, m: Any, element: Any, placed: Signal, joins: Signal, alike: Signal) -> None:
        """Put an element into the batch, or the first of a new one, in one of two banks."""
        memory: Any = Memory(shape=unsigned(self._width), depth=2 * self._rows, init=[])
        m.submodules.banks = memory
        write, read = memory.write_port(granularity=8 * USED_ENTRY_BYTES), memory.read_port(domain="comb")
        lanes = self._width // (8 * USED_ENTRY_BYTES)
        lane_bits = (lanes - 1).bit_length()
        bank, ended, begins = Signal(), Signal(), Signal()
        members = Signal(range(IN_ORDER_CHAINS + 1))
        batch, number = self.batch, Signal(range(BATCH_ELEMENTS))
        fits = ~ended & alike & (self.in_order | ~element.first)
        m.d.comb += [
            begins.eq(self.take | ~self.waiting),
            joins.eq(placed & (begins | fits)),
            # With IN_ORDER the last element stands for all, in the place of the first.
            number.eq(Mux(begins | self.in_order, 0, batch.count)),
            self.waiting.eq(batch.count != 0),
            self.full.eq(ended | (placed & ~fits)),
            write.addr.eq(Cat(number[lane_bits:], bank ^ self.take)),
            write.data.eq(element.value.replicate(lanes)),
            write.en.eq(Mux(joins, Const(1, lanes) << number[:lane_bits], 0)),
            read.addr.eq(Cat(self.row, ~bank)),
            self.elements.eq(read.data),
        ]
        with m.If(self.take):
            m.d.sync += [bank.eq(~bank), batch.count.eq(0)]
        with m.If(joins):
            m.d.sync += [
                batch.count.eq(number + 1),
                batch.idx.eq(element.idx),
                members.eq(Mux(begins, 1, members + 1)),
                ended.eq(
                    Mux(
                        self.in_order,
                        ~element.whole | (~begins & (members == IN_ORDER_CHAINS - 1)),
                        element.last,
                    )
                ),
            ]
            with m.If(begins):
                m.d.sync += [
                    batch.queue.eq(element.queue),
                    batch.ring.eq(element.ring),
                    batch.address.eq(element.address),
                    batch.crosses.eq(element.crosses),
                ]
