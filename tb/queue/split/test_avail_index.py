"""AvailIndexFetch: which indices are read, which are taken from doorbells, and what is said of each."""

from collections import deque

import pytest

from ringwalker.queue.split.avail_index import AvailIndexFetch
from ringwalker.spec.ring import AVAIL_IDX_OFFSET
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads, QueueRows

QUEUES = 4
DEPTH = 4
INDEX_BYTES = 2
PLACES = (0x0FFA, 0x2000, 0x3FFC, 0x40000)
"""Available rings, with the index in either half of a dword, and as the last bytes of a page."""


class Index(Bench):
    """Visits are put with what doorbells carried, if they did; ``rings`` are the indices in memory."""

    width = 64

    @classmethod
    def component(cls):
        return AvailIndexFetch(cls.width, DEPTH)

    def __init__(self):
        super().__init__()
        self.table = QueueRows(self)
        for queue, driver in enumerate(PLACES):
            self.table.rows[queue] = {"driver": driver, "size": 8, "enable": 1}
        self.memory = bytearray(1 << 19)
        self.reads = DmaReads(self, "read", self.memory, self.width)
        self.carried: deque[int | None] = deque()
        self.begun: list[dict[str, int]] = []
        self.each_cycle(self._doorbells)

    def _doorbells(self) -> None:
        if self.value("begun")["valid"]:
            self.begun.append({key: self.value("begun")[key] for key in ("queue", "carried", "alone")})
        if self.value("visits.valid") and self.value("visits.ready"):
            index = self.carried.popleft()
            self.drive("carried", int(index is not None))
            self.drive("next", self.random.getrandbits(16) if index is None else index)

    def set_index(self, queue: int, index: int) -> None:
        at = PLACES[queue] + AVAIL_IDX_OFFSET
        self.memory[at : at + INDEX_BYTES] = index.to_bytes(INDEX_BYTES, "little")

    def visit(self, queue: int, carried: int | None = None) -> None:
        self.carried.append(carried)
        self.put("visits", {"queue": queue})

    async def taken(self, stream: str = "visits") -> None:
        """The cycle in which an item is taken."""
        await self.until(lambda: self.value(f"{stream}.valid") and self.value(f"{stream}.ready"))

    async def settled(self) -> None:
        await self.until(lambda: self.value("idle") and not self.pending("visits"))


class WideIndex(Index):
    width = 512


def snapshot(queue, idx, **said):
    return {"queue": queue, "idx": idx, "error": 0, "overlapped": 0, "carried": 0, **said}


@simulated(Index)
async def test_the_index_is_read_from_the_driver_area(bench):
    for queue in range(QUEUES):
        bench.set_index(queue, 0x1100 + queue)
        bench.visit(queue)
        assert await bench.get("snapshots") == snapshot(queue, 0x1100 + queue)
    assert bench.reads.requests == [(driver + AVAIL_IDX_OFFSET, INDEX_BYTES) for driver in PLACES]


@simulated(Index)
async def test_the_read_is_requested_one_cycle_after_the_visit_was_taken(bench):
    bench.visit(0)
    await bench.taken()
    assert not bench.value("read.requests.valid")
    await bench.cycles()
    assert bench.value("read.requests.valid")


@simulated(Index)
async def test_the_answer_is_a_snapshot_in_the_same_cycle(bench):
    bench.visit(0)
    await bench.taken("read.data")
    assert bench.value("snapshots.valid")


@simulated(Index)
async def test_a_visit_is_taken_every_cycle(bench):
    for _ in range(DEPTH):
        bench.visit(0)
    await bench.taken()
    begin = bench.cycle
    await bench.until(lambda: not bench.pending("visits"))
    assert bench.cycle - begin == DEPTH


@simulated(Index)
async def test_a_visit_to_a_queue_that_is_not_enabled_ends_here(bench):
    bench.table.rows[1]["enable"] = 0
    bench.visit(1)
    bench.visit(1, carried=5)
    await bench.cycles(20)
    assert bench.value("idle")
    assert not bench.reads.requests
    assert not bench.pending("snapshots")
    assert not bench.begun


@simulated(Index)
async def test_a_read_that_failed_is_said(bench):
    bench.reads.fails = lambda address: True
    bench.visit(1)
    got = await bench.get("snapshots")
    assert (got["queue"], got["error"]) == (1, 1)


@simulated(Index)
async def test_an_index_that_was_carried_is_not_read(bench):
    bench.set_index(1, 7)
    for index in (8, 0, 0xFFFF):
        bench.visit(1, carried=index)
        assert await bench.get("snapshots") == snapshot(1, index, carried=1)
    assert not bench.reads.requests


@simulated(Index)
async def test_an_index_that_was_carried_is_a_snapshot_one_cycle_after_the_visit(bench):
    bench.visit(1, carried=8)
    await bench.taken()
    await bench.cycles()
    assert bench.value("snapshots.valid")


@simulated(Index)
async def test_a_carried_index_is_read_while_a_read_of_the_same_index_is_in_flight(bench):
    bench.reads.latency = (30, 30)
    bench.set_index(1, 7)
    bench.visit(1)
    bench.visit(1, carried=9)
    assert [await bench.get("snapshots") for _ in range(2)] == [
        snapshot(1, 7),
        snapshot(1, 7, overlapped=1),
    ]


@simulated(Index)
async def test_a_read_that_is_offered_stays_though_the_one_before_is_answered(bench):
    bench.reads.latency = (10, 10)
    bench.set_index(1, 7)
    bench.visit(1)
    await bench.taken("read.requests")
    await bench.cycles()
    bench.stall("read.requests")
    bench.visit(1, carried=9)
    assert await bench.get("snapshots") == snapshot(1, 7)
    await bench.cycles(10)
    bench.stall("read.requests", probability=0)
    assert await bench.get("snapshots") == snapshot(1, 7)


@simulated(Index)
async def test_a_carried_index_overtakes_reads_of_other_queues(bench):
    bench.reads.latency = (30, 30)
    bench.visit(1)
    bench.visit(2, carried=9)
    assert [(await bench.get("snapshots"))["queue"] for _ in range(2)] == [2, 1]


@simulated(Index)
async def test_the_second_of_two_reads_of_an_index_in_flight_overlaps(bench):
    bench.reads.latency = (30, 30)
    for queue in (0, 1, 0):
        bench.visit(queue)
    assert [(await bench.get("snapshots"))["overlapped"] for _ in range(3)] == [0, 0, 1]
    bench.visit(0)
    assert (await bench.get("snapshots"))["overlapped"] == 0


@simulated(Index)
async def test_no_more_reads_are_in_flight_than_the_depth(bench):
    bench.stall("read.data")
    for _ in range(DEPTH + 3):
        bench.visit(0)
    await bench.cycles(30)
    assert len(bench.reads.requests) == DEPTH
    bench.stall("read.data", probability=0)
    for _ in range(DEPTH + 3):
        await bench.get("snapshots")


@simulated(Index)
async def test_no_visit_is_taken_while_hold_is_up(bench):
    bench.drive("hold", 1)
    bench.visit(0)
    await bench.cycles(10)
    assert bench.pending("visits") == 1
    bench.drive("hold", 0)
    await bench.get("snapshots")


@simulated(Index)
async def test_a_visit_that_was_taken_begins_though_hold_is_up(bench):
    bench.visit(0)
    await bench.taken()
    await bench.cycles()
    bench.drive("hold", 1)
    await bench.get("snapshots")
    await bench.cycles(20)
    assert len(bench.reads.requests) == len(bench.begun) == 1


@simulated(Index)
async def test_a_visit_begins_with_its_row_and_alone(bench):
    bench.stall("read.requests")
    bench.visit(2)
    await bench.cycles(10)
    assert not bench.value("begun")["valid"]
    bench.stall("read.requests", probability=0)
    await bench.until(lambda: bench.value("begun")["valid"])
    assert bench.value("begun") == {"valid": 1, "queue": 2, "carried": 0, "alone": 1}
    assert bench.value("table.row")["driver"] == PLACES[2]
    await bench.cycles()
    assert not bench.value("begun")["valid"]


@simulated(Index)
async def test_a_visit_is_not_alone_while_another_is_read_or_its_snapshot_waits(bench):
    bench.reads.latency = (10, 10)
    for between in (5, 30):
        bench.stall("snapshots")
        bench.visit(1)
        await bench.cycles(between)
        bench.visit(2)
        await bench.cycles(30)
        bench.stall("snapshots", probability=0)
        await bench.settled()
    bench.visit(3, carried=1)
    await bench.settled()
    assert [visit["alone"] for visit in bench.begun] == [1, 0, 1, 0, 1]


@simulated(Index)
async def test_the_driver_area_is_aligned_to_two_bytes(bench):
    bench.table.rows[1]["driver"] = PLACES[1] + 1
    bench.set_index(1, 77)
    bench.visit(1)
    assert await bench.get("snapshots") == snapshot(1, 77)


@simulated(Index)
async def test_it_is_not_idle_until_the_snapshot_was_taken(bench):
    bench.stall("snapshots")
    assert bench.value("idle")
    bench.visit(1)
    await bench.cycles(30)
    assert bench.value("snapshots.valid")
    assert not bench.value("idle")
    bench.stall("snapshots", probability=0)
    await bench.get("snapshots")
    assert bench.value("idle")


async def _random_visits(bench: Index) -> None:
    """Each visit of a queue that is enabled gives one snapshot; a carried one is what was carried, one that
    was read is a value that the index had since the visit began."""
    bench.table.rows[3]["enable"] = 0
    bench.stall(probability=0.3)
    bench.reads.latency = (2, 25)
    failing = PLACES[2] + AVAIL_IDX_OFFSET
    bench.reads.fails = lambda address: address == failing
    indices = [bench.random.getrandbits(16) for _ in PLACES]
    visits: deque[tuple[int, int | None]] = deque()
    reading: deque[dict] = deque()
    carried: deque[tuple[int, int]] = deque()
    total = 0
    offered = False

    def begin() -> None:
        begun = bench.value("begun")
        if begun["valid"]:
            queue, index = visits.popleft()
            assert begun["queue"] == queue
            before = [read for read in reading if read["queue"] == queue and not read["answered"]]
            if begun["carried"]:
                assert index is not None
                assert not before
                carried.append((queue, index))
            else:
                assert index is None or before or offered, "no read of what was carried is in flight"
                overlapped = int(bool(before))
                reading.append(
                    {"queue": queue, "seen": {indices[queue]}, "overlapped": overlapped, "answered": False}
                )

    def check(got) -> None:
        nonlocal total
        total += 1
        if got["carried"]:
            assert (got["queue"], got["idx"], got["error"], got["overlapped"]) == (*carried.popleft(), 0, 0)
            return
        read = reading.popleft()
        assert got["queue"] == read["queue"]
        assert got["overlapped"] == read["overlapped"]
        assert got["error"] == (read["queue"] == 2)
        assert got["error"] or got["idx"] in read["seen"]

    def follow() -> None:
        nonlocal offered
        begin()
        # A read that was offered before the last one was answered stays.
        offered = bool(bench.value("read.requests.valid") and not bench.value("read.requests.ready"))
        if bench.value("read.data.valid") and bench.value("read.data.ready"):
            next(read for read in reading if not read["answered"])["answered"] = True
        for got in bench.got("snapshots"):
            check(got)

    bench.each_cycle(follow)
    for queue in range(QUEUES):
        bench.set_index(queue, indices[queue])
    expected = 0
    for _ in range(300):
        queue = bench.random.randrange(QUEUES)
        indices[queue] = (indices[queue] + bench.random.randint(0, 3)) % (1 << 16)
        bench.set_index(queue, indices[queue])
        for read in reading:
            if read["queue"] == queue:
                read["seen"].add(indices[queue])
        index = indices[queue] if bench.random.random() < 0.3 else None
        bench.visit(queue, index)
        if queue != 3:
            visits.append((queue, index))
            expected += 1
        await bench.cycles(bench.random.choice((0, 0, 1, 3, 20)))
    await bench.until(lambda: total == expected, "the last snapshot")
    assert bench.value("idle")
    assert not visits


test_random_visits = simulated(Index)(_random_visits)
test_random_visits_on_a_wide_bus = simulated(WideIndex)(_random_visits)


def test_it_refuses_a_depth_of_one():
    with pytest.raises(ValueError, match="depth is 1"):
        AvailIndexFetch(64, 1)
