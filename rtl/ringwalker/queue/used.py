"""The used ring: where the device says which chains it is done with.

Ref: virtio 1.4, 2.7.8 (The Virtqueue Used Ring), 2.7.8.2 (the element before the index).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..interfaces import QueueClear, QueueRead
from ..spec.ring import DEVICE_ALIGN, USED_ENTRY_BYTES, USED_FLAGS_OFFSET, USED_IDX_OFFSET, USED_RING_OFFSET
from ..spec.tlp import RequestKind
from ..streams import QUEUE_BITS, Completed, Visit, request_beat

__all__ = ["UsedWriter"]

_PAGE_DWORDS = 4096 // 4


class UsedWriter(wiring.Component):
    """Writes a used element, then the used index, for each chain that is completed.

    Members: ``completed`` In; ``table`` Out(QueueRead()); ``writes`` Out stream of request_beat, memory
    writes of one beat; ``used`` Out stream of Visit, the queue, after its index write was accepted; ``clear``
    In(QueueClear()), forgets the used index of a queue; ``idle`` Out 1.

    Five cycles a chain, one more when the element crosses a 4 KiB boundary and so is two writes.
    """

    completed: Any
    table: Any
    writes: Any
    used: Any
    clear: Any
    idle: Any

    def __init__(self, data_width: int, queues: int):
        if not 1 <= queues <= 1 << QUEUE_BITS:
            raise ValueError(f"queues is {queues!r}; it must be from 1 to {1 << QUEUE_BITS}")
        self._queues = queues
        super().__init__(
            {
                "completed": In(stream.Signature(Completed)),  # pyright: ignore[reportArgumentType]
                "table": Out(QueueRead()),
                "writes": Out(stream.Signature(request_beat(data_width))),  # pyright: ignore[reportArgumentType]
                "used": Out(stream.Signature(Visit)),  # pyright: ignore[reportArgumentType]
                "clear": In(QueueClear()),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.positions = positions = Memory(shape=16, depth=self._queues, init=[])
        look: Any = positions.read_port()
        move: Any = positions.write_port()
        chain: Any = Signal(Completed)
        ring = Signal(64)
        element_address: Any = Signal(64)
        idx = Signal(16)
        row = self.table.row
        m.d.comb += [
            self.table.en.eq(self.completed.valid & self.completed.ready),
            self.table.index.eq(self.completed.payload.queue),
            look.en.eq(self.table.en),
            look.addr.eq(self.completed.payload.queue),
            move.en.eq(self.clear.en),
            move.addr.eq(Mux(self.clear.en, self.clear.index, chain.queue)),
            move.data.eq(Mux(self.clear.en, 0, idx)),
            self.used.payload.queue.eq(chain.queue),
        ]
        beat, header = self.writes.payload, self.writes.payload.header
        element = Cat(chain.head, Const(0, 16), chain.written)
        crosses = element_address[2:12] == _PAGE_DWORDS - 1
        m.d.comb += [
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.length.eq(1),
            header.first_be.eq(0xF),
            beat.first.eq(1),
            beat.last.eq(1),
            beat.dwords.eq(1),
        ]
        with m.FSM(init="CHAIN") as fsm:
            with m.State("CHAIN"):
                m.d.comb += self.completed.ready.eq(1)
                m.d.sync += chain.eq(self.completed.payload)
                with m.If(self.completed.valid):
                    m.next = "ROW"
            with m.State("ROW"):
                aligned: Any = Cat(Const(0, DEVICE_ALIGN.bit_length() - 1), row.device[2:])
                offset = (look.data & (row.size - 1)) * USED_ENTRY_BYTES
                m.d.sync += [
                    ring.eq(aligned),
                    element_address.eq(aligned + USED_RING_OFFSET + offset),
                    idx.eq(look.data + 1),
                ]
                m.next = "ELEMENT"
            with m.State("ELEMENT"):
                m.d.comb += [
                    self.writes.valid.eq(1),
                    header.address.eq(element_address),
                    beat.data.eq(element),
                ]
                with m.If(~crosses):
                    m.d.comb += [header.length.eq(2), header.last_be.eq(0xF), beat.dwords.eq(0b11)]
                with m.If(self.writes.ready):
                    m.next = "INDEX"
                    with m.If(crosses):
                        m.next = "ELEMENT_END"
            with m.State("ELEMENT_END"):
                m.d.comb += [
                    self.writes.valid.eq(1),
                    header.address.eq(element_address + 4),
                    beat.data.eq(chain.written),
                ]
                with m.If(self.writes.ready):
                    m.next = "INDEX"
            with m.State("INDEX"):
                shift = USED_IDX_OFFSET - USED_FLAGS_OFFSET
                m.d.comb += [
                    self.writes.valid.eq(1),
                    header.address.eq(ring + USED_FLAGS_OFFSET),
                    header.first_be.eq(0b11 << shift),
                    beat.data.eq(Cat(Const(0, 8 * shift), idx)),
                ]
                with m.If(self.writes.ready):
                    m.d.comb += move.en.eq(1)
                    m.next = "USED"
            with m.State("USED"):
                m.d.comb += self.used.valid.eq(1)
                with m.If(self.used.ready):
                    m.next = "CHAIN"
            m.d.comb += self.idle.eq(fsm.ongoing("CHAIN"))
        return m
