"""What a device does about a driver that breaks the rules. Ref: virtio 1.4, 2.1.2, 2.6."""

from collections.abc import Callable

from ringwalker.spec.modern import DeviceStatus, IsrBit
from ringwalker.spec.ring import DESC_F_NEXT

from ..check import WAYS, Nonconformance, NotApplicable, check
from ..rings.packed_queue import PackedQueue
from ..rings.queues import Piece, Queue
from ..rings.split_queue import SplitQueue
from ..stimulus import Stimulus, stimulus
from ..subject import Subject

__all__: list[str] = []

_FAR = 0x7FFF


def _index_far_ahead(queue: Queue, source: Stimulus) -> bool:
    """An available index that is further ahead than the ring is long."""
    if not isinstance(queue, SplitQueue):
        return False
    queue.avail[0]["idx"] = queue.avail_idx + _FAR & 0xFFFF
    return True


def _head_outside(queue: Queue, source: Stimulus) -> bool:
    """A head that is no descriptor of the table."""
    if not isinstance(queue, SplitQueue):
        return False
    queue.avail_ring[queue.avail_idx % queue.size] = queue.size + 3
    queue.avail[0]["idx"] = queue.avail_idx + 1 & 0xFFFF
    return True


def _chain_outside(queue: Queue, source: Stimulus) -> bool:
    """A descriptor whose next one is not in the table."""
    if not isinstance(queue, SplitQueue):
        return False
    offer = queue.offer(source.work(0).pieces)
    row = queue.rows[offer.places[0]]
    row["flags"] = int(row["flags"]) | DESC_F_NEXT
    row["next"] = queue.size + 3
    queue.publish()
    return True


def _chain_without_end(queue: Queue, source: Stimulus) -> bool:
    """Descriptors that go on for ever."""
    pieces = source.work(0).pieces
    offer = queue.offer(pieces)
    if isinstance(queue, SplitQueue):
        row = queue.rows[offer.places[-1]]
        row["flags"], row["next"] = int(row["flags"]) | DESC_F_NEXT, offer.places[-1]
        queue.publish()
        return True
    if not isinstance(queue, PackedQueue):
        return False
    # All descriptors of the ring are available, and each has one behind it.
    while queue.room >= len(pieces):
        queue.offer(pieces)
    queue.publish()
    for place in range(queue.size):
        queue.rows[place]["flags"] = int(queue.rows[place]["flags"]) | DESC_F_NEXT
    return True


def _readable_after_writable(queue: Queue, source: Stimulus) -> bool:
    """A device-readable descriptor behind a device-writable one."""
    buffer = source.subject.buffer(64)
    offer = queue.offer([Piece(buffer.address, 16, True), Piece(buffer.address + 16, 16, False)])
    queue.publish()
    return bool(offer.places)


_OFFENCES: tuple[Callable[[Queue, Stimulus], bool], ...] = (
    _index_far_ahead,
    _head_outside,
    _chain_outside,
    _chain_without_end,
    _readable_after_writable,
)


async def _offend(subject: Subject, offence: Callable[[Queue, Stimulus], bool], interrupt: str) -> str | None:
    """Start the device and break a rule; what the offence is, or None where the ring has none such."""
    await subject.start(interrupt=interrupt)
    source = await stimulus(subject)
    queue = subject.queues[source.queue]
    if not offence(queue, source):
        return None
    await subject.kick(queue)
    return (offence.__doc__ or "").rstrip(".").lower()


async def _fails(subject: Subject) -> bool:
    """Whether the device sets DEVICE_NEEDS_RESET, soon or not at all."""
    for _ in range(4):
        if await subject.status() & DeviceStatus.DEVICE_NEEDS_RESET:
            return True
        await subject.settle()
    return False


async def _serves_again(subject: Subject, what: str) -> None:
    await subject.reset()
    await subject.start()
    try:
        await (await stimulus(subject)).do(2, "core-03.01")
    except Nonconformance as error:
        raise Nonconformance("core-03.01", f"after {what} and a reset: {error}") from None


@check("core-01.02", "core-01.03", ways=WAYS)
async def an_error_is_notified_of(subject: Subject) -> None:
    """Breaks rules of the rings, one after the other, each time on a device that was started anew. It may
    ignore them; if it sets DEVICE_NEEDS_RESET it has to notify the driver, once it is reset it has to work.

    Wrong: DEVICE_NEEDS_RESET without a configuration change notification, a device that cannot be reset, or
    one that does not work any more.
    """
    if not subject.pci.has_msix:
        raise NotApplicable("there is no MSI-X")
    failed = 0
    for offence in _OFFENCES:
        before = subject.arrived[0]
        what = await _offend(subject, offence, "msix")
        if what is None:
            continue
        if await _fails(subject):
            failed += 1

            async def notified(before: int = before) -> bool:
                return subject.arrived[0] > before

            text = f"DEVICE_NEEDS_RESET is set for {what}, and there is no notification"
            await subject.until(notified, "core-01.03", text)
        await _serves_again(subject, what)
    subject.note("errors that need a reset", failed)


@check("core-01.03", "pci-07.02", ways=WAYS)
async def an_error_is_notified_of_by_intx(subject: Subject) -> None:
    """Breaks a rule of the rings while MSI-X is disabled.

    Wrong: DEVICE_NEEDS_RESET without an interrupt, or with an ISR status that says nothing of the
    configuration.
    """
    before = subject.arrived[-1]
    what = await _offend(subject, _chain_without_end, "intx")
    assert what is not None
    if not await _fails(subject):
        raise NotApplicable("the device ignores it")

    async def notified() -> bool:
        return subject.arrived[-1] > before

    await subject.until(notified, "core-01.03", f"DEVICE_NEEDS_RESET is set for {what}, without an interrupt")
    status = await subject.transport.read_isr()
    if not status & IsrBit.CONFIG:
        raise Nonconformance("pci-07.02", f"the ISR status is {status:#x} when DEVICE_NEEDS_RESET is set")


@check("core-01.02", ways=WAYS)
async def a_failed_device_stays_so_until_its_reset(subject: Subject) -> None:
    """Breaks a rule, gives the device up, and resets it.

    Wrong: DEVICE_NEEDS_RESET that goes without a reset, or that stays after it.
    """
    await _offend(subject, _chain_without_end, "none")
    if not await _fails(subject):
        raise NotApplicable("the device ignores it")
    await subject.set_status(await subject.status() | DeviceStatus.FAILED)
    await subject.settle()
    if not await subject.status() & DeviceStatus.DEVICE_NEEDS_RESET:
        raise Nonconformance("core-01.02", "DEVICE_NEEDS_RESET is taken back without a reset")
    await _serves_again(subject, "an error")
