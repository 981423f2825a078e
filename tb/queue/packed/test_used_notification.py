"""PackedNotification: whom the driver wants to be notified of. Ref: virtio 1.4, 2.8.10, 2.8.14."""

import pytest

from ringwalker.queue.packed.used_notification import PackedNotification
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.spec.packed import PLACE_WRAP, EventFlags
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads, QueueRows

WIDTH = 64
SIZE = 10
EVENT = 0x200


class Notification(Bench):
    @classmethod
    def component(cls):
        return PackedNotification(WIDTH, 3, 4)

    def __init__(self):
        super().__init__()
        self.memory = bytearray(1 << 12)
        self.reads = DmaReads(self, "read", self.memory, WIDTH)
        self.table = QueueRows(self)
        self.table.rows[1] = {"driver": EVENT, "size": SIZE, "vector": 7, "enable": 1}
        self.table.rows[2] = {"driver": EVENT + 16, "size": SIZE, "vector": NO_VECTOR, "enable": 1}
        self.drive("msix_enable", 1)
        self.drive("event_idx", 1)
        self.count("fail")

    def want(self, flags, offset=0, wrap=0):
        place = offset | PLACE_WRAP * wrap
        self.memory[EVENT : EVENT + 4] = (place | int(flags) << 16).to_bytes(4, "little")

    async def used(self, total, queue=1, more=0):
        """So many descriptors of the queue are used by now; whether the driver was notified."""
        lap, offset = divmod(total, SIZE)
        item = {"queue": queue, "place_offset": offset, "place_lap": lap % 2, "total": total % (1 << 16)}
        self.put("used", item | {"more": more})
        await self.until(lambda: not self.pending("used"))
        await self.cycles(2)
        await self.until(lambda: self.value("idle"), "idle")
        await self.cycles(2)
        return self.got("interrupts")


@simulated(Notification)
async def test_flags_say_always_or_never(bench):
    for total, (flags, wanted) in enumerate(
        ((EventFlags.ENABLE, [7]), (EventFlags.DISABLE, []), (3, [7])), 1
    ):
        bench.want(flags)
        assert await bench.used(total) == wanted
    assert [address for address, _length in bench.reads.requests] == [EVENT] * 3


@simulated(Notification)
async def test_a_descriptor_is_notified_of_when_it_is_among_those_used_since_the_last_look(bench):
    bench.want(EventFlags.DESC, 4, 1)
    assert await bench.used(4) == []
    assert await bench.used(5) == [7]
    assert await bench.used(9) == []
    bench.want(EventFlags.DESC, 0, 0)
    assert await bench.used(10) == []
    assert await bench.used(11) == [7]
    # One that stands where the next is used, but a lap ago.
    bench.want(EventFlags.DESC, 1, 1)
    assert await bench.used(12) == []


@simulated(Notification)
async def test_without_event_idx_a_descriptor_that_is_named_means_nothing(bench):
    bench.drive("event_idx", 0)
    bench.want(EventFlags.DESC, 9, 0)
    assert await bench.used(1) == [7]


@simulated(Notification)
async def test_a_queue_that_has_been_reset_meanwhile_is_not_looked_at(bench):
    bench.table.rows[1] = {"driver": 0, "size": 0, "vector": 0, "enable": 0}
    assert await bench.used(1) == []
    assert bench.reads.requests == []


@simulated(Notification)
async def test_what_is_used_while_the_last_look_is_in_flight_is_one_look_more(bench):
    bench.want(EventFlags.ENABLE)
    bench.reads.latency = (30, 30)
    for total in range(1, 6):
        bench.put("used", {"queue": 1, "place_offset": total, "total": total})
        await bench.cycles(4)
    assert len(bench.reads.requests) == 1
    await bench.until(lambda: bench.value("idle"))
    await bench.cycles(2)
    assert len(bench.reads.requests) == 2
    assert bench.got("interrupts") == [7, 7]


@simulated(Notification)
async def test_looks_at_different_queues_do_not_wait_for_each_other(bench):
    bench.table.rows[2] = bench.table.rows[2] | {"vector": 8}
    bench.reads.latency = (30, 30)
    for queue in (1, 2):
        bench.put("used", {"queue": queue, "place_offset": 1, "total": 1})
    await bench.cycles(10)
    assert [address for address, _length in bench.reads.requests] == [EVENT, EVENT + 16]


@simulated(Notification)
async def test_batches_that_others_follow_are_looked_at_with_the_last(bench):
    bench.want(EventFlags.DESC, 1, 1)
    assert await bench.used(2, more=1) == []
    assert bench.reads.requests == []
    assert await bench.used(4) == [7]


@simulated(Notification)
async def test_a_queue_without_a_vector_is_not_asked_about(bench):
    assert await bench.used(1, queue=2) == []
    assert bench.reads.requests == []


@simulated(Notification)
async def test_a_read_that_fails_is_a_failure_and_no_notification(bench):
    bench.reads.fails = lambda address: True
    assert await bench.used(1) == []
    assert bench.counts["fail"] == 1


@simulated(Notification)
async def test_a_queue_that_goes_on_is_notified_unless_it_waits_for_what_is_to_come(bench):
    bench.want(EventFlags.DISABLE)
    await bench.used(7)
    for offset, wanted in ((3, [7]), (8, [])):
        bench.want(EventFlags.DESC, offset, 1)
        bench.drive("restore.index", 1)
        bench.drive("restore.en", 1)
        await bench.cycles()
        bench.drive("restore.en", 0)
        published = bench.value("published")
        assert (published["queue"], published["place_offset"], published["total"]) == (1, 7, 7)
        await bench.cycles(3)
        await bench.until(lambda: bench.value("idle"), "idle")
        assert bench.got("interrupts") == wanted


@pytest.mark.parametrize("seed", range(2))
def test_random_events_against_the_driver_own_rule(seed):
    async def body(bench):
        bench.random.seed(seed)
        rnd, total, looked = bench.random, 0, 0
        for _ in range(150):
            total += rnd.randint(1, SIZE)
            event = rnd.randrange(max(0, total - SIZE), total + SIZE)
            bench.want(EventFlags.DESC, event % SIZE, 1 - event // SIZE % 2)
            wanted = [7] if looked <= event < total else []
            # An event that is a lap ahead looks like one of the present lap, which is none of a driver's.
            if event < total or event - total < SIZE - total % SIZE:
                assert await bench.used(total) == wanted, (event, looked, total)
                looked = total

    Notification().run(body)
