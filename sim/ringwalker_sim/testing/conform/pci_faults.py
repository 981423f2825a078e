"""Faults of the PCI function, its capabilities and its interrupts, for the model in Python."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR,
    ISR_BASE,
    NO_VECTOR,
    CapabilityType,
)
from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    CapabilityId,
    Command,
    MsixControl,
    Status,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl

from .fault import Fault, around
from .register_faults import common_writes
from .register_tap import CONFIG, tap_of

__all__ = ["CAPABILITY_FAULTS", "FUNCTION_FAULTS", "INTERRUPT_FAULTS", "TRANSITIONAL_FAULTS"]

_PLACES = {
    CapabilityType.COMMON: "common",
    CapabilityType.NOTIFY: "notify",
    CapabilityType.ISR: "isr",
    CapabilityType.DEVICE: "device",
    CapabilityType.PCI: "window",
}


def _header(name: str, change: Callable[[int], int]) -> Callable[[Any], None]:
    """A register of the header reads wrongly."""
    return lambda port: tap_of(port).reads(HEADER, name, change)


def _changes_later(name: str) -> Callable[[Any], None]:
    """A register of the header reads as something else from the second time on."""

    def patch(port: Any) -> None:
        reads = [0]

        def change(value: int) -> int:
            reads[0] += 1
            return value + (reads[0] > 1) * (reads[0] - 1)

        tap_of(port).reads(HEADER, name, change)

    return patch


def _says(kind: CapabilityType, **values: int) -> Callable[[Any], None]:
    """A virtio capability that says something else."""

    def patch(port: Any) -> None:
        place = port.space.layout.places[_PLACES[kind]]
        for name, value in values.items():
            row = VIRTIO_NOTIFY_CAPABILITY[name]
            at = place + row.offset
            port.space.bytes[at : at + row.size] = value.to_bytes(row.size, "little")

    return patch


# --- the function ------------------------------------------------------------------------------------------


def _writable(name: str) -> Callable[[Any], None]:
    def patch(port: Any) -> None:
        port.space.writable[HEADER[name].offset] = 0xFF

    return patch


def _bytes_differ(port: Any) -> None:
    at = HEADER["class"].offset
    tap_of(port).read(CONFIG, at, 1, lambda value, size: value ^ 1 if size == 1 else value)


def _always(*flags: Command) -> Callable[[Any], None]:
    """Bits of the command register that are of no effect: they count as set."""

    def patch(port: Any) -> None:
        around(port.space, "command", lambda read: read() | sum(flags))

    return patch


def _stays_where_it_was(port: Any) -> None:
    found: dict[tuple[int, int, bool], Any] = {}

    def locate(method: Callable[..., Any], address: int, size: int, io: bool = False) -> Any:
        place = method(address, size, io) or found.get((address, size, io))
        if place is not None:
            found[address, size, io] = place
        return place

    around(port.space, "locate", locate)


def _two_of_a_kind(port: Any) -> None:
    port.space.bytes[port.space.layout.places["pm"]] = CapabilityId.PCI_EXPRESS


def _no_function_level_reset(port: Any) -> None:
    at = port.space.layout.places["pcie"] + PCIE_CAPABILITY.device_control.offset
    mask = ~int(DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)
    tap_of(port).write(CONFIG, at, 2, lambda value, _size: value & mask)


FUNCTION_FAULTS = (
    Fault("the id changes", "ids_name_a_virtio_device", "pci-02.02", _changes_later("device_id")),
    Fault("the subsystem changes", "subsystem_ids_are_free", "pci-01.01", _changes_later("subsystem_id")),
    Fault(
        "a modern device has revision 0",
        "a_modern_device_is_told_from_a_legacy_one",
        "pci-02.05",
        _header("revision_id", lambda _value: 0),
    ),
    Fault(
        "the revision can be written",
        "read_only_header_fields_keep_their_value",
        "pci-01.01",
        _writable("revision_id"),
    ),
    Fault("bytes differ from dwords", "header_reads_the_same_by_every_width", "pci-01.01", _bytes_differ),
    Fault("two capabilities of PCI Express", "capability_list_is_sound", "pci-01.01", _two_of_a_kind),
    Fault(
        "a base address keeps a bit",
        "base_addresses_have_sizes",
        "pci-01.01",
        _header(f"bar{FACE_BAR}", lambda value: value if value >> 4 else value | 0x100),
    ),
    Fault(
        "BARs cannot be disabled",
        "decoding_can_be_disabled",
        "pci-01.01",
        _always(Command.MEMORY_ENABLE, Command.IO_ENABLE),
    ),
    Fault(
        "registers answer at their old address",
        "registers_follow_their_base_address",
        "pci-01.01",
        _stays_where_it_was,
    ),
    Fault(
        "bus mastering cannot be disabled",
        "no_memory_access_without_bus_mastering",
        "pci-01.01",
        _always(Command.BUS_MASTER_ENABLE),
    ),
    Fault(
        "a function-level reset does nothing",
        "function_level_reset_resets_everything",
        "pci-01.01",
        _no_function_level_reset,
    ),
)

TRANSITIONAL_FAULTS = (
    Fault(
        "a transitional device has revision 1",
        "a_transitional_device_looks_like_a_legacy_one",
        "legacy-03.01",
        _header("revision_id", lambda _value: 1),
    ),
)


# --- capabilities ------------------------------------------------------------------------------------------


def _slow_first(port: Any) -> None:
    """A second, faster common configuration stands in front of the device's."""
    _says(CapabilityType.DEVICE, type=CapabilityType.COMMON)(port)
    read = port.memory_read

    async def slow(address: int, size: int) -> int:
        place = port.space.locate(address, size)
        if place is not None and place == (FACE_BAR, COMMON_BASE):
            await port.sleep(200)
        return await read(address, size)

    port.memory_read = slow


def _tables_overlap(port: Any) -> None:
    at = port.space.layout.places["msix"]
    table, pending = at + MSIX_CAPABILITY.table.offset, at + MSIX_CAPABILITY.pba.offset
    port.space.bytes[pending : pending + 4] = port.space.bytes[table : table + 4]


def _doorbells(offers: bool, multiplier: int) -> Callable[[Any], None]:
    """Doorbells ``multiplier`` bytes apart, of a device that offers NOTIFICATION_DATA or not."""

    def patch(port: Any) -> None:
        feature = 1 << Feature.NOTIFICATION_DATA
        port.model.features = port.model.features & ~feature | (feature if offers else 0)
        _says(CapabilityType.NOTIFY, multiplier=multiplier)(port)

    return patch


def _window(change: Callable[[int, int], int | None], writing: bool = True) -> Callable[[Any], None]:
    def patch(port: Any) -> None:
        at = port.space.layout.places["window"] + VIRTIO_PCI_CAPABILITY.window.offset
        tap: Any = tap_of(port)
        (tap.write if writing else tap.read)(CONFIG, at, 4, change)

    return patch


CAPABILITY_FAULTS = (
    Fault(
        "a capability is shorter than its fields",
        "capability_lengths_hold_their_fields",
        "pci-04.01",
        _says(CapabilityType.NOTIFY, length=VIRTIO_CAPABILITY.size),
    ),
    Fault(
        "there is no access window",
        "the_required_structures_are_there",
        "pci-10.01",
        _says(CapabilityType.PCI, type=6),
    ),
    Fault(
        "device configuration is at an odd word",
        "structures_lie_in_their_bars",
        "pci-08.01",
        _says(CapabilityType.DEVICE, offset=DEVICE_BASE + 2),
    ),
    Fault(
        "the multiplier is 3",
        "doorbells_of_words_fit",
        "pci-06.03",
        _doorbells(False, 3),
    ),
    Fault(
        "doorbells of dwords are 2 bytes apart", "doorbells_of_dwords_fit", "pci-06.07", _doorbells(True, 2)
    ),
    Fault("the slower structure comes first", "better_structures_come_first", "pci-04.03", _slow_first),
    Fault(
        "shared memory goes beyond its BAR",
        "shared_memory_regions_are_sound",
        "pci-09.01",
        _says(CapabilityType.DEVICE, type=CapabilityType.SHARED_MEMORY),
    ),
    Fault(
        "vendor data has the vendor of all",
        "vendor_data_is_well_formed",
        "more-03.01",
        _says(CapabilityType.DEVICE, type=CapabilityType.VENDOR, bar=0xF4, instance=0x1A),
    ),
    Fault("MSI-X table and pending bits overlap", "msix_table_lies_in_its_bar", "pci-01.01", _tables_overlap),
    Fault(
        "device configuration is too short",
        "configuration_has_the_fields_of_the_features",
        "pci-08.01",
        _says(CapabilityType.DEVICE, size=8),
    ),
    Fault(
        "the window reads 0",
        "the_window_reads_registers",
        "pci-10.03",
        _window(lambda _value, _size: 0, writing=False),
    ),
    Fault(
        "the window writes no dword",
        "the_window_writes_registers",
        "pci-10.02",
        _window(lambda value, size: None if size == 4 else value),
    ),
    Fault(
        "the window writes no byte",
        "the_window_alone_drives_the_device",
        "pci-10.02",
        _window(lambda value, size: None if size == 1 else value),
    ),
)


# --- interrupts --------------------------------------------------------------------------------------------


def _isr(change: Callable[[int], int]) -> Callable[[Any], None]:
    return lambda port: tap_of(port).reads(ISR, "isr_status", change, ISR_BASE)


def _isr_is_kept(port: Any) -> None:
    seen = [0]

    def read(value: int) -> int:
        seen[0] |= value
        return seen[0]

    _isr(read)(port)


def _interrupt_status_stays(port: Any) -> None:
    """Interrupt Status goes by a read of the ISR status only."""
    up = [0]

    def handler(method: Callable[..., None], callback: Callable[[], None]) -> None:
        def asserted() -> None:
            up[0] = int(Status.INTERRUPT_STATUS)
            callback()

        method(asserted)

    def isr(value: int) -> int:
        up[0] = 0
        return value

    around(port, "intx_handler", handler)
    tap_of(port).reads(HEADER, "status", lambda value: value | up[0])
    _isr(isr)(port)


def _intx_with_msix(port: Any) -> None:
    handlers: list[Callable[[], None]] = []

    def handler(method: Callable[..., None], callback: Callable[[], None]) -> None:
        handlers.append(callback)
        method(callback)

    def doorbell(value: int, _size: int) -> int:
        for callback in handlers:
            port.schedule(50, callback)
        return value

    around(port, "intx_handler", handler)
    tap_of(port).doorbells(doorbell)


def _no_mask(port: Any) -> None:
    control = MSIX_TABLE_ENTRY.vector_control.offset

    def write(value: int, _size: int) -> int:
        return value & ~1

    for vector in range(port.config.vectors):
        tap_of(port).write(1, vector * MSIX_ENTRY_BYTES + control, 4, write)


def _vector_survives(port: Any) -> None:
    tap = tap_of(port)
    tap.shown(COMMON, "config_msix_vector", lambda value: value)


def _vector_is_shown(name: str, wrong: int, instead: int | None) -> Callable[[Any], None]:
    """A vector ``wrong`` reads as it was written; the device takes ``instead``."""
    return lambda port: tap_of(port).shown(COMMON, name, lambda value: instead if value == wrong else value)


INTERRUPT_FAULTS = (
    Fault(
        "one vector",
        "the_table_has_a_sensible_size",
        "pci-11.01",
        lambda port: tap_of(port).read(
            CONFIG,
            port.space.layout.places["msix"] + MSIX_CAPABILITY.control.offset,
            2,
            lambda value, _size: value & ~int(MsixControl.TABLE_SIZE),
        ),
    ),
    Fault(
        "configuration changes take vector 0 only",
        "any_event_takes_any_vector",
        "pci-11.04",
        common_writes("config_msix_vector", lambda _tap, value: NO_VECTOR if value else value),
    ),
    Fault(
        "a vector that is not there is shown",
        "vectors_that_are_not_there_cannot_be_had",
        "pci-11.09",
        _vector_is_shown("config_msix_vector", 0x800, None),
    ),
    Fault("vectors survive a reset", "a_reset_unmaps_all_events", "pci-11.07", _vector_survives),
    Fault(
        "a queue without a vector sends its message",
        "a_queue_uses_the_vector_it_has",
        "pci-12.01",
        _vector_is_shown("queue_msix_vector", NO_VECTOR, None),
    ),
    Fault("masks have no effect", "a_masked_vector_waits", "pci-01.01", _no_mask),
    Fault(
        "a queue cannot share vector 0",
        "events_can_share_a_vector",
        "core-09.03",
        _vector_is_shown("queue_msix_vector", 0, NO_VECTOR),
    ),
    Fault(
        "changes without a vector are sent",
        "changes_are_notified_of_by_msix",
        "pci-13.01",
        _vector_is_shown("config_msix_vector", NO_VECTOR, None),
    ),
    Fault(
        "the ISR status hides changes",
        "changes_are_notified_of_by_intx",
        "pci-07.02",
        _isr(lambda value: value & 1),
    ),
    Fault("the ISR status is not cleared", "a_used_buffer_asserts_intx", "pci-07.05", _isr_is_kept),
    Fault(
        "INTx Disable has no effect",
        "intx_can_be_disabled",
        "pci-01.01",
        lambda port: tap_of(port).writes(HEADER, "command", lambda value: value & ~int(Command.INTX_DISABLE)),
    ),
    Fault(
        "a reset leaves the interrupt",
        "a_reset_takes_the_interrupt_back",
        "core-03.02",
        _interrupt_status_stays,
    ),
    Fault("INTx beside MSI-X", "no_intx_with_msix", "pci-01.01", _intx_with_msix),
)
