"""What configuration space of the golden model holds: bytes, and which of their bits a write changes.

It is written from the specifications' tables alone, so it and the hardware's own description
(``ringwalker.pci.capabilities``) check each other.

Ref: PCI 3.0, 6.1 (header), 6.7 (capabilities); PCIe 3.1, 7.8, 7.10, 7.12; virtio 1.4, 4.1.4
"""

from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.fields import (
    FIELD_QUEUE_STRIDE,
    FIELDS_BASE,
    FIELDS_VERSION,
    FieldView,
)
from ringwalker.spec.ids import VENDOR_2007
from ringwalker.spec.legacy import LEGACY_BAR, legacy_device_config_offset
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR,
    ISR_BASE,
    MSIX_BAR,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    CapabilityType,
)
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    EXPANSION_ROM,
    EXTENDED_CONFIG_SPACE_BYTES,
    HEADER,
    MSI_CAPABILITY,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    PM_CAPABILITY,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    VIRTIO_VENDOR_CAPABILITY,
    BarType,
    CapabilityId,
    Command,
    ExpansionRom,
    InterruptPin,
    MsiControl,
    MsixControl,
    PmControlStatus,
    Status,
)
from ringwalker.spec.pci_extended import (
    ADVANCED_ERROR_CAPABILITY,
    SERIAL_NUMBER_CAPABILITY,
    CorrectableError,
    ExtendedCapabilityId,
    ExtendedHeader,
    UncorrectableError,
)
from ringwalker.spec.pcie import (
    PCIE_CAPABILITY,
    DeviceCapabilities,
    DeviceCapabilities2,
    DeviceControl,
    DeviceControl2,
    LinkCapabilities,
    LinkControl,
    LinkControl2,
    PcieDeviceStatus,
)
from ringwalker.spec.registers import RegisterTable

__all__ = ["ConfigLayout", "GoldenBar", "pending_offset"]

_FIRST_CAPABILITY = 0x40
_ALL = 0xFFFF_FFFF
_PAGE = 4096
_SMALLEST_ROM = 2048
_PM_VERSION, _PCIE_VERSION, _AER_VERSION, _SERIAL_VERSION = 3, 2, 2, 1
_GENERATION, _LANES = 3, 8


@dataclass(frozen=True)
class GoldenBar:
    """A base address register: ``size`` in bytes. The expansion ROM has the index ``EXPANSION_ROM``."""

    index: int
    size: int
    io: bool = False
    is_64: bool = False

    @property
    def register(self) -> str:
        """Its register in the header, the lower one of two."""
        return "expansion_rom" if self.index == EXPANSION_ROM else f"bar{self.index}"

    @property
    def address_bits(self) -> int:
        """The bits of that register that hold the address."""
        return -self.size & _ALL


def _members(kind: type[IntFlag], *without: int) -> int:
    """All flags and fields of a register but those."""
    bits = 0
    for flag in kind.__members__.values():
        bits |= 0 if flag in without else int(flag)
    return bits


def _lowest(mask: int) -> int:
    """1 in the place of the field ``mask``."""
    return mask & -mask


def _power_of_two(least: int) -> int:
    size = 1
    while size < least:
        size *= 2
    return size


def pending_offset(config: DeviceConfig) -> int:
    """Where in the BAR of MSI-X the pending bits begin."""
    return max(_PAGE // 2, _power_of_two(config.vectors * MSIX_ENTRY_BYTES))


def _fields_bytes(config: DeviceConfig) -> int:
    """Bytes of the field list of 2007."""

    def length(view: FieldView) -> int:
        return view.length or sum(row.size for row in view.registers)

    # Status, both masks of features, generation and vector; then the function's own.
    lengths = [1, 8, 8, 1, 2, *map(length, config.kind.fields)]
    end = sum(4 + -(-size // 4) * 4 for size in lengths)
    # The value of the first queue is aligned to the stride; a filler takes a header too.
    if (end + 4) % FIELD_QUEUE_STRIDE:
        end = -(-(end + 8) // FIELD_QUEUE_STRIDE) * FIELD_QUEUE_STRIDE - 4
    return end + config.queues * FIELD_QUEUE_STRIDE + 4


@dataclass
class ConfigLayout:
    """Configuration space of the function of ``config``.

    ``reset`` has the values after reset, ``writable`` the bits that a write sets, ``w1c`` those that writing
    1 clears, ``kept`` those that a function-level reset leaves alone: 256 bytes, or up to the end of the last
    extended capability. ``places`` has the offset of each capability by name, ``bars`` has the ROM too.
    """

    config: DeviceConfig
    reset: bytearray = field(default_factory=lambda: bytearray(EXTENDED_CONFIG_SPACE_BYTES))
    writable: bytearray = field(default_factory=lambda: bytearray(EXTENDED_CONFIG_SPACE_BYTES))
    w1c: bytearray = field(default_factory=lambda: bytearray(EXTENDED_CONFIG_SPACE_BYTES))
    kept: bytearray = field(default_factory=lambda: bytearray(EXTENDED_CONFIG_SPACE_BYTES))
    places: dict[str, int] = field(default_factory=dict)
    bars: dict[int, GoldenBar] = field(default_factory=dict)

    def __post_init__(self):
        self._end = _FIRST_CAPABILITY
        self._link = HEADER["capabilities_pointer"].offset
        self._bars()
        self._header()
        self._power_management()
        if self.config.pci.msi:
            self._msi(self.config.pci.msi)
        self._msix()
        self._pcie()
        self._virtio()
        self._extended()
        for content in (self.reset, self.writable, self.w1c, self.kept):
            del content[self._end :]

    # --- tools ---------------------------------------------------------------------------------------------

    def _put(self, content: bytearray, table: RegisterTable, base: int, values: dict[str, int]) -> None:
        for name, value in values.items():
            row = table[name]
            start = base + row.offset
            content[start : start + row.size] = int(value).to_bytes(row.size, "little")

    def _structure(
        self,
        table: RegisterTable,
        base: int,
        values: dict[str, int],
        writable: dict[str, int] | None = None,
        w1c: dict[str, int] | None = None,
        kept: dict[str, int] | None = None,
    ) -> None:
        reset = {row.name: row.reset for row in table} | values
        contents = (self.reset, self.writable, self.w1c, self.kept)
        for content, part in zip(contents, (reset, writable, w1c, kept), strict=True):
            self._put(content, table, base, part or {})

    def _capability(
        self, name: str, kind: int, table: RegisterTable, values: dict[str, int], **masks: Any
    ) -> None:
        """The next capability, linked from the one before."""
        place = self.places[name] = self._end
        self.reset[self._link] = place
        self._structure(table, place, {"id": kind, **values}, **masks)
        self._link = place + table["next"].offset
        self._end = place + -(-table.size // 4) * 4

    # --- the parts -----------------------------------------------------------------------------------------

    def _bars(self) -> None:
        config = self.config
        pending = -(-config.vectors // 64) * 8
        found = [GoldenBar(MSIX_BAR, max(_PAGE, _power_of_two(pending_offset(config) + pending)))]
        table = config.kind.device_config
        device = 0 if table is None else table.size
        if config.has_modern:
            end = NOTIFY_BASE + config.queues * NOTIFY_MULTIPLIER
            if config.has_fields:
                end = FIELDS_BASE + _fields_bytes(config)
            found.append(GoldenBar(FACE_BAR, _power_of_two(end), is_64=True))
        if config.has_legacy:
            size = _power_of_two(legacy_device_config_offset(True) + -(-device // 4) * 4)
            io = config.legacy_io
            found.append(GoldenBar(LEGACY_BAR, size if io else max(_PAGE, size), io=io))
        if config.pci.rom_content:
            size = _power_of_two(max(_SMALLEST_ROM, len(config.pci.rom_content)))
            found.append(GoldenBar(EXPANSION_ROM, size))
        self.bars = {bar.index: bar for bar in sorted(found, key=lambda bar: bar.index)}

    def _header(self) -> None:
        identity = self.config.resolved_identity
        code = identity.class_code or 0
        values = {
            "vendor_id": identity.vendor or 0,
            "device_id": identity.device or 0,
            "status": Status.CAPABILITIES_LIST,
            "revision_id": identity.revision or 0,
            "programming_interface": code & 0xFF,
            "subclass": code >> 8 & 0xFF,
            "class": code >> 16,
            "subsystem_vendor_id": identity.subsystem_vendor or 0,
            "subsystem_id": identity.subsystem or 0,
            "interrupt_pin": InterruptPin.INTA,
        }
        writable = {"command": _members(Command), "cache_line_size": 0xFF, "interrupt_line": 0xFF}
        for bar in self.bars.values():
            values[bar.register] = (BarType.IO if bar.io else 0) | (BarType.MEMORY_64 if bar.is_64 else 0)
            enable = ExpansionRom.ENABLE if bar.index == EXPANSION_ROM else 0
            writable[bar.register] = bar.address_bits | enable
            if bar.is_64:
                writable[f"bar{bar.index + 1}"] = _ALL
        errors = _members(Status, Status.INTERRUPT_STATUS, Status.CAPABILITIES_LIST)
        self._structure(HEADER, 0, values, writable, {"status": errors})

    def _power_management(self) -> None:
        values = {"capabilities": _PM_VERSION, "control_status": PmControlStatus.NO_SOFT_RESET}
        writable = {"control_status": PmControlStatus.POWER_STATE}
        self._capability("pm", CapabilityId.POWER_MANAGEMENT, PM_CAPABILITY, values, writable=writable)

    def _msi(self, messages: int) -> None:
        able = MsiControl.MASKS | MsiControl.ADDRESS_64
        # The field has the logarithm of the number.
        values: dict[str, int] = {"control": able | (messages == 2) * _lowest(MsiControl.MESSAGES)}
        writable = {
            "control": MsiControl.MESSAGES_ENABLED | MsiControl.ENABLE,
            "address_low": _ALL - 3,
            "address_high": _ALL,
            "data": 0xFFFF,
            "mask": 0b11 if messages == 2 else 0b01,
        }
        self._capability("msi", CapabilityId.MSI, MSI_CAPABILITY, values, writable=writable)

    def _msix(self) -> None:
        values = {
            "control": self.config.vectors - 1,
            "table": MSIX_BAR,
            "pba": pending_offset(self.config) + MSIX_BAR,
        }
        writable = {"control": MsixControl.ENABLE | MsixControl.FUNCTION_MASK}
        self._capability("msix", CapabilityId.MSIX, MSIX_CAPABILITY, values, writable=writable)

    def _pcie(self) -> None:
        config, options = self.config, self.config.pci
        payload = {128: 0, 256: 1, 512: 2, 1024: 3, 2048: 4, 4096: 5}[config.max_payload]
        lanes = _LANES * _lowest(LinkCapabilities.WIDTH)
        able = (
            DeviceCapabilities.FUNCTION_LEVEL_RESET
            | DeviceCapabilities.ROLE_BASED_ERROR_REPORTING
            | (DeviceCapabilities.EXTENDED_TAG if options.tags >= 8 else 0)
        )
        able_2, control_2 = 0, 0
        if options.timeout_ranges:
            able_2 = DeviceCapabilities2.TIMEOUT_RANGES | DeviceCapabilities2.TIMEOUT_DISABLE
            control_2 = DeviceControl2.TIMEOUT | DeviceControl2.TIMEOUT_DISABLE
        if options.tags >= 10:
            able_2 |= DeviceCapabilities2.TEN_BIT_TAG_REQUESTER | DeviceCapabilities2.TEN_BIT_TAG_COMPLETER
            control_2 |= DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE
        values = {
            "capabilities": _PCIE_VERSION,
            "device_capabilities": able | payload,
            "link_capabilities": LinkCapabilities.ASPM_OPTIONALITY | lanes | _GENERATION,
            "link_status": lanes | _GENERATION,
            "device_capabilities_2": able_2,
            "link_capabilities_2": (1 << _GENERATION) - 1 << 1,
            "link_control_2": _GENERATION,
        }
        for_link = {"link_control": _members(LinkControl), "link_control_2": LinkControl2.TARGET_SPEED}
        control = _members(DeviceControl, DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)
        writable = {"device_control": control, **for_link}
        if options.tags < 8:
            writable["device_control"] &= ~DeviceControl.EXTENDED_TAG_ENABLE
        if control_2:
            writable["device_control_2"] = control_2
        errors = _members(PcieDeviceStatus, PcieDeviceStatus.TRANSACTIONS_PENDING)
        self._capability(
            "pcie",
            CapabilityId.PCI_EXPRESS,
            PCIE_CAPABILITY,
            values,
            writable=writable,
            w1c={"device_status": errors},
            # What belongs to the link is not the function's to reset.
            kept={"device_control": DeviceControl.MAX_PAYLOAD_SIZE, **for_link},
        )

    def _virtio(self) -> None:
        config = self.config
        if not config.has_modern:
            return

        def add(
            name: str, kind: CapabilityType, base: int, size: int, table=VIRTIO_CAPABILITY, **more
        ) -> None:
            values = {"length": table.size, "type": kind, "bar": FACE_BAR, "offset": base, "size": size}
            self._capability(name, CapabilityId.VENDOR, table, values | more)

        add("common", CapabilityType.COMMON, COMMON_BASE, COMMON.size)
        doorbells = config.queues * NOTIFY_MULTIPLIER
        table, multiplier = VIRTIO_NOTIFY_CAPABILITY, NOTIFY_MULTIPLIER
        add("notify", CapabilityType.NOTIFY, NOTIFY_BASE, doorbells, table, multiplier=multiplier)
        add("isr", CapabilityType.ISR, ISR_BASE, ISR.size)
        if config.kind.device_config is not None:
            add("device", CapabilityType.DEVICE, DEVICE_BASE, config.kind.device_config.size)
        table = VIRTIO_PCI_CAPABILITY
        self._capability(
            "window",
            CapabilityId.VENDOR,
            table,
            {"length": table.size, "type": CapabilityType.PCI},
            writable={"bar": 0xFF, "offset": _ALL, "size": _ALL},
        )
        if config.has_fields:
            table, size = VIRTIO_VENDOR_CAPABILITY, _fields_bytes(config)
            more = {"vendor_id": VENDOR_2007, "version": FIELDS_VERSION}
            add("fields", CapabilityType.VENDOR, FIELDS_BASE, size, table, **more)

    def _extended_header(self, kind: int, version: int, follows: int = 0) -> int:
        return kind | version * _lowest(ExtendedHeader.VERSION) | follows * _lowest(ExtendedHeader.NEXT)

    def _extended(self) -> None:
        pci, self._end = self.config.pci, CONFIG_SPACE_BYTES
        errors = _members(UncorrectableError)
        advisory = int(CorrectableError.ADVISORY_NON_FATAL)
        if pci.aer:
            follows = 0 if pci.serial_number is None else self._end + ADVANCED_ERROR_CAPABILITY.size
            header = self._extended_header(
                ExtendedCapabilityId.ADVANCED_ERROR_REPORTING, _AER_VERSION, follows
            )
            writable = {
                "uncorrectable_mask": errors,
                "uncorrectable_severity": errors,
                "correctable_mask": advisory,
            }
            w1c = {"uncorrectable_status": errors, "correctable_status": advisory}
            table, place = ADVANCED_ERROR_CAPABILITY, self._end
            self._structure(table, place, {"header": header}, writable, w1c, writable | w1c)
            self.places["aer"], self._end = place, place + table.size
        if pci.serial_number is not None:
            number = bytes.fromhex(pci.serial_number.replace("-", ""))
            values = {
                "header": self._extended_header(ExtendedCapabilityId.SERIAL_NUMBER, _SERIAL_VERSION),
                "serial_low": int.from_bytes(number[4:], "big"),
                "serial_high": int.from_bytes(number[:4], "big"),
            }
            table = SERIAL_NUMBER_CAPABILITY
            self._structure(table, self._end, values)
            self.places["serial_number"], self._end = self._end, self._end + table.size
