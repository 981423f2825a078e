"""VIRTIO_F_NOTIFY_ON_EMPTY: who has nothing left to be used is notified, whatever it suppresses.

Ref: virtio 1.4, 6.3 (Legacy Interface: Reserved Feature Bits).
"""

from ringwalker.queue.split.used_notification import UsedNotification
from ringwalker.spec.ring import AVAIL_F_NO_INTERRUPT, used_event_offset
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads, QueueRows

WIDTH, QUEUES, SIZE = 64, 3, 16
DRIVER = (0x1000, 0x2FF8, 0x3FFE)
"""The last is one that no legacy driver can have: flags and index are in two pages."""


class Notification(Bench):
    @classmethod
    def component(cls):
        return UsedNotification(WIDTH, QUEUES, on_empty=True)

    def __init__(self):
        super().__init__()
        self.memory = bytearray(1 << 16)
        self.read = DmaReads(self, "read", self.memory, WIDTH)
        rows = QueueRows(self)
        for queue, driver in enumerate(DRIVER):
            rows.rows[queue] = {"driver": driver, "size": SIZE, "enable": 1, "vector": queue}
        self.drive("msix_enable", 1)
        self.drive("notify_on_empty", 1)
        self.count("fail")

    async def use(self, queue, idx, available, flags=AVAIL_F_NO_INTERRUPT):
        """The used index becomes ``idx``; which vectors come of it."""
        at = DRIVER[queue]
        self.memory[at : at + 4] = flags.to_bytes(2, "little") + available.to_bytes(2, "little")
        self.put("used", {"queue": queue, "idx": idx})
        await self.cycles(20)
        assert self.value("idle")
        return self.got("interrupts")


@simulated(Notification)
async def test_only_the_last_of_what_was_available_is_notified(bench):
    for queue in (0, 1):
        for idx in (1, 2, 3):
            assert await bench.use(queue, idx, 4) == []
        assert await bench.use(queue, 4, 4) == [queue]
        assert await bench.use(queue, 0xFFFF, 0) == []
        assert await bench.use(queue, 0, 0) == [queue]
    assert {length for _address, length in bench.read.requests} == {4}


@simulated(Notification)
async def test_flags_count_as_ever(bench):
    assert await bench.use(0, 1, 9, flags=0) == [0]
    assert await bench.use(0, 2, 9, flags=0xFFFE) == [0]
    assert await bench.use(0, 3, 9, flags=0xFFFF) == []


@simulated(Notification)
async def test_what_was_not_negotiated_has_no_effect(bench):
    bench.drive("notify_on_empty", 0)
    assert await bench.use(0, 4, 4) == []
    assert bench.read.requests == [(DRIVER[0], 2)]


@simulated(Notification)
async def test_with_event_idx_every_use_is_notified(bench):
    bench.drive("event_idx", 1)
    for idx in (1, 2, 3):
        assert await bench.use(0, idx, 7) == [0]
    assert bench.read.requests == [(DRIVER[0] + used_event_offset(SIZE), 2)] * 3


@simulated(Notification)
async def test_no_read_crosses_a_page(bench):
    assert await bench.use(2, 1, 7) == [2]
    assert bench.read.requests == [(DRIVER[2], 2)]


@simulated(Notification)
async def test_a_failed_read_notifies_nobody(bench):
    bench.read.fails = lambda address: True
    assert await bench.use(0, 4, 4) == []
    assert bench.counts["fail"] == 1
