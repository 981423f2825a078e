"""The virtio capabilities and the places that they name. Ref: virtio 1.4, 4.1.4."""

from collections.abc import Awaitable, Callable

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import VENDOR_OASIS
from ringwalker.spec.modern import COMMON, ISR, CapabilityType
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    MSIX_ENTRY_BYTES,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    VIRTIO_VENDOR_CAPABILITY,
    CapabilityId,
)

from ..check import RINGS, Nonconformance, NotApplicable, check
from ..conditions import lacks, offers
from ..pci_view import MsixTable, config, virtio_capabilities
from ..subject import Subject

__all__: list[str] = []

_WIDE_BYTES = VIRTIO_CAPABILITY.size + 8
"""Bytes of a capability with the upper halves of offset and length."""

_LEAST = {
    CapabilityType.NOTIFY: VIRTIO_NOTIFY_CAPABILITY.size,
    CapabilityType.PCI: VIRTIO_PCI_CAPABILITY.size,
    CapabilityType.SHARED_MEMORY: _WIDE_BYTES,
    CapabilityType.VENDOR: VIRTIO_VENDOR_CAPABILITY["vendor_id"].offset + 2,
}
"""Bytes that a capability of a type has at least; the others have those of all."""

_STRUCTURES = (CapabilityType.COMMON, CapabilityType.NOTIFY, CapabilityType.ISR, CapabilityType.DEVICE)
_COMMON_BYTES = COMMON.queue_notif_config_data.offset
"""Bytes of the common configuration that every device has."""
_BARS = range(6)
_SLOWER = 2
"""A structure is clearly less than optimal that takes so many times as long as a later one."""


async def _all(subject: Subject) -> list[tuple[CapabilityType, dict[str, int]]]:
    return [(kind, row) for kind in CapabilityType for row in await virtio_capabilities(subject.pci, kind)]


@check("pci-04.01", "pci-04.02")
async def capability_lengths_hold_their_fields(subject: Subject) -> None:
    """Reads the length of each virtio capability. It may be more than its fields need.

    Wrong: it is less than the fields of its type, goes beyond configuration space, or reaches into another
    capability.
    """
    starts = [item.offset for item in subject.pci.capabilities]
    for kind, row in await _all(subject):
        at, length = row["at"], row["length"]
        least = _LEAST.get(kind, VIRTIO_CAPABILITY.size)
        if length < least:
            raise Nonconformance("pci-04.01", f"the {kind.name} capability has {length} bytes of {least}")
        if at + length > CONFIG_SPACE_BYTES or any(at < start < at + length for start in starts):
            raise Nonconformance(
                "pci-04.01", f"the {kind.name} capability of {length} bytes at {at:#x} reaches too far"
            )


@check("pci-05.02", "pci-06.01", "pci-07.01", "pci-10.01")
async def the_required_structures_are_there(subject: Subject) -> None:
    """Looks for the capabilities of common configuration, notifications, ISR status and the access window.

    Wrong: one is missing.
    """
    for kind, clause in (
        (CapabilityType.COMMON, "pci-05.02"),
        (CapabilityType.NOTIFY, "pci-06.01"),
        (CapabilityType.ISR, "pci-07.01"),
        (CapabilityType.PCI, "pci-10.01"),
    ):
        if not await virtio_capabilities(subject.pci, kind):
            raise Nonconformance(clause, f"there is no capability of type {kind.name}")


@check("pci-05.01", "pci-08.01", "pci-04.02")
async def structures_lie_in_their_bars(subject: Subject) -> None:
    """Reads place and length of each structure; it may be longer than its registers.

    Wrong: a BAR that is not there, a structure that goes beyond it or is shorter than its registers, or one
    of common or device configuration that is not on a dword.
    """
    least = {CapabilityType.COMMON: _COMMON_BYTES, CapabilityType.ISR: ISR.size}
    for kind in _STRUCTURES:
        clause = "pci-08.01" if kind is CapabilityType.DEVICE else "pci-05.01"
        for row in await virtio_capabilities(subject.pci, kind):
            bar = subject.pci.bars.get(row["bar"])
            if row["bar"] not in _BARS:
                continue  # Reserved values are for later versions.
            text = f"{kind.name}: {row['size']} bytes at {row['offset']:#x} of BAR {row['bar']}"
            if bar is None or row["offset"] + row["size"] > bar.size or row["size"] < least.get(kind, 1):
                raise Nonconformance(clause, text)
            if kind in (CapabilityType.COMMON, CapabilityType.DEVICE) and row["offset"] % 4:
                raise Nonconformance(clause, f"{text} is not on a dword")


async def _notifications(subject: Subject) -> list[tuple[dict[str, int], int]]:
    """The notification capabilities, each with its multiplier."""
    return [
        (row, await subject.pci.read(VIRTIO_NOTIFY_CAPABILITY.multiplier, row["at"]))
        for row in await virtio_capabilities(subject.pci, CapabilityType.NOTIFY)
    ]


async def _check_doorbells(subject: Subject, width: int, clauses: tuple[str, str, str, str, str]) -> None:
    """The rules of notification structures, with doorbells of ``width`` bytes.

    ``clauses``: those of alignment, multiplier, least length, length for all queues, and its formula.
    """
    aligned, power, least, enough, formula = clauses
    for row, multiplier in await _notifications(subject):
        if row["offset"] % width:
            raise Nonconformance(aligned, f"the notification structure is at {row['offset']:#x}")
        if multiplier % width or multiplier & (multiplier - 1):
            raise Nonconformance(power, f"the multiplier is {multiplier}")
        if row["size"] < width:
            raise Nonconformance(least, f"the notification structure has {row['size']} bytes")
        for accept in (subject.wanted(), subject.offered & ~(1 << Feature.RING_PACKED) | subject.wanted()):
            await subject.reset()
            await subject.negotiate(accept=accept)
            for index in range(await subject.common("num_queues")):
                end = await subject.registers(index).read("notify_off") * multiplier + width
                if end > row["size"]:
                    clause = formula if accept == subject.wanted() else enough
                    text = f"the doorbell of queue {index} ends at {end} of {row['size']} bytes"
                    raise Nonconformance(clause, text)


@check(
    "pci-06.02",
    "pci-06.03",
    "pci-06.04",
    "pci-06.05",
    "pci-06.06",
    ways=RINGS,
    needs=[lacks(Feature.NOTIFICATION_DATA)],
)
async def doorbells_of_words_fit(subject: Subject) -> None:
    """Reads the notification structure and the place of each queue's doorbell, with few and with all features
    negotiated, of a device without NOTIFICATION_DATA.

    Wrong: an odd place, a multiplier that is no even power of two, or a doorbell outside the structure.
    """
    await _check_doorbells(subject, 2, ("pci-06.02", "pci-06.03", "pci-06.04", "pci-06.05", "pci-06.06"))


@check(
    "pci-06.07",
    "pci-06.08",
    "pci-06.09",
    "pci-06.10",
    "pci-06.11",
    ways=RINGS,
    needs=[offers(Feature.NOTIFICATION_DATA)],
)
async def doorbells_of_dwords_fit(subject: Subject) -> None:
    """Reads the notification structure and the place of each queue's doorbell, with few and with all features
    negotiated, of a device that offers NOTIFICATION_DATA.

    Wrong: a place or a multiplier that is no multiple of 4, or a doorbell outside the structure.
    """
    await _check_doorbells(subject, 4, ("pci-06.08", "pci-06.07", "pci-06.09", "pci-06.10", "pci-06.11"))


@check("pci-04.03")
async def better_structures_come_first(subject: Subject) -> None:
    """Reads through each structure of a type of which there are several, and takes the time.

    Wrong: a first one that takes twice as long as a later one.
    """
    compared = False
    for kind in (CapabilityType.COMMON, CapabilityType.DEVICE):
        rows = [row for row in await virtio_capabilities(subject.pci, kind) if row["bar"] in subject.pci.bars]
        times = [await _time(subject, _reader(subject, row)) for row in rows]
        compared |= len(rows) > 1
        if times and times[0] > _SLOWER * min(times):
            raise Nonconformance("pci-04.03", f"{kind.name} structures take {times} cycles in their order")
    if not compared:
        raise NotApplicable("there is one structure of each type")


def _reader(subject: Subject, row: dict[str, int]) -> Callable[[], Awaitable[int]]:
    return lambda: subject.pci.bar_read(row["bar"], row["offset"], 4)


async def _time(subject: Subject, read: Callable[[], Awaitable[int]]) -> int:
    start = subject.port.now()
    for _ in range(16):
        await read()
    return subject.port.now() - start


@check("pci-09.01", "pci-09.02")
async def shared_memory_regions_are_sound(subject: Subject) -> None:
    """Reads place, length and id of each shared memory region.

    Wrong: a region that goes beyond its BAR, or an id that two have.
    """
    rows = await virtio_capabilities(subject.pci, CapabilityType.SHARED_MEMORY)
    if not rows:
        raise NotApplicable("there is no shared memory")
    seen: set[int] = set()
    for row in rows:
        high = [await config(subject.pci, row["at"] + VIRTIO_CAPABILITY.size + step) for step in (0, 4)]
        start, length = row["offset"] | high[0] << 32, row["size"] | high[1] << 32
        bar = subject.pci.bars.get(row["bar"])
        if bar is None or start + length > bar.size:
            raise Nonconformance("pci-09.01", f"region {row['instance']}: {length} bytes at {start:#x}")
        if row["instance"] in seen:
            raise Nonconformance("pci-09.02", f"two regions have the id {row['instance']}")
        seen.add(row["instance"])


@check("more-03.01", "more-03.02", "more-03.03")
async def vendor_data_is_well_formed(subject: Subject) -> None:
    """Reads each vendor data capability twice.

    Wrong: the vendor of all virtio devices in it, a length that is no multiple of 4, or data that changes
    the device when it is read.
    """
    rows = await virtio_capabilities(subject.pci, CapabilityType.VENDOR)
    if not rows:
        raise NotApplicable("there is no vendor data")
    for row in rows:
        at, length = row["at"], row["length"]
        vendor = await subject.pci.read(VIRTIO_VENDOR_CAPABILITY.vendor_id, at)
        if vendor == VENDOR_OASIS:
            raise Nonconformance("more-03.01", f"the vendor is {vendor:#x}")
        if length % 4:
            raise Nonconformance("more-03.02", f"it has {length} bytes")
        first, second = [
            [await config(subject.pci, at + step) for step in range(0, length, 4)] for _ in range(2)
        ]
        if first != second or await subject.status():
            raise Nonconformance("more-03.03", f"it reads {first}, and then {second}")


@check("pci-01.01")
async def msix_table_lies_in_its_bar(subject: Subject) -> None:
    """Reads where the MSI-X table and its pending bits are.

    Wrong: one of them goes beyond its BAR, or they overlap.
    """
    if not subject.pci.find_capabilities(CapabilityId.MSIX):
        raise NotApplicable("there is no MSI-X")
    places = []
    table = await MsixTable(subject.pci).find()
    pending = -(-table.size // 64) * 8
    for bar, base, size in (
        (table.bar, table.base, table.size * MSIX_ENTRY_BYTES),
        (table.pending_bar, table.pending_base, pending),
    ):
        if bar not in subject.pci.bars or base + size > subject.pci.bars[bar].size:
            raise Nonconformance("pci-01.01", f"MSI-X: {size} bytes at {base:#x} of BAR {bar}")
        places.append((bar, base, base + size))
    (bar, start, end), (other, low, high) = places
    if bar == other and start < high and low < end:
        raise Nonconformance(
            "pci-01.01", f"the MSI-X table and its pending bits overlap at {max(start, low):#x}"
        )
