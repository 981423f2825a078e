"""SplitRing against a driver in Python: heads, whatever is guessed, and the used ring.

Ref: virtio 1.4, 2.7.13 (what the driver writes, and in which order).
"""

from collections import deque

from ringwalker.config import DeviceConfig
from ringwalker.queue.split.ring import SplitRing
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads, QueueRows

WIDTH = 64
QUEUES = 3
SIZES = (4, 16, 64)
AVAIL = (0x0FFA, 0x2000, 0x301C)
USED = (0x5000, 0x7FE8, 0x9000)
"""The used ring of queue 1 has an element in two pages."""


class Ring(Bench):
    """``heads`` are the chains that the ring found: those without a guess, and the guesses that were
    confirmed.

    What is behind the ring finishes a chain ``work`` cycles after its head, at the earliest.
    """

    @classmethod
    def component(cls):
        return SplitRing(DeviceConfig(data_width=WIDTH, queues=QUEUES))

    def __init__(self):
        super().__init__()
        self.memory = bytearray(1 << 16)
        self.reads = [
            DmaReads(self, f"{name}_read", self.memory, WIDTH) for name in ("index", "entry", "ordered")
        ]
        for name in ("index", "entry", "used", "notification", "event"):
            table = QueueRows(self, f"{name}_table")
            for queue, size in enumerate(SIZES):
                row = {
                    "driver": AVAIL[queue],
                    "device": USED[queue],
                    "size": size,
                    "vector": queue,
                    "enable": 1,
                }
                table.rows[queue] = row
        self.drive("msix_enable", 1)
        self.drive("quiet", 1)
        self.count("confirm", "withdraw", "fail")
        self.carried: deque[int | None] = deque()
        self.heads: list[tuple[int, int]] = []
        self.guess: tuple[int, int] | None = None
        self.guess_age = 0
        self._refuting: list[tuple[int, int]] = []
        self.work = 0
        self._busy: deque[int] = deque()
        self.on("heads", self._head)
        self._write: dict | None = None
        self.on("used_writes", self._used)
        self.each_cycle(self._behind)

    def _head(self, head) -> None:
        assert head["at"] == head["id"]
        found = (head["queue"], head["id"])
        if head["guess"]:
            assert self.guess is None, "a guess before the last was judged"
            assert not self._busy, "a guess while something is in flight"
            self.guess, self.guess_age = found, 0
        else:
            # The head that refutes a guess may come a cycle before ``withdraw``, and the next one with it.
            (self.heads if self.guess is None else self._refuting).append(found)
            self._busy.append(self.cycle + self.work)

    def _behind(self) -> None:
        for name in ("confirm", "withdraw"):
            if self.value(name):
                assert self.guess is not None, f"{name} without a guess"
                assert self.guess_age >= 2
                if name == "confirm":
                    self.heads.append(self.guess)
                    self._busy.append(self.cycle + self.work)
                self.guess = None
                self.heads += self._refuting
                assert len(self._refuting) <= 2
                self._refuting.clear()
        self.guess_age += 1
        while self._busy and self._busy[0] <= self.cycle:
            self._busy.popleft()
        self.drive("quiet", int(not self._busy and self.guess is None and not self.value("heads.valid")))
        if self.value("visits.valid") and self.value("visits.ready"):
            index = self.carried.popleft()
            self.drive("carried", int(index is not None))
            self.drive("next", index or 0)

    def _used(self, beat) -> None:
        """A beat of a write, which goes to memory at once."""
        if beat["first"]:
            self._write = {"at": beat["header_address"], "first_be": beat["header_first_be"], "dword": 0}
            self._write |= {"length": beat["header_length"], "last_be": beat["header_last_be"]}
        write = self._write
        assert write is not None
        for lane in range(WIDTH // 32):
            if not beat["dwords"] >> lane & 1:
                continue
            enabled = 0xF
            if write["dword"] == 0:
                enabled = write["first_be"]
            elif write["dword"] == write["length"] - 1:
                enabled = write["last_be"]
            for n in range(4):
                if enabled >> n & 1:
                    self.memory[write["at"] + 4 * write["dword"] + n] = (
                        beat["data"] >> 32 * lane + 8 * n & 0xFF
                    )
            write["dword"] += 1

    def read16(self, at):
        return int.from_bytes(self.memory[at : at + 2], "little")

    def used_index(self, queue):
        return self.read16(USED[queue] + 2)

    def used_element(self, queue, index):
        at = USED[queue] + 4 + 8 * (index % SIZES[queue])
        element = self.memory[at : at + 8]
        return int.from_bytes(element[:4], "little"), int.from_bytes(element[4:], "little")

    def make_available(self, queue, *heads):
        """The driver writes entries, and then the index."""
        idx = self.read16(AVAIL[queue] + 2)
        for head in heads:
            at = AVAIL[queue] + 4 + 2 * (idx % SIZES[queue])
            self.memory[at : at + 2] = head.to_bytes(2, "little")
            idx = (idx + 1) % (1 << 16)
        self.memory[AVAIL[queue] + 2 : AVAIL[queue] + 4] = idx.to_bytes(2, "little")

    def ring(self, queue, carries=False):
        """The queue is visited, as after a doorbell."""
        self.carried.append(self.read16(AVAIL[queue] + 2) if carries else None)
        self.put("visits", {"queue": queue})

    async def settled(self):
        def rests() -> bool:
            return not self.pending("visits") and not self.pending("completed") and self.value("idle")

        await self.until(rests, "idle")
        await self.cycles(3)
        await self.until(rests, "idle")
        for again in self.got("revisits"):
            self.ring(again["queue"])
            await self.settled()


@simulated(Ring)
async def test_what_the_driver_made_available_comes_out_in_order(bench):
    bench.make_available(1, 5, 3, 9)
    bench.ring(1)
    await bench.settled()
    assert bench.heads == [(1, 5), (1, 3), (1, 9)]


@simulated(Ring)
async def test_a_visit_that_finds_all_at_rest_guesses_the_first_head(bench):
    bench.make_available(1, 5, 3)
    bench.ring(1)
    await bench.settled()
    assert (bench.counts["confirm"], bench.counts["withdraw"]) == (1, 0)


@simulated(Ring)
async def test_an_entry_that_was_read_too_early_is_a_wrong_guess(bench):
    bench.make_available(1, 5)
    bench.ring(1)
    await bench.settled()
    bench.make_available(1, 7)
    bench.memory[AVAIL[1] + 6 : AVAIL[1] + 8] = (2).to_bytes(2, "little")
    bench.reads[0].latency = (20, 20)
    bench.ring(1)
    await bench.until(lambda: len(bench.reads[0].requests) == 4)
    await bench.cycles(20)
    bench.memory[AVAIL[1] + 6 : AVAIL[1] + 8] = (7).to_bytes(2, "little")
    await bench.settled()
    assert bench.heads == [(1, 5), (1, 7)]
    assert (bench.counts["confirm"], bench.counts["withdraw"]) == (1, 1)


@simulated(Ring)
async def test_a_guess_is_withdrawn_when_its_entry_cannot_be_read_after_the_index(bench):
    bench.reads[1].fails = lambda address: True
    bench.make_available(1, 5)
    bench.ring(1)
    await bench.settled()
    assert (bench.counts["confirm"], bench.counts["withdraw"]) == (0, 1)
    assert bench.heads == []
    assert bench.counts["fail"] == 1
    bench.reads[1].fails = lambda address: False
    bench.make_available(1, 9)
    bench.ring(1)
    await bench.settled()
    assert bench.heads == [(1, 9)]


@simulated(Ring)
async def test_an_entry_that_is_no_descriptor_is_no_head(bench):
    bench.make_available(1, SIZES[1], 9)
    bench.ring(1)
    await bench.settled()
    assert bench.heads == [(1, 9)]
    assert bench.counts["fail"] == 1


@simulated(Ring)
async def test_nothing_is_guessed_while_a_chain_is_in_flight(bench):
    bench.work = 100
    for _ in range(2):
        bench.make_available(1, 5)
        bench.ring(1)
        await bench.settled()
    assert bench.heads == [(1, 5)] * 2
    assert bench.counts["confirm"] == 1


@simulated(Ring)
async def test_a_carried_index_is_not_read(bench):
    bench.make_available(1, 5, 3)
    bench.ring(1, carries=True)
    await bench.settled()
    assert bench.heads == [(1, 5), (1, 3)]
    assert AVAIL[1] + 2 not in [address for address, _length in bench.reads[0].requests]


@simulated(Ring)
async def test_a_chain_that_is_done_is_in_the_used_ring_before_the_index_says_so(bench):
    order = []
    bench.each_cycle(lambda: order.append((bench.used_element(1, 0), bench.used_index(1))))
    bench.put("completed", {"queue": 1, "id": 5, "written": 77})
    await bench.settled()
    assert [state for n, state in enumerate(order) if n == 0 or state != order[n - 1]] == [
        ((0, 0), 0),
        ((5, 77), 0),
        ((5, 77), 1),
    ]
    assert bench.got("interrupts") == [1]


@simulated(Ring)
async def test_clear_forgets_all_positions_of_a_queue(bench):
    for queue in (1, 2):
        bench.make_available(queue, 5, 3)
        bench.ring(queue)
        await bench.settled()
        bench.put("completed", {"queue": queue, "id": 5, "written": 0})
        await bench.settled()
    bench.drive("clear.index", 1)
    bench.drive("clear.en", 1)
    await bench.cycles()
    bench.drive("clear.en", 0)
    bench.memory[:] = bytes(len(bench.memory))
    bench.heads.clear()
    bench.make_available(1, 9)
    bench.ring(1)
    await bench.settled()
    bench.put("completed", {"queue": 1, "id": 9, "written": 1}, {"queue": 2, "id": 3, "written": 1})
    await bench.settled()
    assert bench.heads == [(1, 9)]
    assert (bench.used_index(1), bench.used_element(1, 0)) == (1, (9, 1))
    assert (bench.used_index(2), bench.used_element(2, 1)) == (2, (3, 1))


@simulated(Ring)
async def test_random_traffic_is_as_the_driver_sees_it(bench):
    """Each head comes out once, in the order of its queue, whatever was guessed; each chain that is done is
    in the used ring, in the order in which it was done."""
    rnd = bench.random
    bench.stall(probability=0.2)
    for read in bench.reads:
        read.latency = (2, 14)
    made = [[] for _ in SIZES]
    done = [[] for _ in SIZES]
    bench.work = 8

    def found(queue):
        return [head for number, head in bench.heads if number == queue]

    for _ in range(100):
        queue = rnd.randrange(QUEUES)
        size = SIZES[queue]
        if rnd.random() < 0.3:
            bench.ring(queue)  # The driver may notify though nothing is new.
            await bench.cycles(rnd.randint(0, 20))
        used = bench.used_index(queue)
        count = min(rnd.choice((1, 1, 1, 2, 3, size)), size - (len(made[queue]) - used))
        if count:
            step = rnd.choice((0, 1, 3))
            before = made[queue][-1] if made[queue] else 0
            fresh = [(before + step * (n + 1)) % size for n in range(count)]
            if rnd.random() < 0.3:
                fresh = [rnd.randrange(size) for _ in range(count)]
            made[queue] += fresh
            bench.make_available(queue, *fresh)
        bench.ring(queue, carries=rnd.random() < 0.4)
        await bench.cycles(rnd.choice((0, 10, 50, 50)))
        for number in range(QUEUES):
            while len(done[number]) < len(found(number)) and rnd.random() < 0.8:
                element = (found(number)[len(done[number])], rnd.getrandbits(32))
                done[number].append(element)
                bench.put("completed", {"queue": number, "id": element[0], "written": element[1]})
        for again in bench.got("revisits"):
            bench.ring(again["queue"])
    for queue in range(QUEUES):
        bench.ring(queue)
    await bench.settled()
    assert bench.counts["fail"] == 0
    assert min(bench.counts["confirm"], bench.counts["withdraw"]) >= 5
    for queue, size in enumerate(SIZES):
        assert found(queue) == made[queue]
        total = len(done[queue])
        assert bench.used_index(queue) == total
        last = range(max(0, total - size), total)
        assert [bench.used_element(queue, n) for n in last] == [done[queue][n] for n in last]
        assert total > size
