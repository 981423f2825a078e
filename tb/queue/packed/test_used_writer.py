"""PackedUsedWriter: where used descriptors go, in which writes, and what is said of them.

Ref: virtio 1.4, 2.8.1, 2.8.8.
"""

import struct

import pytest

from ringwalker.queue.packed.used_writer import PackedUsedWriter
from ringwalker.queue.ring.limits import HOLD_CYCLES, IN_ORDER_CHAINS
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED
from ringwalker.spec.ring import DESC_BYTES, DESC_F_WRITE
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import QueueRows

QUEUES = 3
RING = 0x10000
SIZE = 20
FIRST_LAP = DESC_F_AVAIL | DESC_F_USED


class Writer(Bench):
    """``written`` are the used descriptors in the order in which they left, a list for each write: slot, id,
    length and flags."""

    WIDTH = 64

    @classmethod
    def component(cls):
        return PackedUsedWriter(cls.WIDTH, QUEUES)

    def __init__(self):
        super().__init__()
        self.table = QueueRows(self)
        self.table.rows[1] = {"desc": RING, "size": SIZE, "enable": 1}
        self.table.rows[2] = {"desc": 0x20010, "size": 3, "enable": 1}
        self.written: list[list[tuple[int, int, int, int]]] = []
        self._content = b""
        self._at = 0
        self.on("writes", self._beat)

    def _beat(self, beat):
        if beat["first"]:
            self._content, self._at = b"", beat["header_address"]
            self._length = 4 * beat["header_length"]
        self._content += beat["data"].to_bytes(self.WIDTH // 8, "little")[: 4 * beat["dwords"].bit_count()]
        if beat["last"]:
            assert len(self._content) == self._length
            rows = struct.iter_unpack("<8xIHH", self._content)
            base = RING if self._at < 0x20000 else 0x20010
            slot = (self._at - base) // DESC_BYTES
            self.written.append(
                [(slot + n, key, length, flags) for n, (length, key, flags) in enumerate(rows)]
            )

    def done(self, key, span=1, written=0, queue=1, whole=1):
        self.put("completed", {"queue": queue, "id": key, "span": span, "written": written, "whole": whole})

    async def rest(self):
        await self.until(lambda: not self.pending("completed") and self.value("idle"), "idle")
        await self.cycles(3)
        await self.until(lambda: self.value("idle"), "idle")


class Wide(Writer):
    WIDTH = 256


class Widest(Writer):
    WIDTH = 512


@simulated(Writer)
async def test_a_used_descriptor_has_id_length_and_flags(bench):
    bench.done(7, written=5)
    await bench.rest()
    bench.done(0x7FFF)
    await bench.rest()
    assert bench.written == [[(0, 7, 5, FIRST_LAP | DESC_F_WRITE)], [(1, 0x7FFF, 0, FIRST_LAP)]]
    first, second = bench.got("used")
    assert (first["place_offset"], first["total"]) == (1, 1)
    assert (second["place_offset"], second["total"]) == (2, 2)


@pytest.mark.parametrize("make", [Writer, Wide, Widest])
def test_those_that_wait_are_written_together_and_the_first_last(make):
    async def body(bench):
        bench.drive("hold", 1)
        for n in range(5):
            bench.done(n + 1)
        await bench.rest()
        assert bench.written == [
            [(n, n + 1, 0, FIRST_LAP) for n in range(1, 5)],
            [(0, 1, 0, FIRST_LAP)],
        ]
        assert [item["place_offset"] for item in bench.got("used")] == [5]

    make().run(body)


@simulated(Writer)
async def test_while_the_first_of_a_batch_is_to_be_written_the_writer_says_so(bench):
    bench.drive("hold", 1)
    bench.done(1)
    bench.done(2)
    states = []
    bench.each_cycle(lambda: states.append((len(bench.written), bench.value("bound"))))
    await bench.rest()
    assert {bound for count, bound in states if count == 0} == {0}
    assert (1, 1) in states
    assert states[-1] == (2, 0)


@simulated(Writer)
async def test_a_batch_ends_at_128_bytes_and_at_the_end_of_the_ring(bench):
    bench.drive("hold", 1)
    for n in range(SIZE + 2):
        bench.done(n)
    await bench.rest()
    slots = [[slot for slot, *_ in write] for write in bench.written]
    assert slots == [[*range(1, 8)], [0], [*range(9, 16)], [8], [17, 18, 19], [16], [1], [0]]
    assert [write[0][3] for write in bench.written] == [FIRST_LAP] * 6 + [0] * 2


@simulated(Writer)
async def test_chains_of_more_descriptors_leave_gaps(bench):
    bench.drive("hold", 1)
    for key in (1, 2, 3):
        bench.done(key, span=3)
    bench.done(4)
    await bench.rest()
    assert [write[0][:2] for write in bench.written] == [(0, 1), (3, 2), (6, 3), (9, 4)]


@simulated(Writer)
async def test_a_batch_waits_for_more_no_longer_than_it_may(bench):
    bench.drive("hold", 1)
    bench.done(1)
    assert await bench.until(lambda: bench.written) in range(HOLD_CYCLES, HOLD_CYCLES + 12)


@simulated(Writer)
async def test_queues_have_places_of_their_own(bench):
    for n in range(10):
        bench.done(n, queue=1 + n % 2, span=1 + n % 2)
        await bench.rest()
    ones = [write[0][0] for write in bench.written[::2]]
    twos = [(write[0][0], write[0][3]) for write in bench.written[1::2]]
    assert ones == [0, 1, 2, 3, 4]
    # Two at a time in a ring of three.
    assert twos == [(0, FIRST_LAP), (2, FIRST_LAP), (1, 0), (0, FIRST_LAP), (2, FIRST_LAP)]


@simulated(Writer)
async def test_in_order_one_descriptor_in_the_place_of_the_first_with_its_lap(bench):
    bench.drive("in_order", 1)
    bench.drive("hold", 1)
    bench.done(1, span=SIZE - 1)
    await bench.rest()
    for key in (2, 3, 4):
        bench.done(key, written=key)
    await bench.rest()
    # The three begin with the last descriptor of the first lap.
    assert bench.written[1:] == [[(SIZE - 1, 4, 4, FIRST_LAP | DESC_F_WRITE)]]
    last = bench.got("used")[-1]
    assert (last["place_offset"], last["place_lap"], last["total"]) == (2, 1, SIZE + 2)


@simulated(Writer)
async def test_in_order_a_descriptor_stands_for_no_more_chains_than_it_may(bench):
    bench.drive("in_order", 1)
    bench.drive("hold", 1)
    for key in range(IN_ORDER_CHAINS + 2):
        bench.done(key)
    await bench.rest()
    last = IN_ORDER_CHAINS - 1
    assert [write[0][:2] for write in bench.written] == [(0, last), (last + 1, last + 2)]


@simulated(Writer)
async def test_in_order_a_chain_that_is_not_whole_ends_a_batch(bench):
    bench.drive("in_order", 1)
    bench.drive("hold", 1)
    for key, whole in ((1, 1), (2, 0), (3, 1), (4, 1)):
        bench.done(key, whole=whole)
    await bench.rest()
    assert [write[0][:2] for write in bench.written] == [(0, 2), (2, 4)]


@simulated(Writer)
async def test_clear_sets_the_place_of_one_queue(bench):
    for queue in (1, 2):
        bench.done(9, queue=queue)
        await bench.rest()
    bench.drive("clear.index", 1)
    bench.drive("clear.position", 1 << 15 | 6)
    bench.drive("total", 77)
    bench.drive("clear.en", 1)
    await bench.cycles()
    bench.drive("clear.en", 0)
    bench.got("used")
    for queue in (1, 2):
        bench.done(9, queue=queue)
        await bench.rest()
    assert [write[0][:1] + write[0][3:] for write in bench.written[2:]] == [(6, 0), (1, FIRST_LAP)]
    assert [item["total"] for item in bench.got("used")] == [78, 2]


@pytest.mark.parametrize("make", [Writer, Wide, Widest])
def test_random_chains_of_two_queues(make):
    async def body(bench):
        rnd = bench.random
        bench.stall(probability=0.2)
        wanted = {1: [], 2: []}
        places = {1: (0, 1), 2: (0, 1)}
        sizes = {1: SIZE, 2: 3}
        for _ in range(200):
            bench.drive("hold", int(rnd.random() < 0.7))
            queue = rnd.choice((1, 1, 1, 2))
            span = rnd.choice((1, 1, 1, rnd.randint(1, sizes[queue])))
            key, written = rnd.randrange(1 << 16), rnd.choice((0, rnd.getrandbits(32)))
            slot, wrap = places[queue]
            flags = FIRST_LAP * wrap | DESC_F_WRITE * bool(written)
            wanted[queue].append((slot, key, written, flags))
            slot += span
            places[queue] = (slot - sizes[queue], 1 - wrap) if slot >= sizes[queue] else (slot, wrap)
            bench.done(key, span, written, queue)
            await bench.cycles(rnd.choice((0, 0, 3, 20)))
        bench.drive("hold", 0)
        await bench.rest()
        # All that was said to be used is in its place; what is said of it comes after that.
        got = sorted(item for write in bench.written for item in write)
        assert got == sorted(wanted[1] + wanted[2])

    make().run(body)


@simulated(Writer)
async def test_batches_that_follow_each_other_have_one_notification_where_that_pays(bench):
    bench.drive("hold", 1)
    for key in range(3):
        bench.done(key, span=2)
    await bench.rest()
    assert [item["more"] for item in bench.got("used")] == [0, 0, 0]
    bench.written.clear()
    bench.drive("merge", 1)
    for key in range(20):
        bench.done(key, span=2)
    await bench.rest()
    assert len(bench.written) == 20
    more = [item["more"] for item in bench.got("used")]
    assert more == ([1] * 7 + [0]) * 2 + [1] * 3 + [0]
    bench.done(1)
    bench.done(2, queue=2)
    await bench.rest()
    assert [item["more"] for item in bench.got("used")] == [0, 0]
