"""SplitDecoder: ``struct virtq_desc`` as the walking of chains sees it. Ref: virtio 1.4, 2.7.5."""

import struct

from ringwalker.queue.split.descriptors import SplitDecoder
from ringwalker_sim.testing.inprocess import Bench, simulated

NEXT, WRITE, INDIRECT = 1, 2, 4


class Decoder(Bench):
    @classmethod
    def component(cls):
        return SplitDecoder()

    def decode(self, address=0, length=0, flags=0, next_=0):
        """The descriptor with these fields, in little-endian order in memory."""
        self.drive("raw", int.from_bytes(struct.pack("<QIHH", address, length, flags, next_), "little"))
        return self.value("descriptor")


PLAIN = {"address": 0, "length": 0, "writable": 0, "indirect": 0, "follows": 0, "next": 0}


@simulated(Decoder)
async def test_fields_stand_where_the_specification_has_them(bench):
    got = bench.decode(0x1122_3344_5566_7788, 0x99AA_BBCC, 0, 0xDDEE)
    assert got == PLAIN | {"address": 0x1122_3344_5566_7788, "length": 0x99AA_BBCC, "next": 0xDDEE}


@simulated(Decoder)
async def test_each_flag_says_one_thing(bench):
    assert bench.decode(flags=NEXT) == PLAIN | {"follows": 1}
    assert bench.decode(flags=WRITE) == PLAIN | {"writable": 1}
    assert bench.decode(flags=INDIRECT) == PLAIN | {"indirect": 1}
    assert bench.decode(flags=NEXT | WRITE | INDIRECT) == PLAIN | {"follows": 1, "writable": 1, "indirect": 1}


@simulated(Decoder)
async def test_flags_that_the_device_does_not_know_are_ignored(bench):
    assert bench.decode(flags=0xFFF8) == PLAIN


@simulated(Decoder)
async def test_where_the_descriptor_stands_does_not_matter(bench):
    expected = bench.decode(flags=NEXT, next_=0xFFFF)
    for index, size, nested in ((0, 1, 0), (5, 6, 1), (0xFFFF, 1 << 16, 1)):
        bench.drive("index", index)
        bench.drive("size", size)
        bench.drive("nested", nested)
        assert bench.value("descriptor") == expected


@simulated(Decoder)
async def test_random_descriptors_are_as_they_were_packed(bench):
    for _ in range(200):
        rnd = bench.random
        address, length, flags, next_ = (rnd.getrandbits(bits) for bits in (64, 32, 16, 16))
        assert bench.decode(address, length, flags, next_) == {
            "address": address,
            "length": length,
            "writable": int(bool(flags & WRITE)),
            "indirect": int(bool(flags & INDIRECT)),
            "follows": int(bool(flags & NEXT)),
            "next": next_,
        }
