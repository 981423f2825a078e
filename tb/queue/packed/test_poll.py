"""DescriptorPoll: which descriptors are read, and what follows from what they showed."""

from ringwalker.queue.packed.poll import AHEAD, DescriptorPoll
from ringwalker.queue.packed.reads import READ_DESCRIPTORS
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import QueueRows

FULL, END, AGAIN = 0, 1, 2
BIG = 100


class Poll(Bench):
    """``asked`` are the reads: address and descriptors."""

    @classmethod
    def component(cls):
        return DescriptorPoll(3, 8)

    def __init__(self):
        super().__init__()
        self.table = QueueRows(self)
        self.table.rows[1] = {"desc": 0x10000, "size": BIG, "enable": 1}
        self.table.rows[2] = {"desc": 0x20030, "size": 5, "enable": 1}
        self.drive("max_read_request", 512)
        self.asked: list[tuple[int, int]] = []
        self.on("requests", lambda item: self.asked.append((item["address"], item["length"] // 16)))
        self.stall("reads")
        self.place = 0

    async def visit(self, queue=1):
        self.put("visits", {"queue": queue})
        await self.cycles(8)

    async def result(self, outcome, queue=1, place=0):
        """The oldest read has shown that; it is taken in the cycle in which its result is."""
        self.put("results", {"queue": queue, "outcome": outcome, "place_offset": place})
        await self.until(lambda: self.value("results.valid") and self.value("results.ready"))
        self.drive("reads.ready", 1)
        await self.cycles()
        self.drive("reads.ready", 0)
        await self.cycles(8)


@simulated(Poll)
async def test_a_visit_reads_two_cycles_later_from_the_place_to_the_end_of_256_bytes(bench):
    bench.put("visits", {"queue": 1})
    await bench.until(lambda: bench.value("visits.valid") and bench.value("visits.ready"))
    assert await bench.until(lambda: bench.value("requests.valid")) == 2
    await bench.cycles(8)
    assert bench.asked == [(0x10000, READ_DESCRIPTORS)]


@simulated(Poll)
async def test_a_read_ends_with_the_ring(bench):
    await bench.visit(2)
    assert bench.asked == [(0x20030, 5)]


@simulated(Poll)
async def test_a_read_is_no_longer_than_the_host_allows(bench):
    bench.drive("max_read_request", 128)
    await bench.visit(1)
    assert bench.asked == [(0x10000, 8)]


@simulated(Poll)
async def test_a_queue_that_is_not_enabled_is_not_read(bench):
    await bench.visit(0)
    assert bench.asked == []
    assert bench.value("idle")


@simulated(Poll)
async def test_reads_that_are_full_let_more_be_in_flight(bench):
    await bench.visit()
    for done, flight in enumerate((2, 3, AHEAD, AHEAD), 1):
        await bench.result(FULL)
        assert len(bench.asked) - done == flight
    assert [at for at, _count in bench.asked] == [0x10000 + 256 * n for n in range(7)] + [0x10000]
    assert bench.asked[6][1] == BIG % READ_DESCRIPTORS


@simulated(Poll)
async def test_a_small_ring_is_not_read_ahead(bench):
    await bench.visit(2)
    await bench.result(FULL, queue=2)
    assert bench.asked == [(0x20030, 5)] * 2


@simulated(Poll)
async def test_where_a_queue_ends_its_other_reads_are_dead_and_the_next_begins_there(bench):
    await bench.visit()
    await bench.result(FULL)
    await bench.result(END, place=20)
    assert bench.got("ends") == [{"queue": 1, "place_offset": 20, "place_lap": 0}]
    assert bench.value("dead")
    await bench.visit()
    assert bench.asked[-1] == (0x10000 + 16 * 20, 12)
    bench.drive("reads.ready", 1)
    await bench.cycles()
    bench.drive("reads.ready", 0)
    await bench.cycles()
    assert not bench.value("dead")


@simulated(Poll)
async def test_what_has_to_be_read_again_is_at_once(bench):
    await bench.visit()
    await bench.result(AGAIN, place=15)
    assert bench.asked == [(0x10000, 16), (0x100F0, 1)]
    assert bench.got("ends") == []


@simulated(Poll)
async def test_a_visit_while_its_queue_is_read_is_made_up_for(bench):
    await bench.visit()
    await bench.visit()
    assert len(bench.asked) == 1
    await bench.result(END, place=3)
    assert [item["queue"] for item in bench.got("revisits")] == [1]
    await bench.visit()
    await bench.result(END, place=3)
    assert bench.got("revisits") == []


@simulated(Poll)
async def test_while_it_is_halted_nothing_is_read_and_nothing_lost(bench):
    await bench.visit()
    bench.drive("halt", 1)
    await bench.visit(2)
    await bench.result(FULL)
    assert len(bench.asked) == 1
    assert [item["queue"] for item in bench.got("revisits")] == [1]
    bench.drive("halt", 0)
    await bench.cycles(8)
    assert bench.asked[1:] == [(0x20030, 5)]


@simulated(Poll)
async def test_clear_sets_the_place_of_one_queue(bench):
    for queue in (1, 2):
        await bench.visit(queue)
        await bench.result(END, queue=queue, place=4)
    bench.drive("clear.index", 1)
    bench.drive("clear.position", 1 << 15 | 7)
    bench.drive("clear.en", 1)
    await bench.cycles()
    bench.drive("clear.en", 0)
    for queue in (1, 2):
        await bench.visit(queue)
    assert bench.asked[2:] == [(0x10070, 9), (0x20070, 1)]


@simulated(Poll)
async def test_what_has_to_be_read_again_is_to_the_end_of_the_next_line(bench):
    await bench.visit()
    await bench.result(AGAIN, place=3)
    assert bench.asked == [(0x10000, 16), (0x10030, 5)]
    await bench.result(END, place=6)
    # What was found, in both reads, was little: now no more than a line is read.
    await bench.visit()
    assert bench.asked[-1] == (0x10060, 2)


@simulated(Poll)
async def test_a_visit_reads_as_far_as_the_first_read_of_the_one_before_was_of_use(bench):
    # So many descriptors were found by a read of so many, which begins where the last one ended.
    for found, count in ((4, 16), (5, 5), (3, 7), (9, 4), (0, 11), (1, 11), (0, 2), (1, 2)):
        await bench.visit()
        assert bench.asked[-1] == (0x10000 + 16 * bench.place, count)
        bench.place += found
        await bench.result(END, place=bench.place)


@simulated(Poll)
async def test_a_short_read_that_is_full_is_followed_by_longer_ones_one_at_a_time(bench):
    await bench.visit()
    await bench.result(END, place=3)
    await bench.visit()
    for _ in range(4):
        await bench.result(FULL)
    # Only those that are as long as they can be let more be in flight.
    assert [count for _at, count in bench.asked[1:]] == [1, 4, 8, *[READ_DESCRIPTORS] * 3]


@simulated(Poll)
async def test_where_a_later_read_ends_teaches_nothing(bench):
    await bench.visit()
    await bench.result(FULL)
    await bench.result(END, place=17)
    bench.drive("reads.ready", 1)
    await bench.cycles(2)
    bench.drive("reads.ready", 0)
    await bench.visit()
    assert bench.asked[-1] == (0x10110, 15)


@simulated(Poll)
async def test_a_read_says_whether_it_could_have_gone_further(bench):
    for ends, count, cut in ((3, 16, 0), (5, 1, 1), (13, 3, 1), (14, 3, 0)):
        await bench.visit()
        assert (bench.asked[-1][1], bench.value("reads.payload")["cut"]) == (count, cut)
        await bench.result(END, place=ends)


@simulated(Poll)
async def test_if_the_notification_says_where_the_driver_goes_on_up_to_there_is_read(bench):
    bench.drive("carried", 1)
    for offset, count in ((3, 3), (20, 13)):
        bench.drive("next", 1 << 15 | offset)
        await bench.visit()
        assert bench.asked[-1] == (0x10000 + 16 * bench.place, count)
        read = bench.value("reads.payload")
        assert (read["known"], read["closes"]) == (1, int(offset == 3))
        bench.place += count
        await bench.result(END, place=bench.place)


@simulated(Poll)
async def test_where_the_driver_goes_on_may_be_on_the_next_lap(bench):
    await bench.visit(2)
    await bench.result(END, queue=2, place=3)
    bench.drive("carried", 1)
    bench.drive("next", 1)
    await bench.visit(2)
    assert bench.asked[1:] == [(0x20060, 2)]
    read = bench.value("reads.payload")
    assert (read["known"], read["closes"]) == (1, 0)


@simulated(Poll)
async def test_a_place_that_cannot_be_is_not_believed(bench):
    bench.drive("carried", 1)
    # Nothing; behind; more than the ring has.
    for following in (1 << 15, 1 << 15 | 101, 5):
        bench.drive("next", following)
        await bench.visit()
        assert not bench.value("reads.payload")["known"]
        await bench.result(END, place=bench.place)
