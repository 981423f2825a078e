"""MSI-X: vectors of events, masks and pending bits. Ref: virtio 1.4, 4.1.5.1.2, 4.1.5.3; PCI 3.0, 6.8.2."""

from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY_MSIX
from ringwalker.spec.modern import NO_VECTOR

from ...guest.transport.legacy_pci import LegacyPciTransport
from ..check import WAYS, Nonconformance, check
from ..conditions import has_msix
from ..pci_view import MsixTable
from ..stimulus import Stimulus, stimulus
from ..subject import Subject

__all__: list[str] = []

_LEAST, _MOST = 2, 0x800
_FEW = 8
"""Vectors and queues of which a check looks at each; of more it takes the first and the last."""


def _some(count: int) -> list[int]:
    return list(range(count)) if count <= _FEW else [*range(_FEW - 1), count - 1]


async def _do(subject: Subject, source: Stimulus, number: int, clause: str) -> None:
    """One piece of work, to its end."""
    queue, work = subject.queues[source.queue], source.work(number)
    queue.offer(work.pieces)
    queue.publish()
    await subject.kick(queue)
    (used,) = await subject.used(queue, 1, clause)
    work.check(used, clause)


async def _map(subject: Subject, index: int | None, vector: int) -> int:
    """Map a queue, or configuration changes, to a vector; what the register then reads."""
    if index is None:
        return await subject.transport.set_config_vector(vector)
    await subject.registers(index).write("vector", vector)
    return await subject.registers(index).read("vector")


@check("pci-11.01", "pci-11.02", "pci-11.03", needs=[has_msix])
async def the_table_has_a_sensible_size(subject: Subject) -> None:
    """Reads the size of the MSI-X table, and writes and reads its first and its last entry.

    Wrong: less than 2 vectors or more than 2048, more than there are events, or an entry that keeps nothing.
    """
    table = await MsixTable(subject.pci).find()
    if not _LEAST <= table.size <= _MOST:
        raise Nonconformance("pci-11.01", f"there are {table.size} vectors")
    for vector in {0, table.size - 1}:
        for name in ("data", "address_high"):
            before = await table.read(vector, name)
            for value in (0x1234_5678, 0x8765_4320):
                await table.write(vector, name, value)
                if (found := await table.read(vector, name)) != value:
                    text = f"{name} of vector {vector} is {found:#x} after {value:#x} was written"
                    raise Nonconformance("pci-11.02", text)
            await table.write(vector, name, before)
    events = 1 + await subject.common("num_queues")
    if subject.offers(Feature.ADMIN_VQ):
        await subject.negotiate(Feature.ADMIN_VQ)
        events += await subject.common("admin_queue_num")
    if table.size > max(events, _LEAST):
        raise Nonconformance("pci-11.03", f"there are {table.size} vectors, and {events} events")


@check("pci-11.04", "pci-11.05", "pci-11.06", "pci-11.08", ways=WAYS, needs=[has_msix])
async def any_event_takes_any_vector(subject: Subject) -> None:
    """Maps configuration changes and each queue to each vector, unmaps them, and reads the register.

    Wrong: another value than was written.
    """
    await subject.negotiate()
    await subject.enable_interrupts("msix")
    events: list[int | None] = [None, *_some(await subject.transport.num_queues())]
    for event in events:
        for vector in _some(await subject.pci.msix_vectors()):
            if (found := await _map(subject, event, vector)) != vector:
                clause = "pci-11.04" if found == NO_VECTOR else "pci-11.06"
                raise Nonconformance(clause, f"event {event} has vector {found:#x}, not {vector}")
        if (found := await _map(subject, event, NO_VECTOR)) != NO_VECTOR:
            raise Nonconformance("pci-11.05", f"event {event} has vector {found:#x} after it was unmapped")


@check("pci-11.09", ways=WAYS, needs=[has_msix])
async def vectors_that_are_not_there_cannot_be_had(subject: Subject) -> None:
    """Maps configuration changes and a queue to vectors beyond the table.

    Wrong: a register that says anything but that there is no vector.
    """
    await subject.negotiate()
    await subject.enable_interrupts("msix")
    vectors = await subject.pci.msix_vectors()
    for event in (None, 0) if await subject.transport.num_queues() else (None,):
        for vector in (vectors, 0x7FF, 0x800, 0xFFFE):
            if vector < vectors:
                continue
            await _map(subject, event, 0)
            if (found := await _map(subject, event, vector)) != NO_VECTOR:
                raise Nonconformance("pci-11.09", f"event {event} has vector {found:#x} of {vectors}")


@check("pci-11.07", ways=WAYS, needs=[has_msix])
async def a_reset_unmaps_all_events(subject: Subject) -> None:
    """Maps all events, resets the device, and reads the vectors.

    Wrong: an event that has one.
    """
    await subject.start()
    await subject.reset()
    await subject.negotiate()
    if isinstance(subject.transport, LegacyPciTransport):
        found = await subject.transport.header.read("config_msix_vector", LEGACY_MSIX)
    else:
        found = await subject.common("config_msix_vector")
    if found != NO_VECTOR:
        raise Nonconformance("pci-11.07", f"configuration changes have vector {found:#x} after a reset")
    for index in _some(await subject.transport.num_queues()):
        if (found := await subject.registers(index).read("vector")) != NO_VECTOR:
            raise Nonconformance("pci-11.07", f"queue {index} has vector {found:#x} after a reset")


@check("pci-11.04", "pci-12.01", ways=WAYS, needs=[has_msix])
async def a_queue_uses_the_vector_it_has(subject: Subject) -> None:
    """Gives a queue each vector in turn, and none, and lets it do work.

    Wrong: no message by its vector, one by another, or one without a vector.
    """
    await subject.start()
    source = await stimulus(subject)
    for number, vector in enumerate([*_some(subject.vectors), NO_VECTOR]):
        # The message for what was used last may be on its way.
        await subject.settle()
        await _map(subject, source.queue, vector)
        before = dict(subject.arrived)
        await _do(subject, source, number, "pci-11.04")
        if vector != NO_VECTOR:
            text = f"queue {source.queue} sends no message by vector {vector}"
            await _more(subject, vector, before.get(vector, 0), "pci-11.04", text)
        await subject.settle()
        for other, count in subject.arrived.items():
            if other != vector and count != before.get(other, 0):
                clause = "pci-12.01" if vector == NO_VECTOR else "pci-11.04"
                raise Nonconformance(clause, f"with vector {vector:#x}, a message comes by vector {other}")


async def _more(subject: Subject, vector: int, before: int, clause: str, text: str) -> None:
    async def arrived() -> bool:
        return subject.arrived[vector] > before

    await subject.until(arrived, clause, text)


@check("pci-01.01", ways=WAYS, needs=[has_msix])
async def a_masked_vector_waits(subject: Subject) -> None:
    """Masks the vector of a queue, by itself and with all others, lets the queue do work, looks at the
    pending bit, and unmasks it.

    Wrong: a message while it is masked, no pending bit, or no message once it is not masked any more.
    """
    await subject.start()
    source = await stimulus(subject)
    table = await MsixTable(subject.pci).find()
    vector = subject.vector_of(source.queue)
    for number, by_function in enumerate((False, True)):
        await subject.settle()
        await (table.set_function_mask(True) if by_function else table.set_mask(vector, True))
        try:
            before = subject.arrived[vector]
            await _do(subject, source, number, "pci-01.01")
            await subject.settle()
            if subject.arrived[vector] != before:
                raise Nonconformance("pci-01.01", f"vector {vector} sends a message while it is masked")
            if not await table.pending(vector):
                raise Nonconformance("pci-01.01", f"vector {vector} is masked, and its pending bit is 0")
        finally:
            await (table.set_function_mask(False) if by_function else table.set_mask(vector, False))
        await _more(
            subject, vector, before, "pci-01.01", f"vector {vector} sends nothing when it is unmasked"
        )
        if await table.pending(vector):
            raise Nonconformance("pci-01.01", f"vector {vector} has sent its message, and is pending")


@check("core-09.03", ways=WAYS, needs=[has_msix])
async def events_can_share_a_vector(subject: Subject) -> None:
    """Gives all queues vector 0, which configuration changes have too, and lets one do work.

    Wrong: no message.
    """
    await subject.start()
    for index in subject.queues:
        await _map(subject, index, 0)
    source = await stimulus(subject)
    for number in range(2):
        before = subject.arrived[0]
        await _do(subject, source, number, "core-09.03")
        await _more(subject, 0, before, "core-09.03", "there is no message by the vector that all share")
