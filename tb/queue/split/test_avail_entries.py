"""EntryReader: which ring entries are read. HeadUnpacker: what comes of those that were."""

from collections import deque

import pytest

from ringwalker.queue.ring.limits import LINE_BYTES
from ringwalker.queue.split.avail_entries import EntryReader, HeadUnpacker
from ringwalker.spec.ring import AVAIL_ENTRY_BYTES, AVAIL_RING_OFFSET
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import QueueRows

QUEUES = 4
DEPTH = 4
RING = 0x1000
"""Queue 1: 256 entries, the first at RING + 4."""
SIZE = 256


class Reader(Bench):
    @classmethod
    def component(cls):
        return EntryReader(QUEUES, DEPTH)

    def __init__(self):
        super().__init__()
        self.table = QueueRows(self)
        self.table.rows[1] = {"driver": RING, "size": SIZE, "enable": 1}
        self.table.rows[2] = {"driver": 0x2FFA, "size": 8, "enable": 1}
        self.count("fail")

    def snapshot(self, idx, queue=1, **said):
        self.put("snapshots", {"queue": queue, "idx": idx % (1 << 16), **said})

    async def settled(self):
        await self.until(lambda: not self.pending("snapshots") and self.value("idle"))
        await self.cycles()  # ``fail`` comes with ``idle``.

    async def reads(self, idx, queue=1, **said):
        """The reads (address, length) that a snapshot leads to."""
        self.snapshot(idx, queue, **said)
        await self.settled()
        return [(read["address"], read["length"]) for read in self.got("requests")]

    async def advance(self, idx, queue=1):
        """Go on to this index, in steps that the queue's size allows."""
        await self.reads(idx, queue)
        self.got("entries")

    async def position(self, queue=1):
        self.drive("ahead.index", queue)
        self.drive("ahead.en", 1)
        await self.cycles()
        self.drive("ahead.en", 0)
        return self.value("ahead.position")

    async def clear(self, queue):
        self.drive("clear.index", queue)
        self.drive("clear.en", 1)
        await self.cycles()
        self.drive("clear.en", 0)


def entry(slot, ring=RING):
    return ring + AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * slot


@simulated(Reader)
async def test_a_new_entry_is_read(bench):
    assert await bench.reads(1) == [(entry(0), 2)]
    assert bench.got("entries") == [{"queue": 1, "size": SIZE, "entries": 1, "odd": 0, "first": 1}]


@simulated(Reader)
async def test_a_read_is_requested_two_cycles_after_its_snapshot_was_taken(bench):
    bench.snapshot(1)
    await bench.until(lambda: bench.value("snapshots.valid") and bench.value("snapshots.ready"))
    assert await bench.until(lambda: bench.value("requests.valid")) == 2


@simulated(Reader)
async def test_entries_that_were_read_are_not_read_again(bench):
    await bench.advance(3)
    assert await bench.reads(5) == [(entry(3), 4)]


@simulated(Reader)
async def test_an_entry_in_the_upper_half_of_its_dword_is_odd(bench):
    await bench.advance(1)
    await bench.reads(2)
    assert (await bench.get("entries"))["odd"] == 1


@simulated(Reader)
async def test_a_read_ends_with_its_line(bench):
    # The line at RING has 30 entries behind flags and index.
    assert await bench.reads(100) == [
        (entry(0), 60),
        (RING + LINE_BYTES, LINE_BYTES),
        (RING + 2 * LINE_BYTES, LINE_BYTES),
        (RING + 3 * LINE_BYTES, 12),
    ]
    assert [read["first"] for read in bench.got("entries")] == [1, 0, 0, 0]


@simulated(Reader)
async def test_a_read_does_not_cross_a_page(bench):
    # The ring at 0x2FFA begins 2 bytes before a page.
    assert await bench.reads(2, queue=2) == [(0x2FFE, 2), (0x3000, 2)]


@simulated(Reader)
async def test_a_read_ends_with_the_ring(bench):
    await bench.advance(6, queue=2)
    assert await bench.reads(10, queue=2) == [(entry(6, 0x2FFA), 4), (0x2FFE, 2), (0x3000, 2)]


@simulated(Reader)
async def test_a_further_read_comes_every_two_cycles(bench):
    times = []
    bench.each_cycle(lambda: times.append(bench.cycle) if bench.value("requests.valid") else None)
    await bench.reads(100)
    assert [time - times[0] for time in times] == [0, 2, 4, 6]


@simulated(Reader)
async def test_the_index_wraps_at_16_bits(bench):
    bench.preset("positions", 1, 0xFFFE)
    assert await bench.reads(1) == [(entry(SIZE - 2), 4), (entry(0), 2)]
    assert await bench.position() == 1


@simulated(Reader)
async def test_nothing_is_read_when_nothing_is_new(bench):
    await bench.advance(5)
    assert await bench.reads(5) == []
    assert bench.counts["fail"] == 0


@simulated(Reader)
async def test_a_whole_ring_may_be_new_and_not_more(bench):
    assert await bench.reads(9, queue=2) == []
    assert bench.counts["fail"] == 1
    assert sum(length for _, length in await bench.reads(8, queue=2)) == 8 * AVAIL_ENTRY_BYTES
    assert bench.counts["fail"] == 1


@simulated(Reader)
async def test_an_index_that_goes_back_fails_and_the_position_stays(bench):
    await bench.advance(5)
    assert await bench.reads(4) == []
    assert bench.counts["fail"] == 1
    assert await bench.position() == 5


@simulated(Reader)
async def test_an_older_index_of_a_read_that_overlapped_is_dropped(bench):
    await bench.advance(5)
    assert await bench.reads(4, overlapped=1) == []
    assert bench.counts["fail"] == 0
    assert await bench.reads(6, overlapped=1) == [(entry(5), 2)]


@simulated(Reader)
async def test_a_carried_index_that_cannot_be_is_read_again(bench):
    await bench.advance(5)
    for idx in (4, 5 + SIZE + 1, 0x8000):
        assert await bench.reads(idx, carried=1) == []
        assert (await bench.get("revisits"))["queue"] == 1
    assert bench.counts["fail"] == 0
    assert await bench.reads(6, carried=1) == [(entry(5), 2)]
    assert not bench.pending("revisits")


@simulated(Reader)
async def test_a_snapshot_that_failed_is_dropped(bench):
    assert await bench.reads(3, error=1) == []
    assert bench.counts["fail"] == 1
    assert await bench.reads(3) == [(entry(0), 6)]


@simulated(Reader)
async def test_a_queue_that_is_not_enabled_is_left_alone(bench):
    bench.table.rows[1]["enable"] = 0
    bench.drive("event_idx", 1)
    for idx in (3, 0):
        assert await bench.reads(idx) == []
    assert await bench.position() == 0
    assert (bench.counts["fail"], bench.pending("polls")) == (0, 0)


@simulated(Reader)
async def test_queues_have_positions_of_their_own(bench):
    await bench.advance(3)
    await bench.advance(4, queue=2)
    assert [await bench.position(queue) for queue in (0, 1, 2)] == [0, 3, 4]


@simulated(Reader)
async def test_clear_forgets_the_position_of_one_queue(bench):
    await bench.advance(3)
    await bench.advance(4, queue=2)
    await bench.clear(1)
    assert [await bench.position(queue) for queue in (1, 2)] == [0, 4]
    assert await bench.reads(1) == [(entry(0), 2)]


@simulated(Reader)
async def test_a_snapshot_is_decided_one_cycle_after_it_was_taken(bench):
    for idx, covers in ((3, 1), (3, 0), (4, 1)):
        bench.snapshot(idx)
        await bench.until(lambda: bench.value("snapshots.valid") and bench.value("snapshots.ready"))
        assert not bench.value("decided")["valid"]
        await bench.cycles()
        assert bench.value("decided") == {"valid": 1, "queue": 1, "covers": covers, "size": SIZE}
        await bench.settled()


@simulated(Reader)
async def test_polls_say_what_a_snapshot_showed(bench):
    bench.drive("event_idx", 1)
    for idx, found in ((3, 1), (3, 0), (100, 1)):
        await bench.reads(idx)
        assert await bench.get("polls") == {"queue": 1, "idx": idx, "found": found}
    await bench.reads(99)
    await bench.reads(1, error=1)
    assert not bench.pending("polls")


@simulated(Reader)
async def test_a_poll_comes_after_the_last_read_was_requested(bench):
    bench.drive("event_idx", 1)
    bench.stall("requests")
    await bench.cycles()
    bench.snapshot(3)
    await bench.cycles(20)
    assert not bench.pending("polls")
    bench.stall("requests", probability=0)
    await bench.get("polls")
    assert bench.pending("requests") == 1


@simulated(Reader)
async def test_there_are_no_polls_without_the_feature(bench):
    await bench.reads(3)
    await bench.reads(3)
    assert not bench.pending("polls")


@simulated(Reader)
async def test_no_more_reads_are_in_flight_than_the_depth(bench):
    bench.stall("entries")
    await bench.cycles()
    bench.snapshot(SIZE)
    await bench.cycles(50)
    assert bench.pending("requests") == DEPTH
    bench.stall("entries", probability=0)
    await bench.settled()
    assert sum(read["length"] for read in bench.got("requests")) == SIZE * AVAIL_ENTRY_BYTES


@simulated(Reader)
async def test_it_is_idle_when_what_was_read_was_taken(bench):
    bench.stall("entries")
    await bench.cycles()
    assert bench.value("idle")
    bench.snapshot(1)
    await bench.until(lambda: bench.pending("requests"))
    await bench.cycles(5)
    assert not bench.value("idle")
    bench.stall("entries", probability=0)
    await bench.settled()


@simulated(Reader)
async def test_random_snapshots_read_every_entry_once(bench):
    """The driver's index goes on by what it likes; a snapshot is what it is now, or what it never was."""
    rnd = bench.random
    rows = {
        0: {"driver": 0x0FFA, "size": 16, "enable": 1},
        1: {"driver": 0x2000 + 30, "size": 256, "enable": 1},
        2: {"driver": 0xFFFF_FFFF_0FC4, "size": 64, "enable": 1},
        3: {"driver": 0x3000, "size": 1, "enable": 1},
    }
    bench.table.rows = rows
    position = {queue: rnd.randrange(0xFF00, 0x10000) for queue in rows}
    for queue, idx in position.items():
        bench.preset("positions", queue, idx)
    bench.stall(probability=0.2)
    bench.drive("event_idx", 1)
    expected, polls, revisits, fails = deque(), [], [], 0
    for _ in range(150):
        queue = rnd.randrange(QUEUES)
        size = rows[queue]["size"]
        kind = rnd.choice(("good", "good", "good", "same", "wrong", "error"))
        said = {"overlapped": int(rnd.random() < 0.3), "carried": 0}
        if kind == "wrong":
            idx = (position[queue] + rnd.choice((size + 1, 0x8000, -1, rnd.randrange(size + 1, 1 << 16)))) % (
                1 << 16
            )
            said["carried"] = int(rnd.random() < 0.4)
            if said["carried"]:
                said["overlapped"] = 0
                revisits.append(queue)
            else:
                fails += not said["overlapped"]
        elif kind == "error":
            idx, fails = rnd.getrandbits(16), fails + 1
        else:
            count = rnd.randint(1, size) if kind == "good" else 0
            for n in range(count):
                first = n == 0
                expected.append((queue, entry((position[queue] + n) % size, rows[queue]["driver"]), first))
            idx = position[queue] = (position[queue] + count) % (1 << 16)
            polls.append({"queue": queue, "idx": idx, "found": int(count > 0)})
        bench.snapshot(idx, queue, error=int(kind == "error"), **said)
        await bench.cycles(rnd.choice((0, 1, 10)))
    await bench.settled()
    for read, said in zip(bench.got("requests"), bench.got("entries"), strict=True):
        address, length = read["address"], read["length"]
        assert address // LINE_BYTES == (address + length - 1) // LINE_BYTES
        assert (said["entries"], said["odd"]) == (length // AVAIL_ENTRY_BYTES, address >> 1 & 1)
        assert said["size"] == rows[said["queue"]]["size"]
        for n in range(said["entries"]):
            first = bool(said["first"]) and n == 0
            assert (said["queue"], address + AVAIL_ENTRY_BYTES * n, first) == expected.popleft()
    assert not expected
    assert bench.got("polls") == polls
    assert [item["queue"] for item in bench.got("revisits")] == revisits
    assert bench.counts["fail"] == fails
    assert min(fails, len(revisits)) > 5


@pytest.mark.parametrize("queues", [0, 1025])
def test_it_refuses_a_number_of_queues_that_there_is_not(queues):
    with pytest.raises(ValueError, match=f"queues is {queues}"):
        EntryReader(queues)


class Unpacker(Bench):
    width = 64

    @classmethod
    def component(cls):
        return HeadUnpacker(cls.width)

    def __init__(self):
        super().__init__()
        self.count("fail")

    def read(self, *heads, queue=1, size=SIZE, odd=0, first=1, error=0):
        """A read of these entries, and its answer: packed from the dword that the first of them is in."""
        self.put("entries", {"queue": queue, "size": size, "entries": len(heads), "odd": odd, "first": first})
        words = [self.random.getrandbits(16) for _ in range(odd)] + list(heads)
        lanes = self.width // 16
        beats = [words[n : n + lanes] for n in range(0, len(words), lanes)]
        for n, beat in enumerate(beats):
            filled = beat + [self.random.getrandbits(16) for _ in range(lanes - len(beat))]
            value = sum(word << 16 * lane for lane, word in enumerate(filled))
            self.put(
                "data",
                {"data": value, "first": int(n == 0), "last": int(n == len(beats) - 1), "error": error},
            )

    async def heads(self):
        """All heads, as pairs of head and mark."""
        done = ("entries", "data")
        await self.until(lambda: not any(self.pending(name) for name in done) and self.value("idle"))
        await self.cycles(2)
        return [(head["at"], head["first"]) for head in self.got("heads")]


class WideUnpacker(Unpacker):
    width = 512


@simulated(Unpacker)
async def test_an_entry_is_a_head_of_its_queue(bench):
    bench.read(77, queue=3)
    assert await bench.get("heads") == {
        "queue": 3,
        "at": 77,
        "id": 77,
        "span": 0,
        "brought": 0,
        "first": 1,
        "guess": 0,
    }


@simulated(Unpacker)
async def test_a_head_comes_out_one_cycle_after_its_data(bench):
    bench.read(77)
    await bench.until(lambda: bench.value("data.valid") and bench.value("data.ready"))
    assert not bench.value("heads.valid")
    await bench.cycles()
    assert bench.value("heads.valid")


@simulated(Unpacker)
async def test_entries_come_out_one_a_cycle_over_all_beats(bench):
    bench.read(*range(10))
    await bench.until(lambda: bench.value("heads.valid"))
    await bench.cycles(10)
    assert bench.pending("heads") == 10
    assert await bench.heads() == [(n, int(n == 0)) for n in range(10)]


@simulated(Unpacker)
async def test_an_odd_read_begins_in_the_upper_half_of_a_dword(bench):
    bench.read(1, 2, 3, 4, 5, odd=1)
    assert [head for head, _first in await bench.heads()] == [1, 2, 3, 4, 5]


@simulated(Unpacker)
async def test_only_the_first_read_of_a_snapshot_has_a_head_with_the_mark(bench):
    bench.read(1, 2)
    bench.read(3, 4, first=0)
    bench.read(5)
    assert await bench.heads() == [(1, 1), (2, 0), (3, 0), (4, 0), (5, 1)]


@simulated(Unpacker)
async def test_an_entry_that_is_no_descriptor_is_dropped(bench):
    bench.read(255, 256, 0xFFFF, 0)
    assert await bench.heads() == [(255, 1), (0, 0)]
    assert bench.counts["fail"] == 2


@simulated(Unpacker)
async def test_the_mark_goes_to_the_next_when_the_first_is_dropped(bench):
    bench.read(256, 257)
    bench.read(258, 1, first=0)
    assert await bench.heads() == [(1, 1)]


@simulated(Unpacker)
async def test_a_read_that_failed_is_dropped_and_leaves_its_mark(bench):
    bench.read(*range(10), error=1)
    bench.read(1, 2, first=0)
    assert await bench.heads() == [(1, 1), (2, 0)]
    assert bench.counts["fail"] > 0


@simulated(Unpacker)
async def test_it_is_idle_when_no_head_waits(bench):
    bench.stall("heads")
    assert bench.value("idle")
    bench.read(1)
    await bench.cycles(10)
    assert not bench.value("idle")
    bench.stall("heads", probability=0)
    await bench.heads()
    assert bench.value("idle")


async def _random_reads(bench: Unpacker) -> None:
    """Heads are the entries below the size, in order; a mark is on the first of each snapshot that is one."""
    rnd, expected, marked, failed = bench.random, [], False, 0
    bench.stall(probability=0.3)
    for number in range(150):
        size = rnd.choice((1, 8, 256, 32768))
        first, error = int(number == 0 or rnd.random() < 0.5), int(rnd.random() < 0.1)
        odd = rnd.getrandbits(1)
        heads = [
            rnd.randrange(size) if rnd.random() < 0.9 else rnd.randrange(size, 1 << 16)
            for _ in range(rnd.randint(1, min(32 - odd, rnd.choice((3, 32)))))
        ]
        bench.read(*heads, size=size, odd=odd, first=first, error=error)
        marked |= bool(first)
        for head in heads:
            if error or head >= size:
                failed += 1
                continue
            expected.append((head, int(marked)))
            marked = False
        if number % 10 == 0:
            await bench.cycles(20)
    assert await bench.heads() == expected
    assert failed > 50
    assert bench.counts["fail"] > 0


test_random_reads = simulated(Unpacker)(_random_reads)
test_random_reads_on_a_wide_bus = simulated(WideUnpacker)(_random_reads)
