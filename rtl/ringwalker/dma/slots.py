"""The memory behind a reader: one slot a tag, written at any dword and read a row at a time."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..memories import READ_APART
from .rotate import rotate

__all__ = ["SlotMemory", "check_slot_bytes"]


def check_slot_bytes(data_width: int, slot_bytes: int) -> None:
    """Errors: ``ValueError`` unless ``slot_bytes`` is a power of two from one beat to 4096."""
    if slot_bytes & (slot_bytes - 1) or not data_width // 8 <= slot_bytes <= 4096:
        raise ValueError(f"slot_bytes must be a power of two from one beat to 4096, not {slot_bytes!r}")


class SlotMemory(Component):
    """``slots`` slots of ``slot_bytes`` each, in one bank of memory for each dword of ``data_width``.

    A write puts the low dwords of ``write_data`` (``write_mask`` has a bit for each) at dword
    ``write_position`` of ``write_slot``, whatever the alignment: the beat is rotated, and each bank has an
    address of its own. It is in memory for a read in the next cycle, and must not be read before.
    ``read_data`` is row ``read_row`` of ``read_slot`` one cycle after ``read_en``, and then holds.

    Members (W is ``data_width``): ``write_en`` In 1, ``write_slot``, ``write_position`` In (dwords),
    ``write_data`` In W, ``write_mask`` In W/32, ``read_en`` In 1, ``read_slot``, ``read_row`` In,
    ``read_data`` Out W.
    Errors: ``ValueError`` unless ``slot_bytes`` is a power of two from one row to 4096.
    """

    def __init__(self, data_width: int, slots: int, slot_bytes: int):
        check_slot_bytes(data_width, slot_bytes)
        self.banks = data_width // 32
        self.rows = slot_bytes * 8 // data_width
        self.slots = slots
        super().__init__(
            {
                "write_en": In(1),
                "write_slot": In(range(slots)),
                "write_position": In(range(slot_bytes // 4)),
                "write_data": In(data_width),
                "write_mask": In(self.banks),
                "read_en": In(1),
                "read_slot": In(range(slots)),
                "read_row": In(range(self.rows)),
                "read_data": Out(data_width),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        lane_bits = (self.banks - 1).bit_length()
        lane = self.write_position[:lane_bits]
        row = Signal(range(self.rows))
        next_row = Signal(range(self.rows))
        m.d.comb += [row.eq(self.write_position[lane_bits:]), next_row.eq(row + 1)]
        data = rotate(m, self.write_data, lane, 32, "data")
        mask = rotate(m, self.write_mask, lane, 1, "mask")
        for bank in range(self.banks):
            memory: Any = Memory(shape=32, depth=self.slots * self.rows, init=[], attrs=READ_APART)
            m.submodules[f"bank_{bank}"] = memory
            write, read = memory.write_port(), memory.read_port()
            bank_row = Mux(bank < lane, next_row, row)
            m.d.comb += [
                write.en.eq(self.write_en & mask[bank]),
                write.addr.eq(Cat(bank_row, self.write_slot)),
                write.data.eq(data.word_select(bank, 32)),
                read.en.eq(self.read_en),
                read.addr.eq(Cat(self.read_row, self.read_slot)),
                self.read_data.word_select(bank, 32).eq(read.data),
            ]
        return m
