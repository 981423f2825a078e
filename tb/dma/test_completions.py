"""ReadCompletions: what a completion does to the slot that waits for it."""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.dma.completions import ReadCompletions
from ringwalker.spec.tlp import CompletionStatus
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing import StreamSource, random_stalls, run_bench, start

TAGS = TagRange(4, 4)
EVENTS = ("begun", "finish", "fail", "malformed", "settled", "unexpected", "unsupported", "aborted")


class Bench:
    """The component at 64 bits, a reader's ``outstanding`` and ``fresh``, and what comes out."""

    def __init__(self, dut: Any, stalls: float = 0.0):
        self.dut = dut
        self.beats = StreamSource(dut, "i", random_stalls(stalls) if stalls else None)
        self.outstanding = self.fresh = 0
        self.events: list[tuple[int, str]] = []
        self.memory: dict[tuple[int, int], int] = {}
        for name in ("outstanding", "fresh", "open_en", "open_slot"):
            getattr(dut, name).value = 0

    async def start(self) -> None:
        await start(self.dut)
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            slot = int(dut.slot.value)
            happened = [name for name in EVENTS if int(getattr(dut, name).value)]
            self.events += [(slot, name) for name in happened]
            if "finish" in happened:
                self.outstanding &= ~(1 << slot)
            if "begun" in happened:
                self.fresh &= ~(1 << slot)
            dut.outstanding.value, dut.fresh.value = self.outstanding, self.fresh
            if int(dut.write_en.value):
                data, mask = int(dut.write_data.value), int(dut.write_mask.value)
                for k in range(2):
                    if mask >> k & 1:
                        place = int(dut.write_slot.value), int(dut.write_position.value) + k
                        self.memory[place] = data >> 32 * k & 0xFFFFFFFF

    async def open(self, slot: int, dwords: int, offset: int = 0, tail: int = 0) -> None:
        dut = self.dut
        dut.open_en.value, dut.open_slot.value = 1, slot
        dut.open_dwords.value, dut.open_offset.value, dut.open_tail.value = dwords, offset, tail
        self.outstanding |= 1 << slot
        self.fresh |= 1 << slot
        dut.outstanding.value, dut.fresh.value = self.outstanding, self.fresh
        await RisingEdge(dut.clk)
        dut.open_en.value = 0

    def complete(self, slot: int, dwords: list[int], byte_count: int, **header: int) -> None:
        """Queue a completion with these dwords."""
        fields = {"tag": TAGS.tag(slot), "has_data": 1, "length": len(dwords), "byte_count": byte_count}
        common = {f"header_{key}": value for key, value in (fields | header).items()}
        pieces = [dwords[k : k + 2] for k in range(0, len(dwords), 2)] or [[]]
        for k, piece in enumerate(pieces):
            beat = {"data": sum(d << 32 * n for n, d in enumerate(piece)), "dwords": (1 << len(piece)) - 1}
            ends = {"first": int(k == 0), "last": int(k == len(pieces) - 1)}
            self.beats.queue(common | beat | ends)

    async def settle(self) -> list[tuple[int, str]]:
        """The events (slot, name) since the last time."""
        await self.beats.drained()
        await ClockCycles(self.dut.clk, 5)
        events, self.events = self.events, []
        return events

    def content(self, slot: int, dwords: int) -> list[int | None]:
        return [self.memory.get((slot, k)) for k in range(dwords)]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_whole_answer_begins_and_finishes_its_slot(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.open(2, 3)
    bench.complete(2, [1, 2, 3], 12)
    assert await bench.settle() == [(2, "begun"), (2, "finish")]
    assert bench.content(2, 3) == [1, 2, 3]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_second_completion_goes_on_where_the_first_ended(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.open(1, 3)
    bench.complete(1, [1], 12)
    bench.complete(1, [2, 3], 8)
    assert await bench.settle() == [(1, "begun"), (1, "begun"), (1, "finish")]
    assert bench.content(1, 3) == [1, 2, 3]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def the_byte_count_leaves_out_what_was_not_asked_for(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.open(0, 2, offset=3, tail=2)
    bench.complete(0, [1, 2], 8 - 3 - 2)
    assert await bench.settle() == [(0, "begun"), (0, "finish")]


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_wrong_byte_count_is_malformed_and_places_nothing(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.open(0, 2)
    bench.complete(0, [1, 2], 12)
    assert set(await bench.settle()) == {(0, "finish"), (0, "fail"), (0, "malformed")}
    assert not bench.memory


@cocotb.test(timeout_time=100, timeout_unit="us")
async def more_data_than_is_left_is_malformed(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.open(0, 1)
    bench.complete(0, [1, 2], 4)
    assert set(await bench.settle()) == {(0, "finish"), (0, "fail"), (0, "malformed")}
    assert not bench.memory


@cocotb.test(timeout_time=100, timeout_unit="us")
async def an_error_status_finishes_the_slot_and_says_which(dut):
    bench = Bench(dut)
    await bench.start()
    for status, name in (
        (CompletionStatus.UNSUPPORTED_REQUEST, "unsupported"),
        (CompletionStatus.COMPLETER_ABORT, "aborted"),
    ):
        await bench.open(3, 1)
        bench.complete(3, [], 4, has_data=0, status=status.value)
        assert set(await bench.settle()) == {(3, "finish"), (3, "fail"), (3, name)}


@cocotb.test(timeout_time=100, timeout_unit="us")
async def poisoned_data_fails_its_slot_and_is_counted_all_the_same(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.open(1, 1)
    bench.complete(1, [1], 4, poisoned=1)
    assert set(await bench.settle()) == {(1, "begun"), (1, "fail"), (1, "finish")}


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_slot_that_is_not_outstanding_expects_nothing(dut):
    bench = Bench(dut)
    await bench.start()
    bench.complete(2, [1], 4)
    # It was the last for its request; one with more to follow does not settle the tag.
    assert set(await bench.settle()) == {(2, "unexpected"), (2, "settled")}
    bench.complete(2, [1], 8)
    assert set(await bench.settle()) == {(2, "unexpected")}
    assert not bench.memory


@cocotb.test(timeout_time=500, timeout_unit="us")
async def random_answers_split_anywhere_and_mixed(dut):
    bench = Bench(dut, stalls=0.2)
    await bench.start()
    for _ in range(60):
        pending, expected = {}, {}
        for slot in range(TAGS.slots):
            dwords, offset, tail = random.randint(2, 12), random.randrange(4), random.randrange(4)
            await bench.open(slot, dwords, offset, tail)
            expected[slot] = [random.getrandbits(32) for _ in range(dwords)]
            pending[slot] = (0, offset, tail)
        counts = dict.fromkeys(pending, 0)
        while pending:
            slot = random.choice(list(pending))
            at, offset, tail = pending[slot]
            left = len(expected[slot]) - at
            size = random.randint(1, left)
            bench.complete(slot, expected[slot][at : at + size], 4 * left - offset - tail)
            counts[slot] += 1
            pending[slot] = (at + size, 0, tail)
            if size == left:
                del pending[slot]
        events = await bench.settle()
        for slot, count in counts.items():
            assert [name for where, name in events if where == slot] == ["begun"] * count + ["finish"]
            assert bench.content(slot, len(expected[slot])) == expected[slot]
        assert int(dut.active.value) == 0


def test_read_completions():
    run_bench(ReadCompletions(64, TAGS, 64), "tb.dma.test_completions")
