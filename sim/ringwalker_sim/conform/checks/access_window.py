"""The window from configuration space into the BARs. Ref: virtio 1.4, 4.1.4.9."""

from random import Random

from ringwalker.spec.modern import COMMON, CapabilityType, DeviceStatus
from ringwalker.spec.pci import VIRTIO_PCI_CAPABILITY
from ringwalker.spec.registers import Register

from ..check import RINGS, Nonconformance, check
from ..pci_view import virtio_capabilities
from ..stimulus import stimulus
from ..subject import Subject

__all__: list[str] = []

_DRIVER = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
_READABLE = [row.name for row in COMMON if row.size <= 4 and row.offset < COMMON.queue_desc.offset]


class _Window:
    """The first access window of ``subject``, ``at`` an offset of configuration space."""

    def __init__(self, subject: Subject, at: int):
        self.subject = subject
        self.at = at

    async def aim(self, bar: int, offset: int, size: int) -> None:
        """Choose what the window shows."""
        for name, value in (("bar", bar), ("offset", offset), ("size", size)):
            await self.subject.pci.write(VIRTIO_PCI_CAPABILITY[name], value, self.at)

    def _data(self, size: int) -> Register:
        row = VIRTIO_PCI_CAPABILITY.window
        return Register(row.name, row.offset, 8 * size, row.access, row.doc)

    async def read(self, size: int) -> int:
        """Read through the window."""
        return await self.subject.pci.read(self._data(size), self.at)

    async def write(self, value: int, size: int) -> None:
        """Write through it."""
        await self.subject.pci.write(self._data(size), value, self.at)


async def _window(subject: Subject) -> _Window:
    rows = await virtio_capabilities(subject.pci, CapabilityType.PCI)
    if not rows:
        raise Nonconformance("pci-10.01", "there is no access window")
    return _Window(subject, rows[0]["at"])


async def _aim_common(subject: Subject, window: _Window, name: str) -> int:
    row, place = COMMON[name], subject.structures.places[CapabilityType.COMMON]
    await window.aim(place.bar, place.offset + row.offset, row.size)
    return row.size


@check("pci-10.03")
async def the_window_reads_registers(subject: Subject) -> None:
    """Reads the registers of the common configuration through the window and directly, by 1, 2 and 4 bytes,
    and the first bytes of device configuration.

    Wrong: the window shows something else.
    """
    window = await _window(subject)
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    for name in _READABLE:
        size = await _aim_common(subject, window, name)
        found, wanted = await window.read(size), await subject.common(name)
        if found != wanted:
            raise Nonconformance("pci-10.03", f"{name} is {wanted:#x}, and {found:#x} through the window")
    place = subject.structures.places.get(CapabilityType.DEVICE)
    if place is not None and place.size >= 2:
        for size in (1, 2):
            await window.aim(place.bar, place.offset, size)
            found, wanted = await window.read(size), await subject.pci.bar_read(place.bar, place.offset, size)
            if found != wanted:
                raise Nonconformance("pci-10.03", f"{found:#x} of device configuration is {wanted:#x}")


def _values(random: Random) -> list[list[int]]:
    return [[random.randrange(3), random.getrandbits(32)] for _ in range(16)]


@check("pci-10.02", "pci-10.03", steps=_values)
async def the_window_writes_registers(subject: Subject, steps: list[list[int]]) -> None:
    """Writes selects through the window and directly, at random, and reads each by the other way.

    Wrong: a write through the window that does not happen, or to another place.
    """
    window = await _window(subject)
    names = ("device_feature_select", "driver_feature_select", "queue_select")
    queues = await subject.common("num_queues")
    for which, value in steps:
        name = names[which]
        size = await _aim_common(subject, window, name)
        value = value if size == 4 else value % max(queues, 1)
        await window.write(value, size)
        if (found := await subject.common(name)) != value:
            raise Nonconformance("pci-10.02", f"{name} is {found:#x} after the window wrote {value:#x}")
        other = value ^ 1 if size == 4 else 0
        await subject.set_common(name, other)
        if (found := await window.read(size)) != other:
            raise Nonconformance("pci-10.03", f"{name} is {other:#x}, and {found:#x} through the window")


@check("pci-10.02", ways=RINGS)
async def the_window_alone_drives_the_device(subject: Subject) -> None:
    """Sets the status and notifies the device through the window.

    Wrong: a status that is not taken, or a buffer that is not used.
    """
    window = await _window(subject)
    size = await _aim_common(subject, window, "device_status")
    for status in (DeviceStatus.ACKNOWLEDGE, _DRIVER):
        await window.write(status, size)
        if (found := await subject.status()) != status:
            raise Nonconformance("pci-10.02", f"the status is {found:#x} after the window wrote {status:#x}")
    await subject.start()
    source = await stimulus(subject)
    queue, work = subject.queues[source.queue], source.work(0)
    queue.offer(work.pieces)
    queue.publish()
    place = subject.structures.places[CapabilityType.NOTIFY]
    offset = await subject.registers(queue.index).read("notify_off") * place.multiplier
    await window.aim(place.bar, place.offset + offset, 2)
    await window.write(queue.index, 2)
    (used,) = await subject.used(queue, 1, "pci-10.02")
    work.check(used, "pci-10.02")
