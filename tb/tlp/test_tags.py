"""TagRange and the division of tag space."""

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from ringwalker.component import Component
from ringwalker.tlp.tags import LOW_TAGS, TAGS, TagRange, allocate_tags
from ringwalker_sim.testing.inprocess import Bench, simulated


def test_slots_and_tags_correspond():
    tags = TagRange(4, 3, 100, 5)
    assert [tags.tag(k) for k in range(tags.slots)] == [4, 5, 6, 100, 101, 102, 103, 104]
    assert [tags.slot(tags.tag(k)) for k in range(tags.slots)] == list(range(8))
    for tag in (3, 7, 99, 105):
        with pytest.raises(ValueError, match=str(tag)):
            tags.slot(tag)
    with pytest.raises(ValueError, match="slot"):
        tags.tag(8)


@pytest.mark.parametrize(
    "counts", [[1], [32], [4, 16, 8, 4], [2, 128, 16, 4], [256], [1] * 32, [225] + [1] * 31, [40, 2]]
)
def test_allocation_is_a_partition(counts):
    ranges = allocate_tags(counts)
    assert [tags.slots for tags in ranges] == counts
    everything = [tags.tag(k) for tags in ranges for k in range(tags.slots)]
    assert len(set(everything)) == len(everything) == sum(counts)
    assert max(everything) < TAGS
    assert all(tags.low_count >= 1 for tags in ranges)
    assert sum(tags.low_count for tags in ranges) == min(LOW_TAGS, sum(counts))


def test_few_readers_need_no_extended_tags():
    assert allocate_tags([4, 16, 8, 4]) == [
        TagRange(0, 4, 32, 0),
        TagRange(4, 16, 32, 0),
        TagRange(20, 8, 32, 0),
        TagRange(28, 4, 32, 0),
    ]


@pytest.mark.parametrize("counts", [[], [0], [3, 0], [1] * 33, [200, 57]])
def test_impossible_allocations_are_refused(counts):
    with pytest.raises(ValueError, match="counts"):
        allocate_tags(counts)


@pytest.mark.parametrize("arguments", [(0, 0), (30, 3), (-1, 2), (0, 1, 31, 2), (0, 1, 250, 7)])
def test_wrong_ranges_are_refused(arguments):
    with pytest.raises(ValueError, match="tags must be"):
        TagRange(*arguments)


class InHardware(Component):
    """What is made of a tag, and of a slot, without latency."""

    def __init__(self, tags: TagRange):
        self.tags = tags
        super().__init__(
            {"tag": In(8), "mine": Out(1), "slot_of_tag": Out(8), "slot": In(8), "tag_of_slot": Out(8)}
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.d.comb += [
            self.mine.eq(self.tags.contains_value(self.tag)),
            self.slot_of_tag.eq(self.tags.slot_value(self.tag)),
            self.tag_of_slot.eq(self.tags.tag_value(self.slot)),
        ]
        return m


class Tags(Bench):
    """Three low tags and five high ones."""

    RANGE = TagRange(4, 3, 100, 5)

    @classmethod
    def component(cls):
        return InHardware(cls.RANGE)


@simulated(Tags)
async def test_the_hardware_knows_the_same_tags(bench):
    mine = {bench.RANGE.tag(slot): slot for slot in range(bench.RANGE.slots)}
    for tag in range(TAGS):
        bench.drive("tag", tag)
        await bench.cycles()
        assert bench.value("mine") == (tag in mine), tag
        if tag in mine:
            assert bench.value("slot_of_tag") == mine[tag]
    for tag, slot in mine.items():
        bench.drive("slot", slot)
        await bench.cycles()
        assert bench.value("tag_of_slot") == tag
