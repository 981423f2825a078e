"""The PCI function: identity, header, base addresses, capabilities, resets. Ref: virtio 1.4, 4.1, 4.1.2."""

from ringwalker.spec.ids import OASIS_DEVICE_BASE, VENDOR_OASIS
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    HEADER,
    MSIX_CAPABILITY,
    VIRTIO_CAPABILITY,
    CapabilityId,
    Command,
    MsixControl,
    Status,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceCapabilities
from ringwalker.spec.registers import Access

from ...guest.errors import VirtioError
from ..check import WAYS, Nonconformance, NotApplicable, Way, check
from ..pci_view import config, put_config, saved_configuration
from ..stimulus import stimulus
from ..subject import Subject

__all__: list[str] = []

_TRANSITIONAL = {1: 0x1000, 2: 0x1001, 5: 0x1002, 3: 0x1003, 8: 0x1004, 4: 0x1005, 9: 0x1009}
"""Transitional device ids by virtio type. Ref: virtio 1.4, 4.1.2.1."""

_LAST_TRANSITIONAL = 0x103F
_LAST_DEVICE = 0x107F
_LEAST_SUBSYSTEM = 0x40


def _transitional(subject: Subject) -> bool:
    return Way.LEGACY in subject.ways and len(subject.ways) > 1


@check("pci-02.01", "pci-02.02", ways=WAYS)
async def ids_name_a_virtio_device(subject: Subject) -> None:
    """Reads vendor and device id.

    Wrong: another vendor than 0x1AF4, or an id that belongs to no virtio type or to another than is served.
    """
    if subject.pci.id.vendor != VENDOR_OASIS:
        raise Nonconformance("pci-02.01", f"the vendor is {subject.pci.id.vendor:#x}")
    device = await subject.pci.read(HEADER.device_id)
    if device not in (OASIS_DEVICE_BASE + subject.type, _TRANSITIONAL.get(subject.type)):
        raise Nonconformance("pci-02.02", f"the device id {device:#x} is none of a {subject.name} device")


@check("pci-02.03", ways=WAYS)
async def subsystem_ids_are_free(subject: Subject) -> None:
    """Reads the subsystem ids twice; each value is good.

    Wrong: they change.
    """
    rows = (HEADER.subsystem_vendor_id, HEADER.subsystem_id)
    first, second = [[await subject.pci.read(row) for row in rows] for _ in range(2)]
    if first != second:
        raise Nonconformance("pci-01.01", f"the subsystem ids are {first}, and then {second}")
    subject.note("subsystem ids", first)


@check("pci-02.04", "pci-02.05", "pci-02.06")
async def a_modern_device_is_told_from_a_legacy_one(subject: Subject) -> None:
    """Reads the ids of a device without a legacy face.

    Wrong: a legacy driver could take it for one of its own: by the device id, by revision 0, or by a
    subsystem id below 0x40.
    """
    if Way.LEGACY in subject.ways:
        raise NotApplicable("the device is transitional")
    device = await subject.pci.read(HEADER.device_id)
    if not OASIS_DEVICE_BASE <= device <= _LAST_DEVICE:
        raise Nonconformance("pci-02.04", f"the device id is {device:#x}")
    if not (revision := await subject.pci.read(HEADER.revision_id)):
        raise Nonconformance("pci-02.05", f"the revision is {revision}")
    subsystem = await subject.pci.read(HEADER.subsystem_id)
    if subsystem < _LEAST_SUBSYSTEM:
        raise Nonconformance("pci-02.06", f"the subsystem id is {subsystem:#x}")


@check("legacy-03.01", "legacy-03.02", "legacy-03.03", "legacy-05.01", ways=(Way.LEGACY,))
async def a_transitional_device_looks_like_a_legacy_one(subject: Subject) -> None:
    """Reads the ids of a transitional device, and the kind of BAR 0.

    Wrong: a legacy driver would not take it: by device id, revision or subsystem id, or because BAR 0 is not
    in I/O space.
    """
    if not _transitional(subject):
        raise NotApplicable("the device is not transitional")
    if revision := await subject.pci.read(HEADER.revision_id):
        raise Nonconformance("legacy-03.01", f"the revision is {revision}")
    if (subsystem := await subject.pci.read(HEADER.subsystem_id)) != subject.type:
        raise Nonconformance("legacy-03.02", f"the subsystem id is {subsystem:#x}")
    device = await subject.pci.read(HEADER.device_id)
    if not _TRANSITIONAL[1] <= device <= _LAST_TRANSITIONAL:
        raise Nonconformance("legacy-03.03", f"the device id is {device:#x}")
    if not subject.pci.bars[0].io:
        raise Nonconformance("legacy-05.01", "BAR 0 is in memory space")


@check("pci-01.01", ways=WAYS)
async def read_only_header_fields_keep_their_value(subject: Subject) -> None:
    """Writes the complement of what it reads to each read-only field of the header.

    Wrong: one of them changes.
    """
    async with saved_configuration(subject.pci):
        for row in HEADER:
            if row.access is not Access.RO or row.name == "expansion_rom":
                continue
            before = await subject.pci.read(row)
            await subject.pci.write(row, ~before & (1 << row.width) - 1)
            if (after := await subject.pci.read(row)) != before:
                await subject.pci.write(row, before)
                raise Nonconformance("pci-01.01", f"{row.name} is {before:#x}, and {after:#x} after a write")


@check("pci-01.01", ways=WAYS)
async def header_reads_the_same_by_every_width(subject: Subject) -> None:
    """Reads the first 256 bytes of configuration space by bytes, words and dwords.

    Wrong: two widths that do not agree.
    """
    window = await _window(subject)
    whole = {at: await config(subject.pci, at) for at in range(0, CONFIG_SPACE_BYTES, 4) if at not in window}
    for at, dword in whole.items():
        for size in (2, 1):
            parts = [await config(subject.pci, at + step, size) for step in range(0, 4, size)]
            value = sum(part << 8 * size * n for n, part in enumerate(parts))
            if value != dword:
                raise Nonconformance("pci-01.01", f"{at:#x} is {dword:#x}, and {value:#x} by {size} bytes")


async def _window(subject: Subject) -> set[int]:
    """The dwords of configuration space whose reading does something."""
    found = set()
    for item in subject.pci.find_capabilities(CapabilityId.VENDOR):
        found.add(item.offset + VIRTIO_CAPABILITY.size)
    return found


@check("pci-01.01", ways=WAYS)
async def capability_list_is_sound(subject: Subject) -> None:
    """Walks the capability list.

    Wrong: a status that does not announce it, an entry below 0x40 or not on a dword, an entry twice, or a
    PCI Express, MSI-X or power management capability more than once.
    """
    if not await subject.pci.read(HEADER.status) & Status.CAPABILITIES_LIST:
        raise Nonconformance("pci-01.01", "the status register says that there are no capabilities")
    seen: list[int] = []
    offset = await subject.pci.read(HEADER.capabilities_pointer)
    kinds: list[int] = []
    while offset:
        if offset < HEADER.size or offset in seen:
            raise Nonconformance("pci-01.01", f"the capability list goes from {seen} to {offset:#x}")
        seen.append(offset)
        word = await config(subject.pci, offset & ~0b11, 2)
        kinds.append(word & 0xFF)
        offset = word >> 8 & ~0b11
    for kind in (
        CapabilityId.PCI_EXPRESS,
        CapabilityId.MSIX,
        CapabilityId.POWER_MANAGEMENT,
        CapabilityId.MSI,
    ):
        if kinds.count(kind) > 1:
            raise Nonconformance("pci-01.01", f"there are {kinds.count(kind)} capabilities of kind {kind:#x}")


@check("pci-01.01", ways=WAYS)
async def base_addresses_have_sizes(subject: Subject) -> None:
    """Writes all ones and all zeroes to each base address register, with decoding disabled.

    Wrong: a size that is no power of two, type bits that can be written, an I/O BAR above 256 bytes, or a
    register that is not implemented and keeps bits.
    """
    pci = subject.pci
    upper = {bar.index + 1 for bar in pci.bars.values() if bar.is_64}
    async with saved_configuration(pci):
        await pci.set_command(clear_bits=Command.MEMORY_ENABLE | Command.IO_ENABLE)
        for index in range(6):
            row = HEADER[f"bar{index}"]
            before = await pci.read(row)
            await pci.write(row, 0xFFFF_FFFF)
            ones = await pci.read(row)
            await pci.write(row, 0)
            zeroes = await pci.read(row)
            await pci.write(row, before)
            bar, low = pci.bars.get(index), 0b1111
            if bar is None and index not in upper and (ones or zeroes):
                raise Nonconformance(
                    "pci-01.01", f"BAR {index} is not there, and reads {ones:#x} and {zeroes:#x}"
                )
            if bar is None:
                continue
            low = 0b11 if bar.io else 0b1111
            if zeroes & ~low or (ones ^ zeroes) & low:
                raise Nonconformance("pci-01.01", f"BAR {index} reads {zeroes:#x} after 0 was written")
            least = ones & ~low & -(ones & ~low)
            limit = 0xFFFF if bar.io and not ones >> 16 else 0xFFFF_FFFF
            if least and (ones & ~low) != limit & -least:
                raise Nonconformance("pci-01.01", f"BAR {index} reads {ones:#x} after all ones were written")
            if bar.io and bar.size > CONFIG_SPACE_BYTES:
                raise Nonconformance("pci-01.01", f"I/O BAR {index} has {bar.size} bytes")


@check("pci-01.01", ways=WAYS)
async def decoding_can_be_disabled(subject: Subject) -> None:
    """Reads the status by the registers' BAR with its decoding disabled, and enabled again.

    Wrong: a BAR that answers while it is disabled, or not afterwards.
    """
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    kind = Command.IO_ENABLE if subject.pci.bars[await _register_bar(subject)].io else Command.MEMORY_ENABLE
    async with saved_configuration(subject.pci):
        await subject.pci.set_command(clear_bits=kind)
        status = await subject.status()
        await subject.pci.set_command(set_bits=kind)
    if status == DeviceStatus.ACKNOWLEDGE:
        raise Nonconformance("pci-01.01", "registers are read while their BAR is disabled")
    if (status := await subject.status()) != DeviceStatus.ACKNOWLEDGE:
        raise Nonconformance("pci-01.01", f"the status is {status:#x} after its BAR was disabled for a while")


async def _register_bar(subject: Subject) -> int:
    if subject.legacy:
        return 0
    return int(subject.structures.places[1].bar)


@check("pci-01.01", ways=WAYS)
async def registers_follow_their_base_address(subject: Subject) -> None:
    """Moves the registers' BAR to another address and back.

    Wrong: they do not answer there, or still at the old place.
    """
    pci = subject.pci
    if not len(pci.port.mmio32):
        raise NotApplicable("base addresses are assigned by the host")
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    bar = pci.bars[await _register_bar(subject)]
    row, place = HEADER[f"bar{bar.index}"], bar.address
    decode = Command.IO_ENABLE if bar.io else Command.MEMORY_ENABLE
    # Far above all others of its window, which begin at its start.
    window = pci.port.io if bar.io else pci.port.mmio64 if place in pci.port.mmio64 else pci.port.mmio32
    bar.address = (window.stop - bar.size) & -bar.size
    async with saved_configuration(pci):
        try:
            await pci.set_command(clear_bits=decode)
            await _put_base(subject, row.name, bar.address, bar.is_64)
            await pci.set_command(set_bits=decode)
            there = await subject.status()
        finally:
            moved, bar.address = bar.address, place
        old = await subject.status()
    if there != DeviceStatus.ACKNOWLEDGE:
        raise Nonconformance("pci-01.01", f"the status at {moved:#x} is {there:#x}")
    if old == DeviceStatus.ACKNOWLEDGE:
        raise Nonconformance("pci-01.01", f"registers still answer at {place:#x} after BAR {bar.index} moved")
    if await subject.status() != DeviceStatus.ACKNOWLEDGE:
        raise Nonconformance("pci-01.01", "registers do not answer after their BAR has come back")


async def _put_base(subject: Subject, name: str, address: int, is_64: bool) -> None:
    row = HEADER[name]
    await subject.pci.write(row, address & 0xFFFF_FFFF)
    if is_64:
        await put_config(subject.pci, row.offset + 4, address >> 32)


@check("pci-01.01", ways=WAYS)
async def no_memory_access_without_bus_mastering(subject: Subject) -> None:
    """Makes work available while bus mastering is disabled, then resets the device and lets it work.

    Wrong: a device that reaches memory without it, or none that works afterwards.
    """
    await subject.start(interrupt="none")
    source = await stimulus(subject)
    queue = subject.queues[source.queue]
    work = source.work(0)
    async with saved_configuration(subject.pci):
        await subject.pci.set_command(clear_bits=Command.BUS_MASTER_ENABLE)
        queue.offer(work.pieces)
        queue.publish()
        await subject.kick(queue)
        await subject.settle()
        used = queue.waiting
    if used:
        raise Nonconformance("pci-01.01", "a buffer is used while bus mastering is disabled")
    await subject.start()
    await (await stimulus(subject)).do(1, "pci-01.01")


@check("pci-01.01", ways=WAYS)
async def function_level_reset_resets_everything(subject: Subject) -> None:
    """Starts the device, resets the function, and sets it up anew.

    Wrong: status, command register or MSI-X survive, identity changes, or the device does not work then.
    """
    pci = subject.pci
    found = pci.find_capabilities(CapabilityId.PCI_EXPRESS)
    able = await pci.read(PCIE_CAPABILITY.device_capabilities, found[0].offset) if found else 0
    if not able & DeviceCapabilities.FUNCTION_LEVEL_RESET:
        raise NotApplicable("there is no function-level reset")
    await subject.start()
    async with saved_configuration(pci):
        await pci.function_level_reset()
        await subject.settle()
        command = await pci.read(HEADER.command)
        masked = [
            await pci.read(MSIX_CAPABILITY.control, item.offset)
            & (MsixControl.ENABLE | MsixControl.FUNCTION_MASK)
            for item in pci.find_capabilities(CapabilityId.MSIX)
        ]
        vendor = await pci.read(HEADER.vendor_id)
    if vendor != pci.id.vendor:
        raise Nonconformance("pci-01.01", f"the vendor is {vendor:#x} after a function-level reset")
    if command & (Command.MEMORY_ENABLE | Command.IO_ENABLE | Command.BUS_MASTER_ENABLE) or any(masked):
        raise Nonconformance("pci-01.01", f"command {command:#x} or MSI-X survives a function-level reset")
    await pci.disable_msix()
    if status := await subject.status():
        raise Nonconformance("pci-01.01", f"the status is {status:#x} after a function-level reset")
    try:
        await subject.start()
        await (await stimulus(subject)).do(1, "pci-01.01")
    except VirtioError as error:
        raise Nonconformance("pci-01.01", f"after a function-level reset: {error}") from None
