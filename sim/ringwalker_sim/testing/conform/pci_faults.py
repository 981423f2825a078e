"""Faults of the PCI function and of its capabilities, for the model in Python."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import (
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    CapabilityType,
)
from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    CapabilityId,
    Command,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl

from .fault import Fault, around
from .register_tap import CONFIG, tap_of

__all__ = ["CAPABILITY_FAULTS", "FUNCTION_FAULTS", "TRANSITIONAL_FAULTS"]

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
