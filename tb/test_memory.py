"""Guest RAM: bounds, allocation, structured views, watches."""

import random

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data

from ringwalker.spec.ring import Descriptor, UsedElement
from ringwalker_sim.memory import (
    Access,
    GuestMemory,
    MemoryFault,
    dtype_of,
    scatter_gather,
)


def test_gigabytes_cost_nothing_until_touched():
    memory = GuestMemory(64 << 30)
    memory.write((64 << 30) - 4, b"last")
    assert memory.read((64 << 30) - 4, 4) == b"last"
    assert memory.read(32 << 30, 8) == bytes(8)


def test_views_are_in_place_and_bounded():
    memory = GuestMemory(0x4000, base=0x1000)
    memory.view(0x1000, 4)[:] = [1, 2, 3, 4]
    assert memory.array[:4].tolist() == [1, 2, 3, 4]
    memory.write(0x4FFC, np.array([0x04030201], dtype="<u4"))
    assert memory.read(0x4FFC, 4) == b"\1\2\3\4"
    for address, length in ((0xFFF, 1), (0x4FFF, 2), (0x5000, 1), (0x1000, 0x4001), (0x1000, -1)):
        with pytest.raises(MemoryFault, match="0x1000 to 0x5000"):
            memory.view(address, length)
    assert memory.contains(0x4FFF)
    assert not memory.contains(0x4FFF, 2)
    with pytest.raises(ValueError, match="multiples"):
        GuestMemory(100)


def test_allocator_never_overlaps_and_joins_what_is_freed():
    rng = random.Random(5)
    memory = GuestMemory(1 << 20, base=1 << 32)
    live = {}
    for _ in range(3000):
        if live and (rng.random() < 0.5 or len(live) > 40):
            address = rng.choice(list(live))
            buffer = live.pop(address)
            buffer.free()
            continue
        align = 1 << rng.randrange(13)
        buffer = memory.allocate(rng.randrange(1, 8000), align)
        assert buffer.address % align == 0
        for other in live.values():
            assert (
                buffer.address + len(buffer) <= other.address or other.address + len(other) <= buffer.address
            )
        live[buffer.address] = buffer
    assert memory.allocated == sum(map(len, live.values()))
    for buffer in live.values():
        buffer.free()
    assert memory.allocated == 0
    assert memory.allocate(1 << 20, 4096).address == 1 << 32


def test_allocation_errors_are_named():
    memory = GuestMemory(0x2000)
    buffer = memory.allocate_pages(1)
    buffer.array[:] = 7
    buffer.free()
    with pytest.raises(MemoryFault, match="freed before"):
        memory.free(buffer)
    with pytest.raises(MemoryFault, match="nothing was allocated"):
        memory.free(0x1234)
    with pytest.raises(MemoryFault, match="no 8193 bytes"):
        memory.allocate(0x2001)
    with pytest.raises(ValueError, match="aligned to 3"):
        memory.allocate(4, 3)
    with memory.allocate(64) as again:
        assert not again.array.any(), "memory is zero when it is handed out"
        assert scatter_gather([again, (4, 5)]) == [(again.address, 64), (4, 5)]
    assert memory.allocated == 0


def test_dtypes_follow_the_layouts():
    assert dtype_of(Descriptor).itemsize == 16
    assert {name: entry[1] for name, entry in (dtype_of(Descriptor).fields or {}).items()} == {
        "addr": 0,
        "len": 8,
        "flags": 12,
        "next": 14,
    }
    memory = GuestMemory(0x1000)
    table = memory.struct_view(0x100, Descriptor, 4)
    table[2] = (0x1122334455667788, 0x99AABBCC, 3, 0x0102)
    raw = memory.read(0x120, 16)
    assert raw == bytes.fromhex("8877665544332211ccbbaa9903000201")
    assert memory.struct_view(0, UsedElement).shape == (1,)
    nested = data.StructLayout({"head": UsedElement, "tail": data.ArrayLayout(unsigned(16), 3)})
    assert dtype_of(nested).itemsize == 14
    with pytest.raises(ValueError, match="4 bits wide"):
        dtype_of(data.StructLayout({"a": 8, "pad": 4, "b": 8}))
    with pytest.raises(ValueError, match="starts at bit 4"):
        dtype_of(data.FlexibleLayout(16, {"a": data.Field(8, 4)}))
    with pytest.raises(ValueError, match="24 bits"):
        dtype_of(data.StructLayout({"a": 24}))


def test_watches_report_overlapping_accesses():
    memory = GuestMemory(0x1000)
    seen = []
    both = memory.watch(0x100, 0x10, seen.append)
    writes = memory.watch(0x100, 0x10, reads=False)
    memory.note_access(Access(1, 0xF0, 0x11, False))
    memory.note_access(Access(2, 0x10F, 1, True))
    memory.note_access(Access(3, 0x110, 4, True))
    assert [hit.cycle for hit in both.hits] == [1, 2] == [hit.cycle for hit in seen]
    assert [hit.cycle for hit in writes.hits] == [2]
    version = memory.watch_version
    memory.unwatch(both)
    assert memory.watch_version != version
    assert memory.watches == [writes]
