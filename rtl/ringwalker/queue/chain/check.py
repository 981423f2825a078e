"""What one descriptor does to its chain.

Ref: virtio 1.4, 2.7.5.3 (Indirect Descriptors), 2.7.5.3.1 (requirements on chains), 2.7.4.2 (readable before
writable).
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...spec.ring import DESC_BYTES
from ...streams import SEGMENT_BITS
from .descriptor import TABLE_BITS, Descriptor, DescriptorTable

__all__ = ["ChainProgress", "DescriptorCheck", "FoundDescriptor"]

_REACHABLE = 1 << (TABLE_BITS - 1)


class FoundDescriptor(data.Struct):
    """A descriptor as it was read, or ``error``.

    ``size`` is the number of descriptors in the table that it comes from, ``nested`` says that this is an
    indirect one, ``limit`` is the size of the queue.
    """

    descriptor: Descriptor
    error: unsigned(1)
    size: unsigned(TABLE_BITS)
    nested: unsigned(1)
    limit: unsigned(16)


class ChainProgress(data.Struct):
    """What is known of a chain so far, named as in :class:`~ringwalker.streams.Chain`. ``tail`` is its last
    segment."""

    readable: unsigned(32)
    writable: unsigned(32)
    readable_segments: unsigned(SEGMENT_BITS)
    writable_segments: unsigned(SEGMENT_BITS)
    first_readable: unsigned(SEGMENT_BITS)
    first_writable: unsigned(SEGMENT_BITS)
    tail: unsigned(SEGMENT_BITS)


def _beyond(address: Any, length: Any) -> Any:
    """Whether ``length`` bytes from ``address`` on go beyond the last byte of the address space.

    They do if the sum has a carry and is not 2^64 itself. That is found beside the sum, not from it: the low
    words add up to 0, but for the carry, if each bit differs from what the bit below it carries on.
    """
    low, bits = address[: len(length)], len(length)
    ends = ((low ^ length) ^ ((low | length) << 1))[:bits] == 0
    return address[bits:].all() & (low + length)[bits] & ~ends


class DescriptorCheck(Component):
    """Checks a descriptor, and adds it to the sums of its chain.

    Latency: 1 cycle; ``segment`` counts at once.

    Parameters: ``most``, the most buffers that ``limit`` allows a chain.

    Bad are: a read that failed, a range that goes beyond the last byte of the address space, ``next`` beyond
    the table, more buffers than the queue has descriptors (which a loop always comes to), a readable buffer
    after a writable one, and totals of 2^32 bytes and more. A buffer of length 0 is as good as any other.
    Of the descriptors of indirect tables those are bad that ``indirect`` does not allow, that stand in an
    indirect table, that others follow, and whose length is 0 or no multiple of a descriptor's. Whether
    they are ``writable`` is ignored; they do not count as buffers.
    """

    found: In(FoundDescriptor)
    """The descriptor."""
    before: In(ChainProgress)
    """The chain without it."""
    segment: In(SEGMENT_BITS)
    """Where the descriptor is to be stored."""
    indirect: In(1)
    """The driver may use indirect tables."""
    after: Out(ChainProgress)
    """The chain with it; ``before`` unless ``stores``."""
    stores: Out(1)
    """The descriptor is a buffer of the chain."""
    joins: Out(1)
    """It is not the first of its kind, so ``before.tail`` must be linked to it."""
    follow: Out(1)
    """The chain goes on at ``next``."""
    descends: Out(1)
    """The chain goes on at the start of ``table``."""
    table: Out(DescriptorTable)
    bad: Out(1)
    """The chain is malformed or the read failed."""

    def __init__(self, most: int):
        self._count_bits = most.bit_length()
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        found, descriptor, before = self.found, self.found.descriptor, self.before
        following, points, writable = descriptor.follows, descriptor.indirect, descriptor.writable
        shift = (DESC_BYTES - 1).bit_length()
        entries = descriptor.length[shift:]
        sum_, total, walked = Signal(33), Signal(33), Signal(SEGMENT_BITS + 1)
        beyond, bad_buffer, bad_pointer, bad = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            beyond.eq(_beyond(descriptor.address, descriptor.length)),
            sum_.eq(Mux(writable, before.writable, before.readable) + descriptor.length),
            walked.eq(before.readable_segments + before.writable_segments + 1),
            bad_buffer.eq(
                (following & (descriptor.next >= found.size))
                | (following & (walked >= found.limit))
                | (~writable & (before.writable_segments != 0))
                | sum_[32]
            ),
            bad_pointer.eq(
                ~self.indirect
                | found.nested
                | following
                | (descriptor.length[:shift] != 0)
                | (descriptor.length == 0)
            ),
            bad.eq(found.error | beyond | Mux(points, bad_pointer, bad_buffer)),
            self.table.address.eq(descriptor.address),
        ]
        m.d.sync += [
            total.eq(sum_),
            self.bad.eq(bad),
            self.stores.eq(~points & ~bad),
            self.follow.eq(following & ~points & ~bad),
            self.descends.eq(points & ~bad),
            self.table.size.eq(Mux(entries > _REACHABLE, _REACHABLE, entries)),
            self.joins.eq(
                Mux(writable, before.writable_segments != 0, before.readable_segments != 0) & ~points & ~bad
            ),
        ]
        self._sum(m, writable, total)
        return m

    def _sum(self, m: Any, writable: Any, total: Signal) -> None:
        before, after = self.before, self.after
        m.d.comb += after.eq(before)
        with m.If(self.stores):
            m.d.comb += after.tail.eq(self.segment)
            with m.If(writable):
                m.d.comb += [
                    after.writable.eq(total),
                    after.writable_segments.eq((before.writable_segments + 1)[: self._count_bits]),
                    after.first_writable.eq(Mux(self.joins, before.first_writable, self.segment)),
                ]
            with m.Else():
                m.d.comb += [
                    after.readable.eq(total),
                    after.readable_segments.eq((before.readable_segments + 1)[: self._count_bits]),
                    after.first_readable.eq(Mux(self.joins, before.first_readable, self.segment)),
                ]
