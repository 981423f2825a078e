"""INTx and the ISR status. Ref: virtio 1.4, 4.1.4.5, 4.1.5.3; PCI 3.0, 6.2.2 and 6.2.3."""

from ringwalker.spec.modern import IsrBit
from ringwalker.spec.pci import HEADER, Command, Status

from ..check import WAYS, Nonconformance, NotApplicable, check
from ..conditions import has_msix
from ..pci_view import saved_configuration
from ..stimulus import Stimulus, stimulus
from ..subject import Subject

__all__: list[str] = []


async def _interrupt_status(subject: Subject) -> bool:
    return bool(await subject.pci.read(HEADER.status) & Status.INTERRUPT_STATUS)


async def _start(subject: Subject) -> Stimulus:
    """Start the device with INTx, nothing pending. Errors: :class:`NotApplicable` without a pin."""
    if not await subject.pci.read(HEADER.interrupt_pin):
        raise NotApplicable("there is no interrupt pin")
    await subject.start(interrupt="intx")
    source = await stimulus(subject)
    await subject.settle()
    await subject.transport.read_isr()
    return source


async def _do(subject: Subject, source: Stimulus, number: int) -> None:
    queue, work = subject.queues[source.queue], source.work(number)
    queue.offer(work.pieces)
    queue.publish()
    await subject.kick(queue)
    (used,) = await subject.used(queue, 1)
    work.check(used, "core-10.02")


async def _asserted(subject: Subject, before: int, clause: str, text: str) -> None:
    async def arrived() -> bool:
        return subject.arrived[-1] > before

    await subject.until(arrived, clause, text)


@check("pci-07.03", "pci-07.04", "pci-07.05", ways=WAYS)
async def a_used_buffer_asserts_intx(subject: Subject) -> None:
    """Lets a queue do work while MSI-X is disabled, and reads Interrupt Status and the ISR status, several
    times.

    Wrong: no interrupt, an ISR status without the queues' bit, one that is not cleared by reading it, or an
    Interrupt Status bit that is something else than the OR of the ISR status.
    """
    source = await _start(subject)
    for number in range(3):
        if await _interrupt_status(subject):
            raise Nonconformance("pci-07.04", "Interrupt Status is set, and no bit of the ISR status")
        before = subject.arrived[-1]
        await _do(subject, source, number)
        await _asserted(subject, before, "pci-07.03", "there is no interrupt for a used buffer")
        if not await _interrupt_status(subject):
            raise Nonconformance("pci-07.04", "Interrupt Status is not set while an interrupt is asserted")
        status = await subject.transport.read_isr()
        if not status & IsrBit.QUEUE:
            raise Nonconformance("pci-07.03", f"the ISR status of a used buffer is {status:#x}")
        if status := await subject.transport.read_isr():
            raise Nonconformance("pci-07.05", f"the ISR status is {status:#x} after it was read")


@check("pci-07.04", "pci-01.01", ways=WAYS)
async def intx_can_be_disabled(subject: Subject) -> None:
    """Sets INTx Disable, lets a queue do work, and clears it again.

    Wrong: an interrupt while it is disabled, an Interrupt Status bit that depends on it, or no interrupt once
    it is enabled.
    """
    source = await _start(subject)
    async with saved_configuration(subject.pci):
        await subject.pci.set_command(set_bits=Command.INTX_DISABLE)
        before = subject.arrived[-1]
        await _do(subject, source, 0)
        await subject.settle()
        if subject.arrived[-1] != before:
            raise Nonconformance("pci-01.01", "INTx is asserted while INTx Disable is set")
        if not await _interrupt_status(subject):
            raise Nonconformance("pci-07.04", "Interrupt Status is not set while INTx Disable is")
        await subject.pci.set_command(clear_bits=Command.INTX_DISABLE)
        text = "INTx is not asserted when INTx Disable is cleared"
        await _asserted(subject, before, "pci-01.01", text)
    await subject.transport.read_isr()


@check("core-03.02", "pci-07.04", ways=WAYS)
async def a_reset_takes_the_interrupt_back(subject: Subject) -> None:
    """Resets the device while INTx is asserted.

    Wrong: an interrupt that stays.
    """
    source = await _start(subject)
    before = subject.arrived[-1]
    await _do(subject, source, 0)
    await _asserted(subject, before, "pci-07.03", "there is no interrupt for a used buffer")
    await subject.reset()
    if await _interrupt_status(subject) or await subject.transport.read_isr():
        raise Nonconformance("core-03.02", "the interrupt stays asserted after a reset")


@check("pci-01.01", ways=WAYS, needs=[has_msix])
async def no_intx_with_msix(subject: Subject) -> None:
    """Lets a queue do work while MSI-X is enabled, INTx Disable or not.

    Wrong: an interrupt by INTx.
    """
    await subject.start()
    subject.listen_to_intx()
    source = await stimulus(subject)
    async with saved_configuration(subject.pci):
        await subject.pci.set_command(clear_bits=Command.INTX_DISABLE)
        before = subject.arrived[-1]
        await _do(subject, source, 0)
        await subject.settle()
        if subject.arrived[-1] != before:
            raise Nonconformance("pci-01.01", "INTx is asserted while MSI-X is enabled")
