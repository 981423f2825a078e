"""The memory behind a reader: one slot a tag, written at any dword and read a row at a time."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, Signature

from ..component import Component
from ..memories import READ_APART
from .rotate import rotate

__all__ = ["SlotMemory", "SlotWrite", "check_slot_bytes"]


def check_slot_bytes(data_width: int, slot_bytes: int) -> None:
    """Errors: ``ValueError`` unless ``slot_bytes`` is a power of two from one beat to 4096."""
    if slot_bytes & (slot_bytes - 1) or not data_width // 8 <= slot_bytes <= 4096:
        raise ValueError(f"slot_bytes must be a power of two from one beat to 4096, not {slot_bytes!r}")


class SlotWrite(Signature):
    """Writes dwords of a slot. Parameters: as of :class:`SlotMemory`, with W for ``data_width``.

    - ``en`` Out 1.
    - ``slot`` Out: which slot.
    - ``position`` Out: the dword of the slot that the low dword of ``data`` is for.
    - ``data`` Out W, ``mask`` Out W/32: dwords, and a bit for each that is written.
    """

    def __init__(self, data_width: int, slots: int, slot_bytes: int):
        super().__init__(
            {
                "en": Out(1),
                "slot": Out(range(slots)),
                "position": Out(range(slot_bytes // 4)),
                "data": Out(data_width),
                "mask": Out(data_width // 32),
            }
        )


class SlotMemory(Component):
    """Slots of memory, in one bank for each dword of a row.

    A write may begin at any dword: its data is rotated, and each bank has an address of its own. It can be
    read in the next cycle, and must not be read before.

    Parameters: ``data_width`` (W), bits of a row; ``slots``, how many; ``slot_bytes``, the size of each.

    Members:

    - ``write`` In(SlotWrite(...)).
    - ``read_en`` In 1, ``read_slot`` In, ``read_row`` In: read that row of that slot.
    - ``read_data`` Out W: the row. It comes one cycle after ``read_en``, and then holds.

    Errors: ``ValueError`` unless ``slot_bytes`` is a power of two from one row to 4096.
    """

    def __init__(self, data_width: int, slots: int, slot_bytes: int):
        check_slot_bytes(data_width, slot_bytes)
        self.banks = data_width // 32
        self.rows = slot_bytes * 8 // data_width
        self._slots = slots
        super().__init__(
            {
                "write": In(SlotWrite(data_width, slots, slot_bytes)),
                "read_en": In(1),
                "read_slot": In(range(slots)),
                "read_row": In(range(self.rows)),
                "read_data": Out(data_width),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        lane_bits = (self.banks - 1).bit_length()
        lane = self.write.position[:lane_bits]
        row = Signal(range(self.rows))
        next_row = Signal(range(self.rows))
        m.d.comb += [row.eq(self.write.position[lane_bits:]), next_row.eq(row + 1)]
        data = rotate(m, self.write.data, lane, 32, "data")
        mask = rotate(m, self.write.mask, lane, 1, "mask")
        for bank in range(self.banks):
            memory: Any = Memory(shape=32, depth=self._slots * self.rows, init=[], attrs=READ_APART)
            m.submodules[f"bank_{bank}"] = memory
            write, read = memory.write_port(), memory.read_port()
            bank_row = Mux(bank < lane, next_row, row)
            m.d.comb += [
                write.en.eq(self.write.en & mask[bank]),
                write.addr.eq(Cat(bank_row, self.write.slot)),
                write.data.eq(data.word_select(bank, 32)),
                read.en.eq(self.read_en),
                read.addr.eq(Cat(self.read_row, self.read_slot)),
                self.read_data.word_select(bank, 32).eq(read.data),
            ]
        return m
