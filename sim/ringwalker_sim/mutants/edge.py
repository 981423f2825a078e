"""Mutants of ``pci`` and ``tlp``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "pci.msix",
        pending_bits_write_a_vector=Change(
            "a write behind the table writes the entry of a vector",
            "request.p.offset < count * MSIX_ENTRY_BYTES",
            "request.p.offset <= count * MSIX_ENTRY_BYTES",
        ),
    ),
    *planted(
        "pci.msi",
        "msi",
        masked_messages_are_sent=Change(
            "a message is sent though its vector is masked",
            "self.pending & ~state.mask",
            "self.pending",
        ),
    ),
    *planted(
        "pci.byte_span",
        benches=("tb/pci/test_completer.py",),
        first_byte_by_the_wrong_priority=Change(
            "the first byte of a read is the highest that is enabled, not the lowest",
            "for n in reversed(range(4)):\n            with m.If(self.first_be[n]):",
            "for n in range(4):\n            with m.If(self.first_be[n]):",
        ),
    ),
    *planted(
        "pci.request_answers",
        benches=("tb/pci/test_completer.py",),
        byte_count_of_a_cut_answer=Change(
            "bytes that a read did not ask for are taken from the byte count of the second completion",
            "part = (self._length << 2) - self._lower_address[:2]",
            "part = self._length << 2",
        ),
        attributes_are_not_returned=Change(
            "a completion does not have the attributes of its request",
            "            completion.attributes.eq(header.attributes),\n",
            "",
        ),
    ),
    *planted(
        "pci.request_intake",
        benches=("tb/pci/test_completer.py",),
        last_enables_are_not_used=Change(
            "all bytes of the last dword of a write are written",
            "Mux(self._remaining == 2, self._header.last_be, 0b1111)",
            "Mux(self._remaining == 1, self._header.last_be, 0b1111)",
        ),
    ),
    *planted(
        "tlp.arbiter",
        idle_within_a_packet=Change(
            "the arbiter says that it is idle between two beats of a packet",
            "self.idle.eq(~self.o.valid & ~inside)",
            "self.idle.eq(~self.o.valid)",
        ),
    ),
    *planted(
        "tlp.completion_router",
        every_beat_is_unexpected=Change(
            "an unexpected completion counts once a beat",
            "self.i.valid & self.i.p.first & (Cat(matches) == 0)",
            "self.i.valid & (Cat(matches) == 0)",
        ),
    ),
    *planted(
        "tlp.raw_header",
        "msi",
        long_header_from_2_gib_on=Change(
            "a request from 2 GiB on has the long form of header",
            "far = memory & (header.address[32:] != 0)",
            "far = memory & (header.address[31:] != 0)",
        ),
    ),
    *planted(
        "tlp.tags",
        ranges_overlap_by_one=Change(
            "a reader takes the completions of the first tag behind its own, too",
            "low = (tag >= self.low) & (tag < self.low + self.low_count)",
            "low = (tag >= self.low) & (tag <= self.low + self.low_count)",
        ),
        extended_tags_are_another_readers=Change(
            "the first extended tag of a reader is counted from its first slot",
            "Cat(slot + (self.high - self.low_count), Const(0, 8))[:8])",
            "Cat(slot + self.high, Const(0, 8))[:8])",
        ),
    ),
)
