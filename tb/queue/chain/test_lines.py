"""DescriptorLines: which descriptors are read for one that is wanted, and that they are those of memory."""

from collections import deque

from ringwalker.queue.chain.lines import RANGE_BYTES, DescriptorLines
from ringwalker.spec.ring import DESC_BYTES
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads

READS = 4
LINE = 4
"""Descriptors in a line of 64 bytes."""
MOST = RANGE_BYTES // DESC_BYTES
TABLE = 0x2000
TAGS = {"slot": 9, "lap": 1, "group": 0}


class Lines(Bench):
    width = 64

    @classmethod
    def component(cls):
        return DescriptorLines(cls.width, READS)

    def __init__(self):
        super().__init__()
        self.memory = bytearray(self.random.randbytes(1 << 16))
        self.reads = DmaReads(self, "read", self.memory, self.width)
        self.drive("max_read_request", 512)
        self.stall("ranges")

    def want(self, index, address=TABLE, size=256, nested=0, **tags):
        self.put(
            "requests",
            {"index": index, "table_address": address, "table_size": size, "nested": nested, **(TAGS | tags)},
        )

    async def range(self):
        """The next range, and its descriptors as they were read."""
        await self.until(lambda: self.value("ranges.valid"), "a range")
        shown = self.value("ranges.payload")
        descriptors = []
        for position in range(shown["count"]):
            self.drive("position", position)
            descriptors.append(self.value("raw"))
        self.stall("ranges", probability=0)
        await self.cycles()
        self.stall("ranges")
        assert await self.get("ranges") == shown
        return shown, descriptors

    async def first_and_count(self, index, **where):
        """Which descriptors are read for this one; they are those of memory."""
        self.want(index, **where)
        shown, descriptors = await self.range()
        assert not shown["error"]
        assert descriptors == self.stored(where.get("address", TABLE), shown["first"], shown["count"])
        return shown["first"], shown["count"]

    def stored(self, address, first, count):
        """Descriptors of a table, as they are in memory."""
        at = [address + DESC_BYTES * n for n in range(first, first + count)]
        return [int.from_bytes(self.memory[a : a + DESC_BYTES], "little") for a in at]


class WideLines(Lines):
    width = 512


@simulated(Lines)
async def test_the_line_of_a_descriptor_is_read(bench):
    for index in (4, 5, 6, 7):
        assert await bench.first_and_count(index) == (4, LINE)
    assert bench.reads.requests == [(TABLE + 4 * DESC_BYTES, LINE * DESC_BYTES)] * 4


@simulated(Lines)
async def test_lines_are_those_of_memory_wherever_the_table_begins(bench):
    # The first line of this table has one descriptor.
    address = TABLE + 3 * DESC_BYTES
    assert await bench.first_and_count(0, address=address) == (0, 1)
    assert await bench.first_and_count(1, address=address) == (1, LINE)
    assert await bench.first_and_count(4, address=address) == (1, LINE)
    assert await bench.first_and_count(5, address=address) == (5, LINE)


@simulated(Lines)
async def test_a_line_is_read_no_further_than_its_table(bench):
    assert await bench.first_and_count(4, size=6) == (4, 2)
    assert await bench.first_and_count(0, size=1) == (0, 1)
    assert await bench.first_and_count(1, address=TABLE + 2 * DESC_BYTES, size=2) == (0, 2)


@simulated(Lines)
async def test_of_an_indirect_table_up_to_16_descriptors_are_read_from_the_one_that_is_wanted(bench):
    assert await bench.first_and_count(0, nested=1) == (0, MOST)
    assert await bench.first_and_count(5, nested=1) == (5, MOST)


@simulated(Lines)
async def test_an_indirect_table_is_read_no_further_than_its_end(bench):
    assert await bench.first_and_count(0, size=3, nested=1) == (0, 3)
    assert await bench.first_and_count(2, size=3, nested=1) == (2, 1)
    assert await bench.first_and_count(250, nested=1) == (250, 6)


@simulated(Lines)
async def test_an_indirect_table_may_be_at_any_address(bench):
    for address in (TABLE + 1, TABLE + 2, TABLE + 7, TABLE + 13):
        assert await bench.first_and_count(1, address=address, nested=1, size=9) == (1, 8)


@simulated(Lines)
async def test_a_chain_whose_length_is_expected_is_read_from_its_first_descriptor_on(bench):
    for index, length in ((3, 3), (6, 4), (0, MOST)):
        bench.want(index, length=length)
        shown, descriptors = await bench.range()
        assert (shown["first"], shown["count"]) == (index, length)
        assert descriptors == bench.stored(TABLE, index, length)
    assert bench.reads.requests[0] == (TABLE + 3 * DESC_BYTES, 3 * DESC_BYTES)


@simulated(Lines)
async def test_a_chain_is_not_expected_beyond_its_table(bench):
    bench.want(6, size=8, length=5)
    shown, _descriptors = await bench.range()
    assert (shown["first"], shown["count"]) == (6, 2)


@simulated(Lines)
async def test_no_read_crosses_a_page(bench):
    address = 0x3000 - 5 * DESC_BYTES
    assert await bench.first_and_count(0, address=address, nested=1, size=12) == (0, 12)
    assert bench.reads.requests == [(address, 5 * DESC_BYTES), (0x3000, 7 * DESC_BYTES)]


@simulated(Lines)
async def test_a_descriptor_that_crosses_a_page_is_put_together(bench):
    assert await bench.first_and_count(0, address=0x3000 - 7, nested=1, size=2) == (0, 2)
    assert bench.reads.requests == [(0x3000 - 7, 7), (0x3000, 25)]


@simulated(Lines)
async def test_reads_are_cut_at_the_maximum_read_request(bench):
    bench.drive("max_read_request", 128)
    await bench.cycles(3)
    address = TABLE + 48
    assert await bench.first_and_count(0, address=address, nested=1, size=16) == (0, 16)
    assert bench.reads.requests == [(address, 80), (TABLE + 128, 128), (TABLE + 256, 48)]


@simulated(Lines)
async def test_addresses_have_64_bits(bench):
    bench.stall("read.requests")
    await bench.cycles()
    bench.want(7, address=0xFFFF_FFFF_FFFF_0000)
    await bench.until(lambda: bench.value("read.requests.valid"))
    assert bench.value("read.requests.payload")["address"] == 0xFFFF_FFFF_FFFF_0040


@simulated(Lines)
async def test_the_last_descriptor_that_next_reaches_is_read(bench):
    bench.stall("read.requests")
    await bench.cycles()
    bench.want(0xFFFF, address=TABLE, size=1 << 16, nested=1)
    await bench.until(lambda: bench.value("read.requests.valid"))
    assert bench.value("read.requests.payload") == {"address": TABLE + 0xFFFF0, "length": DESC_BYTES}


@simulated(Lines)
async def test_what_comes_with_a_request_goes_with_its_range(bench):
    for slot, lap, group, index in ((127, 0, 1, 3), (0, 1, 0, 255), (64, 1, 1, 0)):
        bench.want(index, slot=slot, lap=lap, group=group)
        shown, _descriptors = await bench.range()
        got = (shown["slot"], shown["lap"], shown["group"], shown["index"])
        assert got == (slot, lap, group, index)


@simulated(Lines)
async def test_a_read_that_failed_is_an_error_of_its_range_alone(bench):
    bench.reads.fails = lambda address: address == TABLE + 64
    for index in (0, 5, 9):
        bench.want(index)
    shown = [(await bench.range())[0] for _ in range(3)]
    assert [item["error"] for item in shown] == [0, 1, 0]
    assert [item["index"] for item in shown] == [0, 5, 9]


@simulated(Lines)
async def test_the_failure_of_any_part_is_an_error_of_the_range(bench):
    for bad in (0x3000 - 32, 0x3000):
        bench.reads.fails = lambda address, bad=bad: address == bad
        bench.want(0, address=0x3000 - 32, size=4, nested=1)
        assert (await bench.range())[0]["error"]


@simulated(Lines)
async def test_a_read_is_requested_four_cycles_after_its_request_was_taken(bench):
    bench.want(0)
    await bench.until(lambda: bench.value("requests.valid") and bench.value("requests.ready"))
    assert await bench.until(lambda: bench.value("read.requests.valid")) == 4


@simulated(Lines)
async def test_a_range_is_offered_four_cycles_after_its_last_data(bench):
    bench.want(0)
    data = ("read.data.valid", "read.data.ready")
    await bench.until(
        lambda: all(bench.value(name) for name in data) and bench.value("read.data.payload")["last"]
    )
    assert await bench.until(lambda: bench.value("ranges.valid")) == 4


@simulated(Lines)
async def test_a_range_stays_while_the_next_ones_come(bench):
    for first in (0, 4, 8):
        bench.want(first)
    await bench.cycles(60)
    for first in (0, 4, 8):
        assert (await bench.range())[1] == bench.stored(TABLE, first, LINE)


@simulated(Lines)
async def test_several_requests_are_in_flight(bench):
    bench.reads.latency = (50, 50)
    for index in range(0, 16, LINE):
        bench.want(index)
    await bench.cycles(20)
    assert len(bench.reads.requests) == READS
    for _ in range(READS):
        await bench.range()


@simulated(Lines)
async def test_it_is_idle_when_the_last_range_was_taken(bench):
    assert bench.value("idle")
    bench.want(0)
    await bench.cycles(3)
    assert not bench.value("idle")
    await bench.until(lambda: bench.value("ranges.valid"))
    assert not bench.value("idle")
    await bench.range()
    assert bench.value("idle")


async def _random_requests(bench: Lines) -> None:
    """Each range has the descriptor that is wanted, in the table and in memory, as it was at that time."""
    rnd = bench.random
    bench.reads.latency = (2, 30)
    bad = {rnd.randrange(1 << 16) & ~63 for _ in range(100)}
    bench.reads.fails = lambda address: address & ~63 in bad
    for stream in ("requests", "read.requests", "read.data"):
        bench.stall(stream, probability=0.2)
    bench.drive("max_read_request", 128)
    await bench.cycles(3)
    wanted: deque = deque()
    errors = 0
    for number in range(120):
        nested = rnd.getrandbits(1)
        size = rnd.choice((1, 2, 7, 32, 256))
        address = rnd.randrange(1 << 15)
        address = address if nested else address & ~15
        request = {"index": rnd.randrange(size), "address": address, "size": size, "nested": nested}
        tags = {"slot": rnd.getrandbits(7), "lap": rnd.getrandbits(1), "group": rnd.getrandbits(1)}
        bench.want(**request, **tags)
        wanted.append((request, tags))
        if number % 6 != 5:
            continue
        while wanted:
            request, tags = wanted.popleft()
            shown, descriptors = await bench.range()
            index, first, count = request["index"], shown["first"], shown["count"]
            assert {key: shown[key] for key in tags} == tags
            assert shown["index"] == index
            assert 0 <= first <= index < first + count <= request["size"]
            at = request["address"] + DESC_BYTES * first
            end = at + DESC_BYTES * count
            if request["nested"]:
                assert (first, count) == (index, min(MOST, request["size"] - index))
            else:
                assert at // 64 == (end - 1) // 64
                assert at % 64 == 0 or first == 0
                assert end % 64 == 0 or first + count == request["size"]
            whole = end - at + at % 4 <= 128 and at // 4096 == (end - 1) // 4096
            cuts = {at} if whole else {at, *range(at - at % 128 + 128, end, 128)}
            assert shown["error"] == any(cut & ~63 in bad for cut in cuts)
            errors += shown["error"]
            if not shown["error"]:
                assert descriptors == bench.stored(request["address"], first, count)
            await bench.cycles(rnd.choice((0, 0, 5)))
    assert errors > 5
    assert bench.value("idle")
    assert all(address % 4 + length <= 128 for address, length in bench.reads.requests)


test_random_requests = simulated(Lines)(_random_requests)
test_random_requests_on_a_wide_bus = simulated(WideLines)(_random_requests)
