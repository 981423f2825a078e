"""The MSI-X table and its pending bits."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..memories import READ_APART
from ..spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY, MsixVectorControl
from ..spec.tlp import RequestKind, request_beat
from ..streams import RegisterRequest, stream_of
from .capabilities import msix_pba_offset
from .endpoint import EdgeConfig

__all__ = ["MsixTable"]

_ENTRY_BITS = 8 * MSIX_ENTRY_BYTES
_ENTRY_SHIFT = MSIX_ENTRY_BYTES.bit_length() - 1


def _entry_bits(name: str) -> slice:
    """Where a register of a table entry stands in the row."""
    register = MSIX_TABLE_ENTRY[name]
    return slice(8 * register.offset, 8 * register.offset + register.width)


_CONTROL = _entry_bits("vector_control")
_MASK_BIT = _CONTROL.start + int(MsixVectorControl.MASK).bit_length() - 1
_RESET_ROW = sum(row.reset << 8 * row.offset for row in MSIX_TABLE_ENTRY)
# Reserved bits read 0: the low bits of the address, all of vector control but the mask.
_KEPT = (1 << _CONTROL.start) - 1 & ~0b11 | 1 << _MASK_BIT


class MsixTable(Component):
    """Turns vectors into messages, or remembers them while they are masked.

    A vector is masked by its own mask bit, by ``function_mask``, or by MSI-X being off. A masked vector
    sets its pending bit; when the mask goes, the message is sent and the bit cleared. A reset of the device
    clears the pending bits and nothing else, since what they stand for is void. A vector that the
    table does not have is dropped. All entries are masked after reset. A message that waits for the link
    holds up other vectors, but no register; it is sent though its vector is masked meanwhile.

    Parameters: ``config`` (the data width and the number of vectors).

    Members (W is ``config.data_width``):

    - ``registers`` In(RegisterPort()): table from offset 0, pending bits from ``msix_pba_offset``
    - ``vectors`` In stream of 16
    - ``messages`` Out stream of request_beat(W): memory writes of one dword, without a requester ID
    - ``enable`` In 1: messages may be sent
    - ``function_mask`` In 1: all vectors are masked
    - ``clear`` In 1: a pulse: as after reset, but for a message that is offered already
    - ``forget`` In 1: no bit is pending while it is up
    - ``idle`` Out 1: nothing is in flight; a pending bit of a vector that stays masked does not count

    Latency: 2 cycles from a vector to its message and from a read to its response. After reset nothing is
    taken for a cycle a vector. What was unmasked is found by a scan of one cycle a vector, which
    gives way to registers and takes turns with new vectors.

    Ref: PCI 3.0, 6.8.2 and 6.8.3; PCIe 3.1, 2.4.1 (a write is taken whatever waits to be sent)
    """

    def __init__(self, config: EdgeConfig):
        self._count = config.vectors
        self._pba = msix_pba_offset(config)
        beat: Any = request_beat(config.data_width)
        vector: Any = unsigned(16)
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "vectors": In(stream_of(vector)),
                "messages": Out(stream_of(beat)),
                "enable": In(1),
                "function_mask": In(1),
                "clear": In(1),
                "forget": In(1),
                "idle": Out(1),
            }
        )

    def _drive_message(self, m: Any, row: Any) -> None:
        header = self.messages.p.header
        address = Cat(row[_entry_bits("address_low")], row[_entry_bits("address_high")])
        m.d.comb += [
            header.kind.eq(RequestKind.MEMORY_WRITE),
            header.address.eq(address),
            header.length.eq(1),
            header.first_be.eq(0b1111),
            self.messages.p.data.eq(row[_entry_bits("data")]),
            self.messages.p.dwords.eq(1),
            self.messages.p.first.eq(1),
            self.messages.p.last.eq(1),
        ]

    def _register_value(self, row: Any, pending: Any, held: Any) -> Any:
        """The dword that a read of ``held`` gives; ``row`` is the entry at its offset, if there is one."""
        words = (self._count + 31) // 32
        index = (held.offset - self._pba)[2:]
        in_table = held.offset < self._count * MSIX_ENTRY_BYTES
        in_pba = (held.offset >= self._pba) & (index < words)
        bits = pending.word_select(index[: max(1, (words - 1).bit_length())], 32)
        return Mux(in_table, row.word_select(held.offset[2:_ENTRY_SHIFT], 32), Mux(in_pba, bits, 0))

    def _drive_table(self, m: Any, write: Any, clearing: Any, index: Any, writing: Any) -> None:
        """The write port of the table: the sweep after reset, and register writes."""
        request = self.registers.requests.p
        with m.If(clearing):
            m.d.comb += [write.addr.eq(index), write.data.eq(_RESET_ROW), write.en.eq(~0)]
        with m.Else():
            m.d.comb += [
                write.addr.eq(request.offset >> _ENTRY_SHIFT),
                write.data.eq(request.data.replicate(_ENTRY_BITS // 32) & _KEPT),
                write.en.eq(Mux(writing, request.strobe << Cat(Const(0, 2), request.offset[2:4]), 0)),
            ]

    def _scan(self, m: Any, pending: Any, writing: Any, step: Any, clears: Any) -> tuple[Any, Any]:
        """The vector to look at next, and whether there is a need: some may be pending and not masked."""
        index: Any = Signal(range(self._count))
        left: Any = Signal(range(self._count + 1))
        armed, was_armed = Signal(), Signal()
        m.d.comb += armed.eq(self.enable & ~self.function_mask)
        m.d.sync += was_armed.eq(armed)
        with m.If(step):
            m.d.sync += [index.eq(Mux(index == self._count - 1, 0, index + 1)), left.eq(left - left.any())]
        # Whatever was unmasked: look at every vector once more from here on.
        with m.If((writing | (armed & ~was_armed)) & pending.any()):
            m.d.sync += left.eq(self._count)
        with m.If(self.forget):
            m.d.sync += [left.eq(0), pending.eq(0)]
        with m.If(clears):
            m.d.sync += [index.eq(0), left.eq(0), pending.eq(0)]
        return index, left.any()

    def elaborate(self, platform):
        m: Any = Module()
        count = self._count
        rows = [_RESET_ROW] * count
        m.submodules.table = table = Memory(
            shape=unsigned(_ENTRY_BITS), depth=count, init=rows, attrs=READ_APART
        )
        read: Any = table.read_port()
        row: Any = Signal(_ENTRY_BITS)
        pending: Any = Signal(count)
        held: Any = Signal(RegisterRequest)
        response: Any = Signal(32)
        vector: Any = Signal(range(count))
        clearing, writing, step, turn = Signal(), Signal(), Signal(), Signal()
        request = self.registers.requests
        clears = Signal()
        index, scanning = self._scan(m, pending, writing, step, clears)
        self._drive_table(m, table.write_port(granularity=8), clearing, index, writing)
        self._drive_message(m, row)
        free = ~self.messages.valid
        with m.If(self.messages.ready):
            m.d.sync += self.messages.valid.eq(0)
        m.d.comb += self.registers.responses.p.data.eq(response)
        with m.FSM(init="CLEAR_TABLE") as fsm:
            m.d.comb += [
                self.idle.eq(fsm.ongoing("WAIT_WORK") & ~scanning & free),
                clearing.eq(fsm.ongoing("CLEAR_TABLE")),
            ]
            with m.State("CLEAR_TABLE"):
                m.d.sync += clears.eq(0)
                m.d.comb += step.eq(~clears)
                with m.If(index == count - 1):
                    m.next = "WAIT_WORK"
            with m.State("WAIT_WORK"):
                m.d.comb += request.ready.eq(~clears)
                with m.If(clears):
                    m.next = "CLEAR_TABLE"
                with m.Elif(request.valid):
                    m.d.comb += [
                        writing.eq(request.p.write & (request.p.offset < count * MSIX_ENTRY_BYTES)),
                        read.addr.eq(request.p.offset >> _ENTRY_SHIFT),
                    ]
                    m.d.sync += held.eq(request.payload)
                    with m.If(~request.p.write):
                        m.next = "READ_REGISTER"
                with m.Elif(free & self.vectors.valid & ~(scanning & turn)):
                    m.d.comb += [self.vectors.ready.eq(1), read.addr.eq(self.vectors.payload)]
                    m.d.sync += [vector.eq(self.vectors.payload), turn.eq(1)]
                    with m.If(self.vectors.payload < count):
                        m.next = "CHECK_MASK"
                with m.Elif(free & scanning):
                    m.d.comb += [step.eq(1), read.addr.eq(index)]
                    m.d.sync += [vector.eq(index), turn.eq(0)]
                    with m.If(pending.bit_select(index, 1)):
                        m.next = "CHECK_MASK"
            with m.State("READ_REGISTER"):
                m.d.sync += response.eq(self._register_value(read.data, pending, held))
                m.next = "ANSWER_READ"
            with m.State("ANSWER_READ"):
                m.d.comb += self.registers.responses.valid.eq(1)
                with m.If(self.registers.responses.ready):
                    m.next = "WAIT_WORK"
            with m.State("CHECK_MASK"):
                masked = ~self.enable | self.function_mask | read.data[_MASK_BIT]
                m.d.sync += [
                    row.eq(read.data),
                    pending.bit_select(vector, 1).eq(masked),
                    self.messages.valid.eq(~masked),
                ]
                m.next = "WAIT_WORK"
        with m.If(self.clear):
            m.d.sync += clears.eq(1)
        return m
