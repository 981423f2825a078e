"""What configuration space holds for a given configuration: plain data, no logic.

The RTL, the register reference and ``lspci`` all take it from here.

Ref: PCI 3.0, 6.2 (header), 6.7 (capability list), 6.8.2 (MSI-X); PCIe 3.1, 7.8; virtio 1.4, 4.1.4
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..config import DeviceConfig
from ..spec.fields import FIELDS_VERSION
from ..spec.ids import VENDOR_2007
from ..spec.modern import (
    MSIX_BAR,
    NOTIFY_MULTIPLIER,
    CapabilityType,
)
from ..spec.pci import (
    CONFIG_SPACE_BYTES,
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    PCIE_CAPABILITY,
    PM_CAPABILITY,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    VIRTIO_VENDOR_CAPABILITY,
    CapabilityId,
    Command,
    DeviceCapabilities,
    DeviceControl,
    InterruptPin,
    LinkCapabilities,
    LinkCapabilities2,
    LinkControl,
    LinkControl2,
    LinkStatus,
    MsixControl,
    MsixTableOffset,
    PcieCapabilities,
    PcieDeviceStatus,
    PmCapabilities,
    PmControlStatus,
    Status,
)
from ..spec.registers import RegisterTable
from ..transport.face import Window
from ..transport.faces import face_windows
from .bar import Bar

__all__ = [
    "FIRST_CAPABILITY",
    "Bar",
    "Dword",
    "Layout",
    "Structure",
    "bars",
    "encode_bytes",
    "layout",
    "msix_pba_offset",
]

FIRST_CAPABILITY = 0x40
"""Offset of the first capability: directly after the header."""

LINK_GENERATION = 3
LINK_LANES = 8
"""What the link registers report; a hard block that has link registers of its own overrides them."""

_BAR_PAGE = 0x1000


@dataclass(frozen=True)
class Dword:
    """Four bytes of configuration space: value after reset, and which bits a write sets or clears.

    ``w1c`` bits are cleared by writing 1. ``writable`` and ``w1c`` have no bit in common. A function-level
    reset leaves those bits of ``writable`` alone that are in ``kept``.
    """

    reset: int = 0
    writable: int = 0
    w1c: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Structure:
    """The header or a capability: where it stands, its table, and for each register its value and masks.

    ``values``, ``writable``, ``w1c`` and ``kept`` are by register name; what they leave out is 0 (``values``:
    the reset value of the table).
    """

    name: str
    offset: int
    table: RegisterTable
    values: Mapping[str, int] = field(default_factory=dict)
    writable: Mapping[str, int] = field(default_factory=dict)
    w1c: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        for masks in (self.values, self.writable, self.w1c, self.kept):
            for register, value in masks.items():
                if not 0 <= value < 1 << self.table[register].width:
                    raise ValueError(f"{self.name}.{register}: {value:#x} does not fit")

    @property
    def size(self) -> int:
        """Bytes, rounded up to whole dwords."""
        return (self.table.size + 3) & ~3

    def locate(self, register: str) -> tuple[int, int, int]:
        """Dword number in configuration space, lowest bit in it, and width in bits of a register."""
        row = self.table[register]
        offset = self.offset + row.offset
        return offset // 4, offset % 4 * 8, row.width


@dataclass(frozen=True)
class Layout:
    """All of configuration space: ``structures`` in the order of the capability list, ``dwords`` 0 to 63."""

    bars: tuple[Bar, ...]
    structures: tuple[Structure, ...]
    dwords: tuple[Dword, ...]

    def __getitem__(self, name: str) -> Structure:
        for structure in self.structures:
            if structure.name == name:
                return structure
        raise KeyError(f"configuration space has no structure {name!r}")

    @property
    def capabilities(self) -> tuple[Structure, ...]:
        """The structures without the header."""
        return self.structures[1:]


def _round_up_power(value: int) -> int:
    return 1 << (value - 1).bit_length()


def _field(mask: int, value: int) -> int:
    """``value`` in the place of the contiguous ones of ``mask``."""
    placed = value * (mask & -mask)
    if placed & ~mask:
        raise ValueError(f"{value} does not fit the field {mask:#x}")
    return int(placed)


def encode_bytes(size: int) -> int:
    """The code of a maximum payload or read request size: 0 for 128 bytes, 5 for 4096."""
    return size.bit_length() - 8


def msix_pba_offset(config: DeviceConfig) -> int:
    """Where in BAR1 the pending bit array starts, in bytes: a power of two after the table."""
    return max(_BAR_PAGE // 2, _round_up_power(config.vectors * MSIX_ENTRY_BYTES))


def bars(config: DeviceConfig) -> tuple[Bar, ...]:
    """The base address registers of a device, by index."""
    pba_end = msix_pba_offset(config) + (config.vectors + 63) // 64 * 8
    result = [Bar(MSIX_BAR, max(_BAR_PAGE, _round_up_power(pba_end)))]
    windows = face_windows(config)
    for index in {window.bar for window in windows}:
        mine = [window for window in windows if window.bar == index]
        size = _round_up_power(max(window.base + window.size for window in mine))
        result.append(Bar(index, size, io=mine[0].io, is_64=not mine[0].io))
    return tuple(sorted(result, key=lambda bar: bar.index))


def _header(config: DeviceConfig) -> Structure:
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
        "capabilities": _field(PmCapabilities.VERSION, 3),
        "control_status": PmControlStatus.NO_SOFT_RESET,
    }
    return Structure("pm", offset, PM_CAPABILITY, values, {"control_status": PmControlStatus.POWER_STATE})


def _msix(offset: int, config: DeviceConfig) -> Structure:
    values: dict[str, int] = {
        "id": CapabilityId.MSIX,
        "control": _field(MsixControl.TABLE_SIZE, config.vectors - 1),
        "table": _field(MsixTableOffset.BAR, MSIX_BAR),
        "pba": msix_pba_offset(config) | _field(MsixTableOffset.BAR, MSIX_BAR),
    }
    writable = {"control": MsixControl.FUNCTION_MASK | MsixControl.ENABLE}
    return Structure("msix", offset, MSIX_CAPABILITY, values, writable)


def _pcie(offset: int, config: DeviceConfig) -> Structure:
    values: dict[str, int] = {
        "id": CapabilityId.PCI_EXPRESS,
        "capabilities": _field(PcieCapabilities.VERSION, 2),
        "device_capabilities": _field(
            DeviceCapabilities.MAX_PAYLOAD_SUPPORTED, encode_bytes(config.max_payload)
        )
        | DeviceCapabilities.EXTENDED_TAG
        | DeviceCapabilities.ROLE_BASED_ERROR_REPORTING
        | DeviceCapabilities.FUNCTION_LEVEL_RESET,
        "link_capabilities": _field(LinkCapabilities.SPEED, LINK_GENERATION)
        | _field(LinkCapabilities.WIDTH, LINK_LANES)
        | LinkCapabilities.ASPM_OPTIONALITY,
        "link_status": _field(LinkStatus.SPEED, LINK_GENERATION) | _field(LinkStatus.WIDTH, LINK_LANES),
        "link_capabilities_2": _field(LinkCapabilities2.SPEEDS, (1 << LINK_GENERATION) - 1),
        "link_control_2": _field(LinkControl2.TARGET_SPEED, LINK_GENERATION),
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


def _dwords(structures: list[Structure], count: int) -> tuple[Dword, ...]:
    reset, writable, w1c, kept = ([0] * count for _ in range(4))
    for structure in structures:
        for row in structure.table:
            dword, shift, _width = structure.locate(row.name)
            reset[dword] |= int(structure.values.get(row.name, row.reset)) << shift
            writable[dword] |= int(structure.writable.get(row.name, 0)) << shift
            w1c[dword] |= int(structure.w1c.get(row.name, 0)) << shift
            kept[dword] |= int(structure.kept.get(row.name, 0)) << shift
    return tuple(Dword(*row) for row in zip(reset, writable, w1c, kept, strict=True))


def layout(config: DeviceConfig) -> Layout:
    """The whole of configuration space for ``config``. Errors: ``ValueError`` if it is over 256 bytes."""
    structures = [_header(config)]
    offset = FIRST_CAPABILITY

    def add(structure: Structure) -> None:
        nonlocal offset
        structures.append(structure)
        offset = structure.offset + structure.size

    add(_power_management(offset))
    add(_msix(offset, config))
    add(_pcie(offset, config))
    # The window of configuration space names no place until software writes one.
    windows = [*face_windows(config), Window("window", 0, 0, 0, CapabilityType.PCI)]
    named = [window for window in windows if window.capability is not None]
    for window in sorted(named, key=lambda window: window.capability or 0):
        add(_virtio(window, offset))
    if offset > CONFIG_SPACE_BYTES:
        raise ValueError(f"the capabilities end at {offset:#x}, after {CONFIG_SPACE_BYTES:#x}")
    for n in range(1, len(structures) - 1):
        linked = {**structures[n].values, "next": structures[n + 1].offset}
        structures[n] = replace(structures[n], values=linked)
    return Layout(bars(config), tuple(structures), _dwords(structures, CONFIG_SPACE_BYTES // 4))
