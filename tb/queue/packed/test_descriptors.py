"""PackedDecoder: ``struct pvirtq_desc`` as the walking of chains sees it. Ref: virtio 1.4, 2.8.13, 2.8.7."""

import struct

from ringwalker.queue.packed.descriptors import PackedDecoder
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED
from ringwalker.spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.testing.inprocess import Bench, simulated


class Decoder(Bench):
    @classmethod
    def component(cls):
        return PackedDecoder()

    def decode(self, flags, index=3, size=8, nested=0):
        raw = struct.pack("<QIHH", 0x1122334455667788, 0x99AABBCC, 0xDDEE, flags)
        self.drive("raw", int.from_bytes(raw, "little"))
        self.drive("index", index)
        self.drive("size", size)
        self.drive("nested", nested)
        return self.value("descriptor")


@simulated(Decoder)
async def test_address_and_length_are_as_they_stand_in_memory(bench):
    found = bench.decode(0)
    assert (found["address"], found["length"]) == (0x1122334455667788, 0x99AABBCC)


@simulated(Decoder)
async def test_each_flag_means_one_thing(bench):
    for flags, wanted in (
        (DESC_F_AVAIL | DESC_F_USED, (0, 0, 0)),
        (DESC_F_WRITE, (1, 0, 0)),
        (DESC_F_INDIRECT, (0, 1, 0)),
        (DESC_F_NEXT, (0, 0, 1)),
    ):
        found = bench.decode(flags)
        assert (found["writable"], found["indirect"], found["follows"]) == wanted


@simulated(Decoder)
async def test_the_last_descriptor_of_the_ring_is_followed_by_the_first(bench):
    assert bench.decode(DESC_F_NEXT, 6, 8)["next"] == 7
    assert bench.decode(DESC_F_NEXT, 7, 8)["next"] == 0
    assert bench.decode(DESC_F_NEXT, 32767, 32768)["next"] == 0
    assert bench.decode(DESC_F_NEXT, 0, 1)["next"] == 0


@simulated(Decoder)
async def test_in_an_indirect_table_only_write_counts_and_all_but_the_last_are_followed(bench):
    flags = DESC_F_INDIRECT | DESC_F_WRITE
    for index, follows in ((0, 1), (6, 1), (7, 0)):
        found = bench.decode(flags, index, 8, nested=1)
        assert (found["writable"], found["indirect"], found["follows"]) == (1, 0, follows)
    assert bench.decode(DESC_F_NEXT, 0, 1, nested=1)["follows"] == 0
    assert bench.decode(DESC_F_NEXT, 65535, 65536, nested=1)["follows"] == 0
