"""Configuration space in words, in the manner of ``lspci -vvv``; fields come from the tables in ``spec``."""

from collections.abc import Mapping

from ringwalker.function.kind import FunctionKind
from ringwalker.spec.ids import OASIS_DEVICE_BASE, VENDOR_2007, VENDOR_OASIS, DeviceType
from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    HEADER,
    MSI_CAPABILITY,
    MSIX_CAPABILITY,
    PM_CAPABILITY,
    VIRTIO_CAPABILITY,
    VIRTIO_NOTIFY_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    VIRTIO_VENDOR_CAPABILITY,
    BarType,
    CapabilityId,
    Command,
    ExpansionRom,
    Status,
)
from ringwalker.spec.pci_extended import (
    ADVANCED_ERROR_CAPABILITY,
    SERIAL_NUMBER_CAPABILITY,
    ExtendedCapabilityId,
    ExtendedHeader,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY
from ringwalker.spec.registers import RegisterTable

from ..guest.port import bdf_name
from .capability_words import CAPABILITY_WORDS, Fields, field_of, signs

__all__ = ["decode", "format_function", "hex_dump"]

_CLASSES: Mapping[int, str] = {
    0x00FF: "Unclassified device",
    0x0100: "SCSI storage controller",
    0x0200: "Ethernet controller",
    0x0780: "Communication controller",
    0x0B40: "Co-processor",
    0x1000: "Network and computing encryption device",
}
"""Classes with their subclass."""
_BASE_CLASSES: Mapping[int, str] = {
    0x01: "Mass storage controller",
    0x02: "Network controller",
    0x03: "Display controller",
    0x04: "Multimedia controller",
    0x05: "Memory controller",
    0x06: "Bridge",
    0x07: "Communication controller",
    0x08: "Generic system peripheral",
    0x09: "Input device controller",
    0x0B: "Processor",
    0x0C: "Serial bus controller",
    0x0D: "Wireless controller",
    0x0E: "Intelligent controller",
    0x0F: "Satellite communications controller",
    0x10: "Encryption controller",
    0x11: "Signal processing controller",
    0x12: "Processing accelerators",
}
"""Classes where the subclass is any other."""
_TYPES: Mapping[int, str] = {
    DeviceType.NET: "network",
    DeviceType.BLK: "block",
    DeviceType.CONSOLE: "console",
    DeviceType.ENTROPY: "entropy",
}
"""Types of virtio that have a usual word; a function of another type goes by the name in its record."""
_TYPE_BASES: Mapping[int, int] = {VENDOR_2007: 0, VENDOR_OASIS: OASIS_DEVICE_BASE}
"""What a vendor's device id is above the virtio type."""
_VENDOR_DATA = RegisterTable("vendor_data", "Vendor data of others.", tuple(VIRTIO_VENDOR_CAPABILITY)[:5])


def _size(size: int) -> str:
    for suffix, unit in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


# --- decoding ----------------------------------------------------------------------------------------------


def _decode_table(table: RegisterTable, content: bytes, base: int = 0) -> Fields:
    fields: Fields = {}
    for row in table:
        raw = content[base + row.offset : base + row.offset + row.size]
        if len(raw) == row.size:
            fields[row.name] = int.from_bytes(raw, "little")
    return fields


_EXTENDED: Mapping[int, tuple[str, RegisterTable]] = {
    ExtendedCapabilityId.ADVANCED_ERROR_REPORTING: ("aer", ADVANCED_ERROR_CAPABILITY),
    ExtendedCapabilityId.SERIAL_NUMBER: ("serial_number", SERIAL_NUMBER_CAPABILITY),
}


def _capability_table(content: bytes, offset: int) -> tuple[str, RegisterTable | None]:
    capability = content[offset]
    if capability == CapabilityId.VENDOR:
        kind = content[offset + VIRTIO_CAPABILITY.type.offset]
        if kind == CapabilityType.NOTIFY:
            return "virtio", VIRTIO_NOTIFY_CAPABILITY
        if kind == CapabilityType.VENDOR:
            vendor = VIRTIO_VENDOR_CAPABILITY.vendor_id
            raw = content[offset + vendor.offset : offset + vendor.offset + vendor.size]
            known = int.from_bytes(raw, "little") == VENDOR_2007
            return "virtio", VIRTIO_VENDOR_CAPABILITY if known else _VENDOR_DATA
        return "virtio", VIRTIO_PCI_CAPABILITY if kind == CapabilityType.PCI else VIRTIO_CAPABILITY
    others: dict[int, tuple[str, RegisterTable]] = {
        CapabilityId.POWER_MANAGEMENT: ("pm", PM_CAPABILITY),
        CapabilityId.MSI: ("msi", MSI_CAPABILITY),
        CapabilityId.MSIX: ("msix", MSIX_CAPABILITY),
        CapabilityId.PCI_EXPRESS: ("pcie", PCIE_CAPABILITY),
    }
    return others.get(capability, ("unknown", None))


def _decode_bars(header: Fields, sizes: Mapping[int, int]) -> list[Fields]:
    bars = []
    for index, size in sorted(sizes.items()):
        low = header[f"bar{index}"]
        io = bool(low & BarType.IO)
        is_64 = not io and bool(low & BarType.MEMORY_64)
        address = low & ~(0b11 if io else 0b1111)
        if is_64:
            address |= header[f"bar{index + 1}"] << 32
        prefetchable = not io and bool(low & BarType.PREFETCHABLE)
        bars.append(
            {
                "index": index,
                "address": address,
                "size": size,
                "io": io,
                "64bit": is_64,
                "prefetchable": prefetchable,
            }
        )
    return bars


def decode(content: bytes, bar_sizes: Mapping[int, int], bdf: int = 0, rom_size: int = 0) -> Fields:
    """``content`` (at least 256 bytes of configuration space) as nested dicts of numbers.

    ``bar_sizes`` are in bytes by index of the BAR, ``rom_size`` is that of the expansion ROM. Keys: ``slot``,
    ``header`` (a number for each row of the header's table), ``bars``, ``rom``, ``capabilities`` (each with
    ``kind``, ``offset`` in configuration space, and the fields of its table; a virtio structure's own offset
    is ``offset_in_bar``). Of more than 256 bytes the extended capabilities follow the others.
    Errors: ``ValueError`` for too little content or a capability list that does not end.
    """
    if len(content) < CONFIG_SPACE_BYTES:
        raise ValueError(f"{len(content)} bytes of configuration space; it has at least {CONFIG_SPACE_BYTES}")
    header = _decode_table(HEADER, content)
    capabilities: list[Fields] = []
    offset = header["capabilities_pointer"] & ~0b11 if header["status"] & Status.CAPABILITIES_LIST else 0
    while offset:
        if any(item["offset"] == offset for item in capabilities) or offset < HEADER.size:
            raise ValueError(f"the capability list leads to {offset:#x} a second time, or into the header")
        kind, table = _capability_table(content, offset)
        fields = _decode_table(table, content, offset) if table else {"id": content[offset]}
        if "offset" in fields:
            fields["offset_in_bar"] = fields.pop("offset")
        capabilities.append({"kind": kind, "offset": offset, **fields})
        offset = content[offset + 1] & ~0b11
    bars = _decode_bars(header, bar_sizes)
    capabilities += _decode_extended(content)
    return {
        "slot": bdf_name(bdf),
        "header": header,
        "bars": bars,
        "rom": rom_size,
        "capabilities": capabilities,
    }


def _decode_extended(content: bytes) -> list[Fields]:
    """The extended capabilities, if ``content`` has them."""
    found: list[Fields] = []
    offset = CONFIG_SPACE_BYTES if len(content) > CONFIG_SPACE_BYTES else 0
    while offset:
        if any(item["offset"] == offset for item in found) or not CONFIG_SPACE_BYTES <= offset < len(content):
            raise ValueError(f"the list of extended capabilities leads to {offset:#x}")
        header = int.from_bytes(content[offset : offset + 4], "little")
        number = field_of(header, ExtendedHeader.ID)
        if number:
            kind, table = _EXTENDED.get(number, ("unknown", None))
            fields = _decode_table(table, content, offset) if table else {}
            found.append({"kind": kind, "offset": offset, "id": number, **fields})
        offset = field_of(header, ExtendedHeader.NEXT)
    return found


# --- words -------------------------------------------------------------------------------------------------


def _name(header: Fields, kind: FunctionKind | None) -> str:
    vendor, device = header["vendor_id"], header["device_id"]
    word = None
    if vendor in _TYPE_BASES:
        device_type = device - _TYPE_BASES[vendor]
        own = kind.name if kind is not None and kind.device_type == device_type else None
        word = _TYPES.get(device_type, own)
    text = f"Virtio {word} device" if word else "Device"
    return f"{text} [{vendor:04x}:{device:04x}]"


def _header_lines(header: Fields, bars: list[Fields], rom: int) -> list[str]:
    command, status = header["command"], header["status"]
    commands = {
        "I/O": Command.IO_ENABLE,
        "Mem": Command.MEMORY_ENABLE,
        "BusMaster": Command.BUS_MASTER_ENABLE,
        "ParErr": Command.PARITY_ERROR_RESPONSE,
        "SERR": Command.SERR_ENABLE,
        "DisINTx": Command.INTX_DISABLE,
    }
    states = {
        "Cap": Status.CAPABILITIES_LIST,
        "ParErr": Status.DETECTED_PARITY_ERROR,
        ">TAbort": Status.SIGNALED_TARGET_ABORT,
        "<TAbort": Status.RECEIVED_TARGET_ABORT,
        "<MAbort": Status.RECEIVED_MASTER_ABORT,
        ">SERR": Status.SIGNALED_SYSTEM_ERROR,
        "<PERR": Status.MASTER_DATA_PARITY_ERROR,
        "INTx": Status.INTERRUPT_STATUS,
    }
    lines = [
        f"Subsystem: Device [{header['subsystem_vendor_id']:04x}:{header['subsystem_id']:04x}]",
        f"Control: {signs(command, commands)}",
        f"Status: {signs(status, states)}",
        f"Latency: {header['latency_timer']}, Cache Line Size: {header['cache_line_size'] * 4} bytes",
    ]
    pin = header["interrupt_pin"]
    if pin:
        lines.append(
            f"Interrupt: pin {'?ABCD'[pin] if pin < 5 else '?'} routed to IRQ {header['interrupt_line']}"
        )
    for bar in bars:
        if bar["io"]:
            lines.append(
                f"Region {bar['index']}: I/O ports at {bar['address']:04x} [size={_size(bar['size'])}]"
            )
            continue
        width = "64-bit" if bar["64bit"] else "32-bit"
        prefetch = "prefetchable" if bar["prefetchable"] else "non-prefetchable"
        place = f"{bar['address']:0{16 if bar['64bit'] else 8}x}"
        lines.append(
            f"Region {bar['index']}: Memory at {place} ({width}, {prefetch}) [size={_size(bar['size'])}]"
        )
    if rom:
        register = header["expansion_rom"]
        disabled = "" if register & ExpansionRom.ENABLE else "[disabled] "
        lines.append(
            f"Expansion ROM at {register & ~int(ExpansionRom.ENABLE):08x} {disabled}[size={_size(rom)}]"
        )
    return lines


def format_function(function: Fields, kind: FunctionKind | None = None) -> str:
    """What :func:`decode` gave, as lines of text that end with a newline.

    ``kind`` is the record of the virtio function that it may be, whose name stands for a type without a word.
    """
    header = function["header"]
    class_code = header["class"] << 8 | header["subclass"]
    title = _CLASSES.get(class_code) or _BASE_CLASSES.get(header["class"], "Device of class")
    lines = [
        f"{function['slot']} {title} [{class_code:04x}]: {_name(header, kind)} "
        f"(rev {header['revision_id']:02x})",
        *(f"\t{line}" for line in _header_lines(header, function["bars"], function["rom"])),
    ]
    for cap in function["capabilities"]:
        describe = CAPABILITY_WORDS.get(cap["kind"], lambda item: [f"Capability id {item['id']:#04x}"])
        first, *rest = describe(cap)
        lines.append(f"\tCapabilities: [{cap['offset']:02x}] {first}")
        lines += [f"\t\t{line}" for line in rest]
    return "\n".join(lines) + "\n"


def hex_dump(content: bytes, bdf: int = 0) -> str:
    """The bytes in rows of 16 as ``lspci -xxx`` prints them, which ``lspci -F`` can read."""
    lines = [f"{bdf_name(bdf)} configuration space"]
    for offset in range(0, len(content), 16):
        row = " ".join(f"{byte:02x}" for byte in content[offset : offset + 16])
        lines.append(f"{offset:02x}: {row}")
    return "\n".join(lines) + "\n"
