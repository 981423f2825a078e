"""PackedRing against the Python driver: chains, used descriptors, and notifications both ways.

The driver is that of the whole device; the ring sees its memory, and reads each cache line at another time.

Ref: virtio 1.4, 2.8.
"""

from collections import deque
from functools import partial

from ringwalker.config import DeviceConfig
from ringwalker.queue.packed.ring import PackedRing
from ringwalker.spec.features import Feature
from ringwalker.spec.packed import PackedDescriptor
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.guest.packed_queue import PackedVirtqueue
from ringwalker_sim.guest.ring_queue import QueueControl
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads, QueueRows

WIDTH = 64
SIZES = (1, 5, 16, 90)
QUEUES = len(SIZES)
TABLES = ("poll", "used", "notification", "event")


class Ring(Bench):
    """``taken`` are the chains that the ring found, by queue: id and pieces as (address, length, writable).

    What is behind the ring looks at the descriptors that came with a head, one a cycle, reads those that did
    not, and answers a chain ``work`` cycles later with ``written`` bytes, or what ``written(room)`` gives.
    """

    @classmethod
    def component(cls):
        return PackedRing(DeviceConfig(data_width=WIDTH, queues=QUEUES))

    def __init__(self, features=0):
        super().__init__()
        self.memory = GuestMemory(1 << 16)
        self.reads = [
            DmaReads(self, f"{name}_read", self.memory.array, WIDTH) for name in ("poll", "ordered")
        ]
        self.tables = [QueueRows(self, f"{name}_table") for name in TABLES]
        self.drive("msix_enable", 1)
        self.drive("quiet", 1)
        self.drive("max_read_request", 256)
        self.count("confirm", "withdraw", "fail")
        self.rung = 0
        self.carries = False
        self.control = Rings(self)
        self.vqs: list[PackedVirtqueue] = []
        self.negotiate(features)
        self.heads: deque[dict] = deque()
        self.brought = 0
        self.bare = 0
        self.taken: list[list] = [[] for _ in SIZES]
        self.work = 0
        self.written = lambda room: room
        self.dead_writes = 0
        self._looking: list = []
        self._busy: deque = deque()
        self.on("heads", self.heads.append)
        for stream in ("used_writes", "event_writes"):
            self.on(stream, partial(self._post, {}))
        self.each_cycle(self._behind)

    def negotiate(self, features):
        self.vqs = [
            PackedVirtqueue(self.memory, size, index=n, control=self.control, features=features)
            for n, size in enumerate(SIZES)
        ]
        for table in self.tables:
            for queue, vq in enumerate(self.vqs):
                table.rows[queue] = {
                    "desc": vq.desc_address,
                    "driver": vq.driver_address,
                    "device": vq.device_address,
                    "size": vq.size,
                    "vector": queue,
                    "enable": 1,
                }
        self.drive("features", features)

    def _post(self, write, beat):
        """A beat of ``write``, which goes to memory at once."""
        if beat["first"]:
            write |= {"at": beat["header_address"], "left": beat["header_length"]}
            assert write["at"] % 4 == 0
            assert write["at"] % 128 + 4 * write["left"] <= 128
        count = beat["dwords"].bit_count()
        assert beat["dwords"] == (1 << count) - 1
        self.memory.write(write["at"], beat["data"].to_bytes(WIDTH // 8, "little")[: 4 * count])
        write["at"] += 4 * count
        write["left"] -= count
        assert beat["last"] == (write["left"] == 0)

    def _behind(self):
        """Look at descriptors, and answer chains in order."""
        release = 0
        if self._looking:
            head, position, found = self._looking
            found.append(self.value("brought.raw"))
            if position + 1 == head["brought"]:
                release = head["brought"]
                self._looking = []
                self._take(head, found)
            else:
                self._looking = [head, position + 1, found]
        elif self.heads:
            head = self.heads.popleft()
            if head["brought"]:
                self.brought += 1
                self._looking = [head, 0, []]
            else:
                self.bare += 1
                vq, found = self.vqs[head["queue"]], []
                for n in range(head["span"]):
                    at = vq.desc_address + DESC_BYTES * ((head["at"] + n) % vq.size)
                    found.append(int.from_bytes(self.memory.read(at, DESC_BYTES), "little"))
                self._take(head, found)
        self.drive("brought.release", release)
        self.drive("brought.position", self._looking[1] if self._looking else 0)
        while self._busy and self._busy[0][0] <= self.cycle:
            self.put("completed", self._busy.popleft()[1])

    def _take(self, head, raw):
        pieces = []
        assert len(raw) == head["span"]
        for n, bits in enumerate(raw):
            entry = PackedDescriptor.from_bits(bits)
            assert bool(entry.flags & DESC_F_NEXT) == (n < len(raw) - 1)
            if entry.flags & DESC_F_INDIRECT:
                for row in self.memory.struct_view(entry.addr, PackedDescriptor, entry.len // DESC_BYTES):
                    pieces.append((int(row["addr"]), int(row["len"]), bool(int(row["flags"]) & DESC_F_WRITE)))
            else:
                pieces.append((entry.addr, entry.len, bool(entry.flags & DESC_F_WRITE)))
        self.taken[head["queue"]].append((head["id"], pieces))
        room = sum(length for _, length, writable in pieces if writable)
        written = self.written(room)
        item = {"queue": head["queue"], "id": head["id"], "span": head["span"], "written": written}
        self._busy.append((self.cycle + self.work, item | {"whole": int(written == room)}))

    def add(self, queue, *lengths, out=0, token="token"):
        """Add a buffer whose pieces have these lengths, ``out`` of them to be read; None if there is no
        room."""
        sg = [(self.random.getrandbits(48), length) for length in lengths]
        if self.vqs[queue].add_buf(sg, out, len(sg) - out, token):
            return None
        return [(*piece, n >= out) for n, piece in enumerate(sg)]

    def kick(self, queue):
        """The driver shows what it added, and rings if the device wants that."""
        try:
            self.vqs[queue].kick().send(None)
        except StopIteration:
            return

    def pieces(self, queue):
        return [pieces for _id, pieces in self.taken[queue]]

    @property
    def rests(self):
        streams = ("visits", "completed")
        idle = self.value("idle") and not any(self.pending(name) for name in streams)
        return idle and not self.heads and not self._looking and not self._busy

    async def settled(self):
        """All is done, what the ring wants to visit again included."""
        for _ in range(3):
            await self.until(lambda: self.rests, "idle", 5000)
            await self.cycles(3)
            for again in self.got("revisits"):
                self.put("visits", {"queue": again["queue"]})


class Rings(QueueControl):
    """Doorbells of the driver become visits."""

    def __init__(self, bench):
        self.bench = bench

    async def notify(self, vq):
        self.bench.rung += 1
        self.bench.drive("carried", int(self.bench.carries))
        self.bench.drive("next", vq.shown)
        self.bench.put("visits", {"queue": vq.index})


class Events(Ring):
    def __init__(self):
        super().__init__(1 << Feature.EVENT_IDX | 1 << Feature.INDIRECT_DESC)


class InOrder(Ring):
    def __init__(self):
        super().__init__(1 << Feature.IN_ORDER)


@simulated(Ring)
async def test_a_chain_comes_with_its_descriptors_and_is_used_in_its_place(bench):
    pieces = bench.add(2, 16, 512, 1, out=1)
    bench.kick(2)
    await bench.settled()
    assert bench.pieces(2) == [pieces]
    assert (bench.brought, bench.bare) == (1, 0)
    assert bench.vqs[2].get_buf() == ("token", 513)
    assert bench.got("interrupts") == [2]


@simulated(Ring)
async def test_nothing_is_found_where_nothing_is(bench):
    bench.put("visits", {"queue": 2})
    await bench.settled()
    assert bench.taken[2] == []
    assert len(bench.reads[0].requests) == 1


@simulated(Ring)
async def test_if_the_notification_says_where_the_driver_goes_on_no_more_is_read(bench):
    bench.carries = True
    bench.reads[0].latency = (2, 40)
    start = bench.vqs[2].desc_address
    for first in range(0, 45, 3):
        pieces = bench.add(2, 1, 2, 3)
        bench.kick(2)
        await bench.settled()
        # Also where it goes on in another line; a read ends with 256 bytes and with the ring.
        assert bench.pieces(2)[-1] == pieces
        at = first % 16
        count = min(3, 16 - at, 16 - (start // DESC_BYTES + at) % 16)
        assert bench.reads[0].requests[0] == (start + DESC_BYTES * at, DESC_BYTES * count)
        assert len(bench.reads[0].requests) == 1 or count < 3
        bench.reads[0].requests.clear()
        assert bench.vqs[2].get_buf()


@simulated(Ring)
async def test_what_the_driver_says_is_available_and_is_not_is_not_used(bench):
    pieces = bench.add(3, 1)
    bench.kick(3)
    await bench.settled()
    bench.drive("carried", 1)
    bench.drive("next", 1 << 15 | 9)
    bench.put("visits", {"queue": 3})
    await bench.settled()
    assert bench.pieces(3) == [pieces]
    assert bench.counts["fail"] == 0


@simulated(Ring)
async def test_a_queue_that_is_not_enabled_is_left_alone(bench):
    for table in bench.tables:
        table.rows[2] = table.rows[2] | {"enable": 0}
    bench.add(2, 16)
    bench.kick(2)
    await bench.settled()
    assert bench.reads[0].requests == []


@simulated(Ring)
async def test_one_read_finds_many(bench):
    pieces = [bench.add(3, n + 1) for n in range(5)]
    bench.kick(3)
    await bench.settled()
    assert bench.pieces(3) == pieces
    assert len(bench.reads[0].requests) == 1


@simulated(Ring)
async def test_reads_go_on_while_all_is_available(bench):
    bench.reads[0].latency = (40, 40)
    pieces = [bench.add(3, n + 1) for n in range(90)]
    bench.kick(3)
    await bench.settled()
    assert bench.pieces(3) == pieces
    start = bench.vqs[3].desc_address
    end = start + DESC_BYTES * SIZES[3]
    blocks = range(start & -256, end, 256)
    assert {address for address, _length in bench.reads[0].requests} == {max(start, at) for at in blocks}


@simulated(Ring)
async def test_a_chain_that_goes_on_in_another_line_is_read_again_unless_that_is_proved(bench):
    first, second = bench.add(2, 1, 2, 3), bench.add(2, 4, 5, 6)
    bench.kick(2)
    await bench.settled()
    # Nothing behind the second chain proves the line in which it ends.
    assert bench.pieces(2) == [first, second]
    assert len(bench.reads[0].requests) == 2
    bench.vqs[2].get_buf()
    bench.vqs[2].get_buf()
    before = len(bench.reads[0].requests)
    third, fourth = bench.add(2, 1, 2, 3, 4), bench.add(2, 7)
    bench.kick(2)
    await bench.settled()
    assert bench.pieces(2)[2:] == [third, fourth]
    assert len({at for at, _length in bench.reads[0].requests[before:]}) == len(
        bench.reads[0].requests[before:]
    )
    assert bench.brought == 4


@simulated(Ring)
async def test_where_little_is_expected_a_chain_is_read_by_lines(bench):
    bench.reads[0].latency = (2, 40)
    start = bench.vqs[3].desc_address // DESC_BYTES
    for offset in range(0, 60, 3):
        pieces = bench.add(3, 1, 2, 3)
        bench.kick(3)
        await bench.settled()
        assert bench.pieces(3)[-1] == pieces
        at = start + offset
        in_line, block_end = at % 4, -at % 16 or 16
        if offset == 0:
            reads = [(at, block_end)]
        elif in_line < 2:
            # The chain and one more, unless the next line is in another read.
            reads = [(at, 4)] if block_end > 3 else [(at, 3), (at + 3, 4)]
        else:
            # The chain again, since what is behind its first line must not be older; or what is behind.
            rest = 4 - in_line
            reads = [(at, rest), (at, 4) if block_end > rest else (at + rest, 4)]
        asked = [(address // DESC_BYTES, length // DESC_BYTES) for address, length in bench.reads[0].requests]
        assert asked == reads, offset
        bench.reads[0].requests.clear()
        assert bench.vqs[3].get_buf()
    assert bench.bare == 0


@simulated(Ring)
async def test_where_little_is_expected_and_much_is_there_all_is_found(bench):
    bench.reads[0].latency = (2, 40)
    for chains in (1, 7, 1, 2, 1, 12, 12):
        pieces = [bench.add(3, 1, 2, 3) for _ in range(chains)]
        bench.kick(3)
        await bench.settled()
        assert bench.pieces(3)[-chains:] == pieces
        while bench.vqs[3].get_buf():
            pass


@simulated(Ring)
async def test_a_chain_longer_than_a_read_is_found_and_does_not_come_along(bench):
    pieces = bench.add(3, *range(1, 41), out=20)
    last = bench.add(3, 9)
    bench.kick(3)
    await bench.settled()
    assert bench.pieces(3) == [pieces, last]
    assert (bench.brought, bench.bare) == (1, 1)


@simulated(Ring)
async def test_a_read_that_fails_is_a_failure(bench):
    bench.reads[0].fails = lambda address: True
    bench.add(2, 16)
    bench.kick(2)
    await bench.settled()
    assert bench.taken[2] == []
    assert bench.counts["fail"] == 1


@simulated(Ring)
async def test_a_chain_without_end_is_a_failure(bench):
    bench.add(2, *[1] * 16)
    row = bench.memory.struct_view(bench.vqs[2].desc_address, PackedDescriptor, 16)
    row["flags"][15] |= DESC_F_NEXT
    bench.kick(2)
    await bench.settled()
    assert bench.taken[2] == []
    assert bench.counts["fail"] == 1
    # That is seen at the last descriptor; the ring is not gone round once more.
    assert sum(size for _address, size in bench.reads[0].requests) == 2 * 16 * 16


@simulated(Ring)
async def test_what_was_read_too_early_is_never_used(bench):
    """Flags are written before the rest of a descriptor, as they may be but in the first of a chain."""
    bench.reads[0].latency = (40, 40)
    rows = bench.memory.struct_view(bench.vqs[2].desc_address, PackedDescriptor, 16)
    made = []
    for n in range(60):
        start = bench.vqs[2]._next.offset
        made.append(bench.add(2, 1, 2, 3, 4))
        others = [(start + k) % 16 for k in (1, 2, 3)]
        right = [int(rows["addr"][at]) for at in others]
        for at in others:
            rows["addr"][at] = 0xBAD
        bench.put("visits", {"queue": 2})
        await bench.cycles(bench.random.randint(5, 45))
        for at, address in zip(others, right, strict=True):
            rows["addr"][at] = address
        bench.kick(2)
        await bench.settled()
        assert bench.pieces(2) == made, n
        assert bench.vqs[2].get_buf() == ("token", 10)


@simulated(Ring)
async def test_a_chain_whose_rest_is_not_available_is_a_failure(bench):
    bench.add(2, 1, 1, 1)
    row = bench.memory.struct_view(bench.vqs[2].desc_address, PackedDescriptor, 16)
    row["flags"][1] ^= 1 << 7
    bench.kick(2)
    await bench.settled()
    assert bench.taken[2] == []
    assert bench.counts["fail"] == 1


@simulated(Ring)
async def test_used_descriptors_of_a_batch_are_written_with_the_first_last(bench):
    order = []
    rows = bench.memory.struct_view(bench.vqs[3].desc_address, PackedDescriptor, 90)
    bench.each_cycle(lambda: order.append(tuple(int(flags) >> 15 for flags in rows["flags"][:4])))
    for n in range(4):
        bench.add(3, n + 1)
    bench.drive("hold", 1)
    bench.kick(3)
    await bench.until(lambda: bench.vqs[3]._is_used(), "a used descriptor")
    assert (0, 1, 1, 1) in order
    assert [state for state in order if state[0] == 1] in ([], [(1, 1, 1, 1)])
    assert [bench.vqs[3].get_buf() for _ in range(4)] == [("token", n + 1) for n in range(4)]


@simulated(InOrder)
async def test_one_used_descriptor_for_all_that_are_in_order(bench):
    bench.written = lambda room: min(room, 8)
    for n in range(3):
        bench.add(2, 4, n + 1, out=1)
    bench.add(2, 100)
    bench.add(2, 8)
    bench.drive("hold", 1)
    bench.kick(2)
    await bench.settled()
    # The fourth is not used completely, so it ends a batch.
    rows = bench.memory.struct_view(bench.vqs[2].desc_address, PackedDescriptor, 16)
    assert [int(rows["flags"][n]) >> 15 for n in range(8)] == [1, 0, 0, 0, 0, 0, 0, 1]
    assert [bench.vqs[2].get_buf()[1] for _ in range(5)] == [1, 2, 3, 8, 8]


@simulated(Events)
async def test_the_driver_is_asked_to_notify_of_the_next_descriptor(bench):
    for n in range(40):
        bench.add(1, 7)
        bench.kick(1)
        await bench.settled()
        assert bench.vqs[1].get_buf() == ("token", 7)
        assert bench.rung == n + 1
        assert len(bench.got("interrupts")) == 1


@simulated(Events)
async def test_an_interrupt_only_for_the_descriptor_that_the_driver_waits_for(bench):
    vq = bench.vqs[2]
    vq.interrupt_after = 3
    for _ in range(20):
        for _ in range(3):
            bench.add(2, 7)
        vq._ask_interrupts(True)
        bench.kick(2)
        await bench.settled()
        assert len(bench.got("interrupts")) == 1
        while vq.get_buf():
            pass


@simulated(Ring)
async def test_clear_forgets_all_places_of_a_queue(bench):
    for queue in (1, 2):
        for _ in range(7):
            bench.add(queue, 7)
            bench.kick(queue)
            await bench.settled()
            bench.vqs[queue].get_buf()
    bench.drive("clear.index", 1)
    bench.drive("clear.en", 1)
    await bench.cycles()
    bench.drive("clear.en", 0)
    bench.vqs[1].reset()
    for queue in (1, 2):
        bench.add(queue, 9)
        bench.kick(queue)
        await bench.settled()
        assert bench.vqs[queue].get_buf() == ("token", 9)


@simulated(Events)
async def test_a_queue_goes_on_where_its_used_descriptors_end(bench):
    for queue in (1, 2):
        for _ in range(7):
            bench.add(queue, 7)
            bench.kick(queue)
            await bench.settled()
            bench.vqs[queue].get_buf()
    bench.got("interrupts")
    bench.add(1, 8)
    bench.vqs[1]._show()  # Without a doorbell.
    for queue in (1, 2):
        bench.drive("restore.index", queue)
        bench.drive("restore.en", 1)
        await bench.cycles()
    bench.drive("restore.en", 0)
    await bench.settled()
    assert bench.vqs[1].get_buf() == ("token", 8)
    for queue in (1, 2):
        for _ in range(4):
            bench.add(queue, 9)
            bench.kick(queue)
            await bench.settled()
            assert bench.vqs[queue].get_buf() == ("token", 9)


async def traffic(bench, written, rounds=70):
    """Each chain comes out once, in the order of its queue; each is used with what was written."""
    rnd = bench.random
    bench.stall(probability=0.15)
    for read in bench.reads:
        read.latency = (2, 40)
    bench.work = 20
    bench.written = written
    made = [[] for _ in SIZES]
    got = [[] for _ in SIZES]
    lengths = [[] for _ in SIZES]

    def serve(queue):
        vq = bench.vqs[queue]
        while (used := vq.get_buf()) is not None:
            got[queue].append(used[0])
            lengths[queue].append(used[1])

    def again():
        for item in bench.got("revisits"):
            bench.put("visits", {"queue": item["queue"]})

    for _ in range(rounds):
        queue = rnd.randrange(QUEUES)
        for _ in range(rnd.choice((1, 1, 2, 8, 30))):
            count = rnd.choice((1, 1, 1, 2, 3, 5, 30))
            pieces = [rnd.randint(1, 1000) for _ in range(min(count, SIZES[queue]))]
            added = bench.add(queue, *pieces, out=rnd.randint(0, len(pieces)), token=len(made[queue]) + 1)
            if added is not None:
                made[queue].append(added)
            if rnd.random() < 0.3:
                bench.kick(queue)
                await bench.cycles(rnd.choice((0, 1, 2, 5)))
        bench.kick(queue)
        await bench.cycles(rnd.choice((0, 5, 30, 60)))
        again()
        for number in range(QUEUES):
            serve(number)
    for _ in range(20):
        await bench.until(lambda: bench.rests, "idle", 5000)
        again()
        for number in range(QUEUES):
            serve(number)
    assert bench.counts["fail"] == 0
    for queue in range(QUEUES):
        assert bench.pieces(queue) == made[queue]
        assert got[queue] == list(range(1, len(made[queue]) + 1))
        room = [sum(length for _, length, writable in pieces if writable) for pieces in made[queue]]
        assert [done <= most for done, most in zip(lengths[queue], room, strict=True)] == [True] * len(room)


@simulated(Ring)
async def test_random_traffic_is_as_the_driver_sees_it(bench):
    await traffic(bench, lambda room: bench.random.randint(0, room))
    assert min(bench.brought, bench.bare) >= 5


@simulated(Events)
async def test_random_traffic_with_events(bench):
    await traffic(bench, lambda room: room)


@simulated(InOrder)
async def test_random_traffic_in_order(bench):
    await traffic(bench, lambda room: bench.random.choice((room, room, room // 2)))
