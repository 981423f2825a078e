"""How a buffer is cut into descriptors, and what the device may touch. Ref: virtio 1.4, 2.7.4, 2.7.5."""

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus

from ...memory import Access
from ..check import RINGS, WAYS, Nonconformance, NotApplicable, Way, check
from ..rings.exchange import Exchange, started
from ..rings.queues import Offer
from ..subject import Subject

__all__: list[str] = []

_CUTS = (
    (1,),
    (8,),
    (15, 1),
    (16, 511),
    (16, 1, 1),
    (3, 5, 7, 11, 13, 17),
    (10, 2, 20, 400),
    (1, 1, 1, 1, 1, 1),
)
_SEEN_BYTES = 32 << 20
"""So much of the memory is compared as a whole."""


def _any_layout(subject: Subject) -> str | None:
    if subject.legacy and not subject.offers(Feature.ANY_LAYOUT):
        return "a legacy device without ANY_LAYOUT wants descriptors of its own for each part"
    return None


@check("core-06.01", "core-14.01", ways=WAYS, needs=[_any_layout])
async def any_cut_of_buffers(subject: Subject) -> None:
    """Cuts headers, data and status of the same works into descriptors at many places.

    Wrong: a result that depends on where a buffer is cut.
    """
    exchange = await started(subject)
    for cut in _CUTS:
        exchange.offer(cut)
        exchange.publish()
        await exchange.kick()
        await exchange.wait(1, subject.by_ring("core-06.01", "core-14.01"))


@check("core-06.01", ways=(Way.SPLIT, Way.LEGACY), needs=[_any_layout])
async def descriptors_in_any_order(subject: Subject) -> None:
    """Chains descriptors of the table in descending order, and in random ones.

    Wrong: a device that expects the descriptors of a chain one behind the other.
    """
    exchange = await started(subject)
    most = exchange.queue.size
    for number in range(6):
        work = exchange.new_work((5,) * 4)
        places = subject.random.sample(range(most), most)[: len(work.pieces)]
        if number == 0:
            places = list(range(most))[-len(places) :][::-1]
        exchange.describe(work, places=places)
        exchange.publish()
        await exchange.kick()
        await exchange.wait(1, "core-06.01")


@check("core-06.01", "core-06.02", "core-14.01", "core-14.02", ways=WAYS, needs=[_any_layout])
async def long_chains(subject: Subject) -> None:
    """Makes chains that take a half and all of the ring. A device may have a limit: it may fail then, but has
    to say so, and works after a reset.

    Wrong: a device that hangs, uses the buffer with a wrong result, or does not work any more.
    """
    exchange = await started(subject)
    for most in (exchange.queue.size // 2, exchange.queue.size):
        work = exchange.new_work(exchange.finest_cut(most))
        if len(work.pieces) > most:
            continue
        exchange.describe(work)
        exchange.publish()
        await exchange.kick()
        if not await _used_or_failed(exchange):
            exchange = await started(subject)
    await exchange.run(2)


async def _used_or_failed(exchange: Exchange) -> bool:
    """Whether the buffer was used as it should be; False: the device says that it has failed."""
    subject = exchange.subject

    async def decided() -> bool:
        status = 0 if subject.legacy else await subject.status()
        return exchange.queue.waiting or bool(status & DeviceStatus.DEVICE_NEEDS_RESET)

    clause = subject.by_ring("core-06.01", "core-14.01")
    await subject.until(decided, clause, "a long chain is neither used nor does it make the device fail")
    if exchange.queue.waiting:
        await exchange.wait(1, clause)
        return True
    subject.note("limit of a chain", True)
    return False


@check("core-07.01", "core-07.04", "core-13.01", "core-10.02", ways=WAYS)
async def nothing_else_is_written(subject: Subject) -> None:
    """Lets buffers be used, and compares all memory with what it was.

    Wrong: a byte that is written outside the writable buffers and the device's own area of the ring.
    """
    exchange = await started(subject)
    await exchange.run(3)
    queue = exchange.queue
    for _ in range(3):
        exchange.offer()
    exchange.publish()
    seen = subject.memory.array[:_SEEN_BYTES]
    before = seen.copy()
    end = queue.areas[-1].address + queue.areas[-1].length
    allowed = [(queue.device_address, end - queue.device_address)]
    if subject.way is Way.PACKED:
        allowed = [(area.address, area.length) for area in (queue.areas[0], queue.areas[2])]
    for offer in queue.in_flight.values():
        allowed += [(piece.address, piece.length) for piece in offer.pieces if piece.writable]
    await exchange.kick()
    await exchange.wait()
    await subject.settle()
    for address, length in allowed:
        start = address - subject.memory.base
        before[start : start + length] = seen[start : start + length]
    changed = (before != seen).nonzero()[0]
    if len(changed):
        at = int(changed[0]) + subject.memory.base
        clause = subject.by_ring("core-07.01", "core-13.01")
        text = f"the device has written {len(changed)} bytes outside its buffers, the first at {at:#x}"
        raise Nonconformance(clause, text)


def _touched(offer: Offer, accesses: list[Access], write: bool, writable: bool) -> Access | None:
    """The first access of a kind to the pieces of a kind."""
    for access in accesses:
        for piece in offer.pieces:
            inside = access.address < piece.address + piece.length
            inside = inside and piece.address < access.address + access.length
            if access.write == write and piece.writable == writable and inside:
                return access
    return None


@check("core-07.02", "core-07.03", "core-13.02", ways=RINGS)
async def writable_buffers_are_not_read(subject: Subject) -> None:
    """Looks at all accesses of the device while it uses buffers, where they can be seen.

    Wrong: a read of a device-writable buffer, which only diagnosis would be a reason for.
    """
    exchange = await started(subject)
    accesses: list[Access] = []
    watch = subject.memory.watch(subject.memory.base, subject.memory.size, accesses.append)
    try:
        offers = [exchange.offer() for _ in range(3)]
        exchange.publish()
        await exchange.kick()
        await exchange.wait()
    finally:
        subject.memory.unwatch(watch)
    if not accesses:
        raise NotApplicable("the accesses of the device cannot be seen here")
    for offer in offers:
        read = _touched(offer, accesses, write=False, writable=True)
        if read is not None:
            clause = subject.by_ring("core-07.02", "core-13.02")
            raise Nonconformance(clause, f"the device reads {read.length} bytes at {read.address:#x}")
