"""What configuration space holds for a given configuration: plain data, no logic.

The RTL, the register reference and ``lspci`` all take it from here.

Ref: PCI 3.0, 6.2 (header), 6.7 (capability list), 6.8.2 (MSI-X); PCIe 3.1, 7.8; virtio 1.4, 4.1.4
"""

from dataclasses import replace
from typing import Any

from ..pci_options import SMALLEST_ROM
from ..spec.fields import FIELDS_VERSION
from ..spec.ids import VENDOR_2007
from ..spec.modern import (
    MSIX_BAR,
    NOTIFY_MULTIPLIER,
    CapabilityType,
)
from ..spec.pci import (
    CONFIG_SPACE_BYTES,
    EXPANSION_ROM,
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    PM_CAPABILITY,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    VIRTIO_VENDOR_CAPABILITY,
    CapabilityId,
    Command,
    ExpansionRom,
    InterruptPin,
    MsixControl,
    MsixTableOffset,
    PmCapabilities,
    PmControlStatus,
    Status,
)
from ..spec.pci_extended import ExtendedHeader
from ..spec.pcie import (
    PCIE_CAPABILITY,
    DeviceCapabilities,
    DeviceCapabilities2,
    DeviceControl,
    DeviceControl2,
    LinkCapabilities,
    LinkCapabilities2,
    LinkControl,
    LinkControl2,
    LinkStatus,
    PcieCapabilities,
    PcieDeviceStatus,
)
from ..transport.face import Window
from ..transport.faces import face_windows
from .bar import Bar
from .endpoint import EdgeConfig, EndpointConfig
from .optional import advanced_errors, msi, serial_number
from .structure import Dword, Layout, Structure, joined_dwords, placed

__all__ = [
    "FIRST_CAPABILITY",
    "Bar",
    "Dword",
    "Layout",
    "Structure",
    "bars",
    "encode_bytes",
    "expansion_rom",
    "layout",
    "msix_bar",
    "msix_pba_offset",
    "register_windows",
]

FIRST_CAPABILITY = 0x40
"""Offset of the first capability: directly after the header."""

TIMEOUT_ABILITIES = DeviceCapabilities2.TIMEOUT_RANGES | DeviceCapabilities2.TIMEOUT_DISABLE
"""Device capabilities 2 of a device whose completion time-out software can choose: all four ranges."""

LINK_GENERATION = 3
LINK_LANES = 8
"""What the link registers report; a hard block that has link registers of its own overrides them."""

_BAR_PAGE = 0x1000


def _round_up_power(value: int) -> int:
    return 1 << (value - 1).bit_length()


def encode_bytes(size: int) -> int:
    """The code of a maximum payload or read request size: 0 for 128 bytes, 5 for 4096."""
    return size.bit_length() - 8


def msix_pba_offset(config: EdgeConfig) -> int:
    """Where in its BAR the pending bit array starts, in bytes: a power of two after the table."""
    return max(_BAR_PAGE // 2, _round_up_power(config.vectors * MSIX_ENTRY_BYTES))


def register_windows(config: EdgeConfig) -> tuple[Window, ...]:
    """Where in the BARs registers are, other than those of MSI-X."""
    return config.windows if isinstance(config, EndpointConfig) else face_windows(config)


def msix_bar(config: EdgeConfig) -> int:
    """The BAR of the MSI-X table."""
    return config.msix_bar if isinstance(config, EndpointConfig) else MSIX_BAR


def bars(config: EdgeConfig) -> tuple[Bar, ...]:
    """The base address registers of a device, by index."""
    pba_end = msix_pba_offset(config) + (config.vectors + 63) // 64 * 8
    result = [Bar(msix_bar(config), max(_BAR_PAGE, _round_up_power(pba_end)))]
    windows = register_windows(config)
    for index in {window.bar for window in windows}:
        mine = [window for window in windows if window.bar == index]
        io, end = mine[0].io, max(window.base + window.size for window in mine)
        size = _round_up_power(end if io else max(end, _BAR_PAGE))
        result.append(Bar(index, size, io=io, is_64=mine[0].is_64 and not io))
    return tuple(sorted(result, key=lambda bar: bar.index))


def expansion_rom(config: EdgeConfig) -> tuple[Bar, ...]:
    """The base address register of the expansion ROM, if there is one."""
    size = len(config.pci.rom_content)
    return (Bar(EXPANSION_ROM, max(SMALLEST_ROM, _round_up_power(size))),) if size else ()


def _header(config: EdgeConfig) -> Structure:
    identity = config.resolved_identity
    class_code: Any = identity.class_code
    values: dict[str, Any] = {
        "vendor_id": identity.vendor,
        "device_id": identity.device,
        "status": Status.CAPABILITIES_LIST,
        "revision_id": identity.revision,
        "programming_interface": class_code & 0xFF,
        "subclass": class_code >> 8 & 0xFF,
        "class": class_code >> 16,
        "subsystem_vendor_id": identity.subsystem_vendor,
        "subsystem_id": identity.subsystem,
        "capabilities_pointer": FIRST_CAPABILITY,
        "interrupt_pin": InterruptPin.INTA,
    }
    writable: dict[str, int] = {
        "command": Command.IO_ENABLE
        | Command.MEMORY_ENABLE
        | Command.BUS_MASTER_ENABLE
        | Command.PARITY_ERROR_RESPONSE
        | Command.SERR_ENABLE
        | Command.INTX_DISABLE,
        "cache_line_size": 0xFF,
        "interrupt_line": 0xFF,
    }
    for bar in bars(config):
        values[f"bar{bar.index}"] = bar.type_bits
        writable[f"bar{bar.index}"] = bar.writable
        if bar.is_64:
            writable[f"bar{bar.index + 1}"] = 0xFFFFFFFF
    for bar in expansion_rom(config):
        writable["expansion_rom"] = bar.writable | ExpansionRom.ENABLE
    errors = (
        Status.MASTER_DATA_PARITY_ERROR
        | Status.SIGNALED_TARGET_ABORT
        | Status.RECEIVED_TARGET_ABORT
        | Status.RECEIVED_MASTER_ABORT
        | Status.SIGNALED_SYSTEM_ERROR
        | Status.DETECTED_PARITY_ERROR
    )
    return Structure("header", 0, HEADER, values, writable, {"status": errors})


def _power_management(offset: int) -> Structure:
    values: dict[str, int] = {
        "id": CapabilityId.POWER_MANAGEMENT,
        "capabilities": placed(PmCapabilities.VERSION, 3),
        "control_status": PmControlStatus.NO_SOFT_RESET,
    }
    return Structure("pm", offset, PM_CAPABILITY, values, {"control_status": PmControlStatus.POWER_STATE})


def _msix(offset: int, config: EdgeConfig) -> Structure:
    values: dict[str, int] = {
        "id": CapabilityId.MSIX,
        "control": placed(MsixControl.TABLE_SIZE, config.vectors - 1),
        "table": placed(MsixTableOffset.BAR, msix_bar(config)),
        "pba": msix_pba_offset(config) | placed(MsixTableOffset.BAR, msix_bar(config)),
    }
    writable = {"control": MsixControl.FUNCTION_MASK | MsixControl.ENABLE}
    return Structure("msix", offset, MSIX_CAPABILITY, values, writable)


def _pcie(offset: int, config: EdgeConfig) -> Structure:
    tags = config.pci.tags
    able, control_2 = 0, 0
    if config.pci.timeout_ranges:
        able |= TIMEOUT_ABILITIES
        control_2 |= DeviceControl2.TIMEOUT | DeviceControl2.TIMEOUT_DISABLE
    if tags == 10:
        able |= DeviceCapabilities2.TEN_BIT_TAG_COMPLETER | DeviceCapabilities2.TEN_BIT_TAG_REQUESTER
        control_2 |= DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE
    values: dict[str, int] = {
        "id": CapabilityId.PCI_EXPRESS,
        "capabilities": placed(PcieCapabilities.VERSION, 2),
        "device_capabilities": placed(
            DeviceCapabilities.MAX_PAYLOAD_SUPPORTED, encode_bytes(config.max_payload)
        )
        | (DeviceCapabilities.EXTENDED_TAG if tags > 5 else 0)
        | DeviceCapabilities.ROLE_BASED_ERROR_REPORTING
        | DeviceCapabilities.FUNCTION_LEVEL_RESET,
        "link_capabilities": placed(LinkCapabilities.SPEED, LINK_GENERATION)
        | placed(LinkCapabilities.WIDTH, LINK_LANES)
        | LinkCapabilities.ASPM_OPTIONALITY,
        "link_status": placed(LinkStatus.SPEED, LINK_GENERATION) | placed(LinkStatus.WIDTH, LINK_LANES),
        "device_capabilities_2": able,
        "link_capabilities_2": placed(LinkCapabilities2.SPEEDS, (1 << LINK_GENERATION) - 1),
        "link_control_2": placed(LinkControl2.TARGET_SPEED, LINK_GENERATION),
    }
    control = DeviceControl(0)
    for flag in DeviceControl:
        control |= flag
    control |= DeviceControl.MAX_PAYLOAD_SIZE | DeviceControl.MAX_READ_REQUEST_SIZE
    writable: dict[str, int] = {
        "device_control": control & ~DeviceControl.INITIATE_FUNCTION_LEVEL_RESET,
        "link_control": LinkControl.ASPM
        | LinkControl.READ_COMPLETION_BOUNDARY
        | LinkControl.COMMON_CLOCK
        | LinkControl.EXTENDED_SYNCH,
        "link_control_2": LinkControl2.TARGET_SPEED,
    }
    if control_2:
        writable["device_control_2"] = control_2
    if tags == 5:
        writable["device_control"] &= ~DeviceControl.EXTENDED_TAG_ENABLE
    w1c: dict[str, int] = {
        "device_status": PcieDeviceStatus.CORRECTABLE_ERROR
        | PcieDeviceStatus.NON_FATAL_ERROR
        | PcieDeviceStatus.FATAL_ERROR
        | PcieDeviceStatus.UNSUPPORTED_REQUEST
    }
    # Ref: PCIe 3.1, 6.6.2: what belongs to the link is not the function's to reset.
    kept: dict[str, int] = {
        "device_control": DeviceControl.MAX_PAYLOAD_SIZE,
        "link_control": writable["link_control"],
        "link_control_2": writable["link_control_2"],
    }
    return Structure("pcie", offset, PCIE_CAPABILITY, values, writable, w1c, kept)


def _virtio(window: Window, offset: int) -> Structure:
    """The capability that says where ``window`` is."""
    kind = window.capability
    assert kind is not None
    values: dict[str, int] = {
        "id": CapabilityId.VENDOR,
        "type": kind,
        "bar": window.bar,
        "offset": window.base,
        "size": window.size,
    }
    writable: dict[str, int] = {}
    table = VIRTIO_CAPABILITY
    if kind is CapabilityType.NOTIFY:
        table = VIRTIO_NOTIFY_CAPABILITY
        values["multiplier"] = NOTIFY_MULTIPLIER
    elif kind is CapabilityType.PCI:
        table = VIRTIO_PCI_CAPABILITY
        writable = {"bar": 0xFF, "offset": 0xFFFFFFFF, "size": 0xFFFFFFFF}
    elif kind is CapabilityType.VENDOR:
        table = VIRTIO_VENDOR_CAPABILITY
        values |= {"vendor_id": VENDOR_2007, "version": FIELDS_VERSION}
    return Structure(f"virtio_{kind.name.lower()}", offset, table, {**values, "length": table.size}, writable)


def layout(config: EdgeConfig) -> Layout:
    """The whole of configuration space for ``config``. Errors: ``ValueError`` if it is over 256 bytes."""
    structures = [_header(config)]
    offset = FIRST_CAPABILITY

    def add(structure: Structure) -> None:
        nonlocal offset
        structures.append(structure)
        offset = structure.offset + structure.size

    add(_power_management(offset))
    if config.pci.msi:
        add(msi(offset, config.pci.msi))
    add(_msix(offset, config))
    add(_pcie(offset, config))
    windows = [*register_windows(config)]
    if config.has_modern:
        # The window of configuration space names no place until software writes one.
        windows.append(Window("window", 0, 0, 0, CapabilityType.PCI))
    named = [window for window in windows if window.capability is not None]
    for window in sorted(named, key=lambda window: window.capability or 0):
        add(_virtio(window, offset))
    if offset > CONFIG_SPACE_BYTES:
        raise ValueError(f"the capabilities end at {offset:#x}, after {CONFIG_SPACE_BYTES:#x}")
    for n in range(1, len(structures) - 1):
        linked = {**structures[n].values, "next": structures[n + 1].offset}
        structures[n] = replace(structures[n], values=linked)
    extended = _extended(config)
    end = extended[-1].offset + extended[-1].size if extended else CONFIG_SPACE_BYTES
    dwords = joined_dwords([*structures, *extended], end // 4)
    return Layout(bars(config), tuple(structures), extended, dwords)


def _extended(config: EdgeConfig) -> tuple[Structure, ...]:
    """The extended capabilities that were chosen, each linked to the next."""
    found: list[Structure] = []
    offset = CONFIG_SPACE_BYTES
    if config.pci.aer:
        found.append(advanced_errors(offset))
        offset += found[-1].size
    if config.pci.serial_number is not None:
        found.append(serial_number(offset, config.pci.serial_number))
    for n, structure in enumerate(found[:-1]):
        header = structure.values["header"] | placed(ExtendedHeader.NEXT, found[n + 1].offset)
        found[n] = replace(structure, values={**structure.values, "header": header})
    return tuple(found)
