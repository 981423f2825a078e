"""Buffers through a ring, with an eye on all that the device must leave alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..check import Nonconformance, NotApplicable, Way
from ..stimulus import Stimulus, Work, stimulus
from ..subject import Subject
from .packed_queue import PackedQueue
from .queues import Offer, Queue, Used
from .split_queue import SplitQueue

__all__ = ["Exchange", "started"]


@dataclass
class _Kept:
    """Memory that the device must not write: a view of it, and what it holds."""

    area: np.ndarray
    content: np.ndarray
    clause: str
    name: str

    def check(self) -> None:
        """Errors: :class:`Nonconformance` when it was written."""
        if not np.array_equal(self.area, self.content):
            at = int(np.flatnonzero(self.area != self.content)[0])
            raise Nonconformance(self.clause, f"the device has written byte {at} of the {self.name}")


class Exchange:
    """Work of ``stimulus`` through its queue, or through ``queue``.

    Readable buffers, indirect tables and the driver's areas are compared with what they were when a buffer
    was made available, and guards are looked at, whenever buffers are used. ``works`` are those in flight.
    """

    def __init__(self, subject: Subject, work: Stimulus, queue: Queue | None = None):
        self.subject = subject
        self.stimulus = work
        self.queue = queue or subject.queues[work.queue]
        self.works: dict[Offer, Work] = {}
        self.count = 0
        """Works so far, which are numbered."""
        self._areas: list[_Kept] = []
        self._read: dict[Offer, list[_Kept]] = {}

    @property
    def index(self) -> int:
        """The queue."""
        return self.queue.index

    @property
    def interrupts(self) -> int:
        """Used buffer notifications of the queue so far."""
        return self.subject.interrupts(self.index)

    def new_work(self, pieces: Sequence[int] = ()) -> Work:
        """The next work."""
        self.count += 1
        return self.stimulus.work(self.count - 1, pieces)

    def finest_cut(self, most: int) -> tuple[int, ...]:
        """The cut of a work into as many descriptors as there can be up to ``most``, if the face allows."""
        if not self.subject.any_layout:
            return ()
        pieces = self.new_work().pieces
        parts = [sum(piece.length for piece in pieces if piece.writable == kind) for kind in (False, True)]
        length = 1
        while sum(-(-part // length) for part in parts) > most and length < max(parts):
            length += 1
        return (length,) * most

    def offer(
        self,
        pieces: Sequence[int] = (),
        *,
        indirect: int | None = None,
        places: Sequence[int] | None = None,
        table_flags: int = 0,
    ) -> Offer:
        """Describe the next work. ``indirect``: so many of its last pieces are in a table, 0 for all."""
        return self.describe(self.new_work(pieces), indirect, places, table_flags)

    def needs(self, work: Work, indirect: int | None = None) -> int:
        """How many descriptors of the ring describe a work."""
        if indirect is None:
            return len(work.pieces)
        packed = self.subject.way is Way.PACKED
        return 1 if packed or not indirect else len(work.pieces) - indirect + 1

    def describe(
        self,
        work: Work,
        indirect: int | None = None,
        places: Sequence[int] | None = None,
        table_flags: int = 0,
    ) -> Offer:
        """Describe a work. Errors: :class:`NotApplicable` when the queue is too short for it."""
        count = 0 if indirect is None else indirect or len(work.pieces)
        if self.needs(work, indirect) > self.queue.vacant:
            raise NotApplicable(f"a queue of {self.queue.size} entries is too short")
        self._check_areas()
        made = self.queue.offer(work.pieces, indirect=count, places=places, table_flags=table_flags)
        self._keep_areas()
        self.works[made] = work
        return made

    def publish(self, count: int | None = None) -> None:
        """Make the oldest ``count`` works available that are not yet, by default all."""
        self._check_areas()
        self.queue.publish(count)
        self._keep_areas()
        clause = self.subject.by_ring("core-07.01", "core-13.01")
        for offer in self.queue.in_flight.values():
            if offer not in self._read:
                pieces = [piece for piece in offer.pieces if not piece.writable]
                views = [self.subject.memory.view(piece.address, piece.length) for piece in pieces]
                self._read[offer] = [_Kept(view, view.copy(), clause, "readable buffer") for view in views]

    def suppress(self, on: bool) -> None:
        """See :meth:`.Queue.suppress`."""
        self._check_areas()
        self.queue.suppress(on)
        self._keep_areas()

    def ask_after(self, count: int, span: int = 1) -> None:
        """See :meth:`.Queue.ask_after`."""
        self._check_areas()
        self.queue.ask_after(count, span)
        self._keep_areas()

    def set_event(self, event: int) -> None:
        """Write ``event`` where an event index would be, and change no flags."""
        self._check_areas()
        if isinstance(self.queue, SplitQueue):
            self.queue.used_event[0] = event
        elif isinstance(self.queue, PackedQueue):
            self.queue.driver_event[0]["place"] = event
        self._keep_areas()

    def _keep_areas(self) -> None:
        areas = self.queue.own_areas()
        self._areas = [_Kept(area, area.copy(), "core-07.04", name) for name, area in areas.items()]

    def _check_areas(self) -> None:
        for kept in self._areas:
            kept.check()

    def check_kept(self) -> None:
        """Errors: :class:`Nonconformance` when the device has written what it must not."""
        self._check_areas()
        for kept in [kept for part in self._read.values() for kept in part]:
            kept.check()
        self.subject.check_guards(self.subject.by_ring("core-07.01", "core-13.01"))

    async def kick(self) -> None:
        """Notify the device."""
        await self.subject.kick(self.queue)

    async def wait(self, count: int | None = None, clause: str | None = None) -> list[Used]:
        """Wait until ``count`` works are used, by default all, and check them. ``clause``: that of a failure;
        by default the one of each."""
        wanted = len(self.queue.in_flight) if count is None else count
        return self.check(await self.subject.used(self.queue, wanted, clause), clause)

    async def watch(self, count: int) -> list[Used]:
        """As :meth:`wait`, looking in every cycle: a work is checked as soon as it is seen to be used."""
        found: list[Used] = []
        end = self.subject.port.now() + self.subject.timing.patience
        while len(found) < count:
            if self.queue.waiting:
                found += self.check(await self.subject.used(self.queue, 1))
            elif self.subject.port.now() >= end:
                text = f"{count} buffers were offered, and not all are used in time"
                raise Nonconformance(self.subject.by_ring("core-10.01", "core-14.01"), text)
            else:
                await self.subject.port.sleep(1)
        return found

    def check(self, found: list[Used], clause: str | None = None) -> list[Used]:
        """Check works that are used."""
        self.check_kept()
        self._keep_areas()
        for used in found:
            assert used.offer is not None
            self._read.pop(used.offer, None)
            self.works.pop(used.offer).check(used, clause or "core-10.02")
        return found

    async def run(self, count: int = 1, clause: str | None = None) -> list[Used]:
        """``count`` works at once: offered, published, with a notification, and waited for."""
        for _ in range(count):
            self.offer()
        self.publish()
        await self.kick()
        return await self.wait(clause=clause)


async def started(
    subject: Subject, *features: int, size: int | None = None, interrupt: str = "msix"
) -> Exchange:
    """Start the device, with the work that its type does; no notification is on its way. Errors:
    :class:`NotApplicable`."""
    await subject.start(*features, size=size, interrupt=interrupt)
    exchange = Exchange(subject, await stimulus(subject))
    if interrupt != "none":
        await subject.settle()
    return exchange
