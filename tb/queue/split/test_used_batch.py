"""UsedCollector: where used elements go, and which of them make one batch."""

from collections import deque
from dataclasses import dataclass

import pytest

from ringwalker.queue.ring.limits import IN_ORDER_CHAINS
from ringwalker.queue.split.used_batch import BATCH_BYTES, BATCH_ELEMENTS, UsedCollector
from ringwalker.spec.ring import USED_ENTRY_BYTES, USED_RING_OFFSET
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import QueueRows

WIDTH = 64
QUEUES = 4
RING = 0x10000
"""Queue 1: 256 elements, the first at RING + 4."""
SIZE = 256
LATENCY = 3


@dataclass(frozen=True)
class Batch:
    """A batch that was taken: what is written, and where."""

    queue: int
    address: int
    idx: int
    elements: tuple[tuple[int, int], ...]
    crosses: bool = False
    ring: int = RING


def place(slot: int, ring: int = RING) -> int:
    return ring + USED_RING_OFFSET + USED_ENTRY_BYTES * slot


class Collector(Bench):
    @classmethod
    def component(cls):
        return UsedCollector(WIDTH, QUEUES)

    def __init__(self):
        super().__init__()
        self.table = QueueRows(self)
        self.table.rows[1] = {"device": RING, "size": SIZE, "enable": 1}
        self.table.rows[2] = {"device": 0x20000, "size": 8, "enable": 1}

    def done(self, *ids: int, queue: int = 1) -> None:
        """The function is done with these chains, into each of which as many bytes were written as its id."""
        self.put("completed", *({"queue": queue, "id": id_, "written": id_} for id_ in ids))

    def full(self) -> bool:
        return bool(self.value("waiting") and self.value("full"))

    async def gather(self, *ids: int, queue: int = 1) -> None:
        """Chains are done, and all that fit are in the batch."""
        self.done(*ids, queue=queue)
        await self.until(lambda: not self.pending("completed") or self.full())
        await self.cycles(LATENCY + 2)

    async def take(self) -> Batch:
        """Take the batch, and read its elements after that."""
        await self.until(lambda: self.value("waiting"), "a batch")
        batch = self.value("batch")
        self.drive("take", 1)
        await self.cycles()
        self.drive("take", 0)
        elements = []
        for row in range(batch["count"]):
            self.drive("row", row)
            value = self.value("elements")
            elements.append((value & 0xFFFFFFFF, value >> 32))
        return Batch(
            batch["queue"],
            batch["address"],
            batch["idx"],
            tuple(elements),
            bool(batch["crosses"]),
            batch["ring"],
        )

    async def clear(self, queue: int) -> None:
        self.drive("clear.index", queue)
        self.drive("clear.en", 1)
        await self.cycles()
        self.drive("clear.en", 0)

    async def advance(self, count: int, queue: int = 1) -> None:
        """Let so many elements be written."""
        self.done(*[0] * count, queue=queue)
        while count:
            count -= len((await self.take()).elements)


@simulated(Collector)
async def test_an_element_is_in_the_batch_three_cycles_after_its_chain_was_taken(bench):
    bench.done(7)
    await bench.until(lambda: bench.value("completed.valid") and bench.value("completed.ready"))
    assert await bench.until(lambda: bench.value("waiting")) == LATENCY


@simulated(Collector)
async def test_an_element_is_id_and_written_bytes(bench):
    bench.put("completed", {"queue": 1, "id": 0xFFFF, "written": 0xFFFFFFFF})
    assert await bench.take() == Batch(1, place(0), 1, ((0xFFFF, 0xFFFFFFFF),))


@simulated(Collector)
async def test_elements_that_follow_each_other_are_one_batch(bench):
    await bench.gather(5, 3, 9)
    assert await bench.take() == Batch(1, place(0), 3, ((5, 5), (3, 3), (9, 9)))


@simulated(Collector)
async def test_an_element_that_comes_later_is_the_next_of_its_ring(bench):
    await bench.gather(5)
    await bench.take()
    await bench.gather(6)
    assert await bench.take() == Batch(1, place(1), 2, ((6, 6),))


@simulated(Collector)
async def test_an_element_of_another_queue_ends_a_batch(bench):
    await bench.advance(3, queue=2)
    await bench.gather(5)
    assert not bench.full()
    await bench.gather(6, queue=2)
    assert bench.full()
    assert await bench.take() == Batch(1, place(0), 1, ((5, 5),))
    assert await bench.take() == Batch(2, place(3, 0x20000), 4, ((6, 6),), ring=0x20000)


@simulated(Collector)
async def test_queues_have_indices_of_their_own(bench):
    for number in range(1, 4):
        for queue in (1, 2):
            await bench.gather(8, queue=queue)
            assert (await bench.take()).idx == number


@simulated(Collector)
async def test_a_batch_ends_with_the_element_that_reaches_128_bytes(bench):
    await bench.gather(*range(20))
    first = await bench.take()
    # The ring begins 4 bytes after a boundary, so the sixteenth element goes beyond it.
    assert len(first.elements) == BATCH_ELEMENTS
    await bench.cycles(LATENCY + 20)
    second = await bench.take()
    assert (second.address, len(second.elements)) == (place(16), 4)
    assert (second.address - USED_RING_OFFSET) % BATCH_BYTES == 0


@simulated(Collector)
async def test_a_batch_ends_where_the_ring_begins_again(bench):
    await bench.advance(6, queue=2)
    await bench.gather(1, 2, 3, queue=2)
    assert await bench.take() == Batch(2, place(6, 0x20000), 8, ((1, 1), (2, 2)), ring=0x20000)
    assert await bench.take() == Batch(2, place(0, 0x20000), 9, ((3, 3),), ring=0x20000)


@simulated(Collector)
async def test_the_index_goes_on_where_the_ring_begins_again(bench):
    await bench.advance(21, queue=2)
    await bench.gather(1, queue=2)
    batch = await bench.take()
    assert (batch.idx, batch.address) == (22, place(21 % 8, 0x20000))


@simulated(Collector)
async def test_the_index_wraps_at_16_bits(bench):
    bench.preset("positions", 1, 0xFFFE)
    await bench.gather(1, 2, 3)
    assert await bench.take() == Batch(1, place(SIZE - 2), 0, ((1, 1), (2, 2)))
    assert await bench.take() == Batch(1, place(0), 1, ((3, 3),))


@simulated(Collector)
async def test_an_element_that_crosses_a_page_is_a_batch_of_its_own(bench):
    # Element 2 begins 4 bytes before a page.
    ring = 0x11000 - 4 - USED_RING_OFFSET - 2 * USED_ENTRY_BYTES
    bench.table.rows[1]["device"] = ring
    await bench.gather(1, 2, 3, 4)
    assert await bench.take() == Batch(1, place(0, ring), 2, ((1, 1), (2, 2)), ring=ring)
    await bench.cycles(LATENCY + 2)
    assert await bench.take() == Batch(1, place(2, ring), 3, ((3, 3),), crosses=True, ring=ring)
    await bench.cycles(LATENCY + 2)
    assert await bench.take() == Batch(1, place(3, ring), 4, ((4, 4),), ring=ring)


@simulated(Collector)
async def test_an_element_that_ends_at_a_page_does_not_cross_it(bench):
    bench.table.rows[1]["device"] = ring = 0x11000 - USED_RING_OFFSET - USED_ENTRY_BYTES
    await bench.gather(1)
    assert not (await bench.take()).crosses
    await bench.gather(2)
    assert await bench.take() == Batch(1, 0x11000, 2, ((2, 2),), ring=ring)


@simulated(Collector)
async def test_the_used_ring_is_aligned_to_4_bytes(bench):
    bench.table.rows[1]["device"] = RING + 3
    await bench.gather(1)
    assert await bench.take() == Batch(1, place(0), 1, ((1, 1),))


@simulated(Collector)
async def test_a_queue_that_is_cleared_begins_again(bench):
    for queue in (2, 1):
        await bench.gather(1, 2, queue=queue)
        await bench.take()
    await bench.clear(1)
    await bench.gather(3)
    assert await bench.take() == Batch(1, place(0), 1, ((3, 3),))
    await bench.gather(4, queue=2)
    assert (await bench.take()).idx == 3
    await bench.clear(1)
    await bench.gather(5)
    assert await bench.take() == Batch(1, place(0), 1, ((5, 5),))


@simulated(Collector)
async def test_the_batch_grows_while_the_one_before_is_read(bench):
    await bench.gather(1, 2)
    batch = await bench.take()
    bench.done(3, 4)
    await bench.cycles(10)
    for row, (id_, _written) in enumerate(batch.elements):
        bench.drive("row", row)
        assert bench.value("elements") & 0xFFFF == id_
    assert (await bench.take()).elements == ((3, 3), (4, 4))


@simulated(Collector)
async def test_it_is_idle_when_all_was_taken(bench):
    assert bench.value("idle")
    await bench.gather(1)
    assert not bench.value("idle")
    await bench.take()
    assert bench.value("idle")


@simulated(Collector)
async def test_a_chain_is_taken_every_two_cycles(bench):
    bench.done(*range(15))
    begin = bench.cycle
    await bench.until(lambda: bench.value("batch")["count"] == 15)
    assert bench.cycle - begin <= 2 * 15 + LATENCY


@simulated(Collector)
async def test_random_batches_fill_the_rings_element_by_element(bench):
    """Every element is written once, in its place: slot ``index mod size``; a batch is in one piece of memory
    that ends at the ring's end and at 128 bytes at the latest, and its index is the count of all elements."""
    rows = {
        0: {"device": 0x7FF8, "size": 4},
        1: {"device": 0x1FFF00 - USED_RING_OFFSET, "size": 64},
        2: {"device": 0x30FFC - 8 * 40, "size": 256},
        3: {"device": 0xFFFF_FFFF_0000, "size": 1},
    }
    bench.table.rows = rows
    written, given = dict.fromkeys(rows, 0xFFE0), {queue: deque() for queue in rows}
    for number in rows:
        bench.preset("positions", number, 0xFFE0)
    bench.stall("completed", probability=0.2)
    queue = 0
    for _round in range(50):
        for _ in range(bench.random.randint(1, 30)):
            if bench.random.random() < 0.1:
                queue = bench.random.randrange(QUEUES)
            item = {
                "queue": queue,
                "id": bench.random.getrandbits(16),
                "written": bench.random.getrandbits(32),
            }
            given[queue].append((item["id"], item["written"]))
            bench.put("completed", item)
        await bench.cycles(bench.random.choice((0, 1, 5, 40)))
        emptied = bench.random.random() < 0.7
        while bench.value("waiting") or (
            emptied and not (bench.value("idle") and not bench.pending("completed"))
        ):
            batch = await bench.take()
            size, ring = rows[batch.queue]["size"], rows[batch.queue]["device"] & ~3
            count, slot = len(batch.elements), written[batch.queue] % size
            expected = [given[batch.queue].popleft() for _ in range(count)]
            assert list(batch.elements) == expected
            assert (batch.address, batch.ring) == (place(slot, ring), ring)
            assert slot + count <= size
            last = batch.address + USED_ENTRY_BYTES * (count - 1)
            assert batch.address // BATCH_BYTES == last // BATCH_BYTES
            assert batch.crosses == (batch.address % 4096 == 4092)
            assert not batch.crosses or count == 1
            written[batch.queue] += count
            assert batch.idx == written[batch.queue] % (1 << 16)
            await bench.cycles(bench.random.choice((0, 0, 3, 20)))


@pytest.mark.parametrize("queues", [0, 1025])
def test_it_refuses_a_number_of_queues_that_there_is_not(queues):
    with pytest.raises(ValueError, match=f"queues is {queues}"):
        UsedCollector(WIDTH, queues)


# --- in order -----------------------------------------------------------------------------------------------


@simulated(Collector)
async def test_in_order_one_element_stands_for_all_in_the_place_of_the_first(bench):
    bench.drive("in_order", 1)
    most = IN_ORDER_CHAINS
    bench.put("completed", *({"queue": 1, "id": n, "written": n, "whole": 1} for n in range(most - 1)))
    await bench.until(lambda: not bench.pending("completed"))
    await bench.cycles(LATENCY + 2)
    assert not bench.full()
    for n in range(most - 1, most + 3):
        bench.put("completed", {"queue": 1, "id": n, "written": n, "whole": 1})
    await bench.until(bench.full)
    assert await bench.take() == Batch(1, place(0), most, ((most - 1, most - 1),))
    await bench.cycles(20)
    assert await bench.take() == Batch(1, place(most), most + 3, ((most + 2, most + 2),))


@simulated(Collector)
async def test_in_order_a_chain_that_is_not_whole_and_another_queue_end_a_batch(bench):
    bench.drive("in_order", 1)
    for n, queue, whole in ((1, 1, 1), (2, 1, 0), (3, 1, 1), (4, 2, 1)):
        bench.put("completed", {"queue": queue, "id": n, "written": n, "whole": whole})
    await bench.until(bench.full)
    assert await bench.take() == Batch(1, place(0), 2, ((2, 2),))
    await bench.until(bench.full)
    assert await bench.take() == Batch(1, place(2), 3, ((3, 3),))
    assert await bench.take() == Batch(2, place(0, 0x20000), 1, ((4, 4),), ring=0x20000)
