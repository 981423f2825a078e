"""The vfio-user protocol: encodes and decodes messages. It knows no socket and no device.

Ref: QEMU's docs/interop/vfio-user.rst. All integers are little-endian. A message is a
16-byte header and a body with a layout for each command.
"""

import enum
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "HEADER_BYTES",
    "MAX_BODY",
    "Command",
    "DmaAccess",
    "DmaMap",
    "DmaUnmap",
    "Flag",
    "Header",
    "IrqFlag",
    "IrqIndex",
    "IrqSet",
    "IrqSetFlag",
    "MapFlag",
    "ProtocolError",
    "Region",
    "RegionAccess",
    "RegionFlag",
    "device_info",
    "error_reply",
    "irq_info",
    "irq_info_index",
    "message",
    "region_info",
    "region_info_index",
    "reply",
    "version",
    "version_body",
]

HEADER_BYTES = 16
MAX_DATA = 1 << 20
"""Largest data transfer of the server, in bytes."""

MAX_BODY = MAX_DATA + 4096
"""Largest message in bytes; a longer one is refused."""

MAX_FDS = 8
"""Most file descriptors of a message."""

DEVICE_FLAG_RESET = 1 << 0
DEVICE_FLAG_PCI = 1 << 1

_HEADER = struct.Struct("<HHIII")
_INFO = struct.Struct("<IIII")
_REGION_INFO = struct.Struct("<IIIIQQ")
_IRQ_SET = struct.Struct("<IIIII")
_DMA_MAP = struct.Struct("<IIQQQ")
_DMA_UNMAP = struct.Struct("<IIQQ")
_REGION_ACCESS = struct.Struct("<QII")
_DMA_ACCESS = struct.Struct("<QQ")
_VERSION = struct.Struct("<HH")


class ProtocolError(ValueError):
    """The peer sent an invalid message."""


class Command(enum.IntEnum):
    """Message commands."""

    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    DEVICE_GET_INFO = 4
    DEVICE_GET_REGION_INFO = 5
    DEVICE_GET_REGION_IO_FDS = 6
    DEVICE_GET_IRQ_INFO = 7
    DEVICE_SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    DEVICE_RESET = 13
    REGION_WRITE_MULTI = 15


class Flag(enum.IntFlag):
    """Header flags: bits 3:0 are the message type, 0 a command and 1 a reply."""

    REPLY = 1
    TYPE = 0xF
    NO_REPLY = 1 << 4
    ERROR = 1 << 5


class Region(enum.IntEnum):
    """PCI regions; BARs are 0 to 5."""

    BAR0 = 0
    BAR5 = 5
    ROM = 6
    CONFIG = 7
    VGA = 8


REGIONS = 9


class RegionFlag(enum.IntFlag):
    """Flags of a region."""

    READ = 1
    WRITE = 2


class IrqIndex(enum.IntEnum):
    """Kinds of interrupt."""

    INTX = 0
    MSI = 1
    MSIX = 2
    ERROR = 3
    REQUEST = 4


IRQS = 5


class IrqFlag(enum.IntFlag):
    """Flags of a kind of interrupt."""

    EVENTFD = 1
    MASKABLE = 2
    AUTOMASKED = 4
    NORESIZE = 8


class IrqSetFlag(enum.IntFlag):
    """Flags of DEVICE_SET_IRQS: the kind of data, and the action."""

    DATA_NONE = 1
    DATA_BOOL = 2
    DATA_EVENTFD = 4
    ACTION_MASK = 8
    ACTION_UNMASK = 16
    ACTION_TRIGGER = 32


class MapFlag(enum.IntFlag):
    """Accesses that a DMA mapping allows the device."""

    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Header:
    """The first 16 bytes. ``size`` counts them too."""

    id: int
    command: int
    size: int
    flags: int = 0
    error: int = 0

    def pack(self) -> bytes:
        """Encode the header."""
        return _HEADER.pack(self.id, self.command, self.size, self.flags, self.error)

    @classmethod
    def unpack(cls, raw: bytes) -> "Header":
        """Decode and check the size. Errors: :class:`ProtocolError`."""
        if len(raw) != HEADER_BYTES:
            raise ProtocolError(f"a header has {HEADER_BYTES} bytes, not {len(raw)}")
        header = cls(*_HEADER.unpack(raw))
        if not HEADER_BYTES <= header.size <= HEADER_BYTES + MAX_BODY:
            raise ProtocolError(
                f"message {header.id} (command {header.command}) has a size of {header.size} bytes"
            )
        return header

    @property
    def is_reply(self) -> bool:
        """Whether this is the answer to a message of this side."""
        return self.flags & Flag.TYPE == Flag.REPLY

    @property
    def wants_reply(self) -> bool:
        """Whether the sender waits for an answer."""
        return not self.flags & Flag.NO_REPLY


def message(id: int, command: Command, body: bytes, flags: int = 0) -> bytes:
    """Encode a command message."""
    return Header(id, command, HEADER_BYTES + len(body), flags).pack() + body


def reply(header: Header, body: bytes = b"") -> bytes:
    """Encode the answer to ``header``."""
    return Header(header.id, header.command, HEADER_BYTES + len(body), Flag.REPLY).pack() + body


def error_reply(header: Header, errno: int) -> bytes:
    """Encode the answer to ``header`` for a command that failed with ``errno``."""
    flags = Flag.REPLY | Flag.ERROR
    return Header(header.id, header.command, HEADER_BYTES, flags, errno).pack()


def _unpack(layout: struct.Struct, body: bytes, what: str) -> tuple[Any, ...]:
    if len(body) < layout.size:
        raise ProtocolError(f"{what} has {len(body)} bytes of body, fewer than {layout.size}")
    return layout.unpack_from(body)


def version_body(capabilities: Mapping[str, Any]) -> bytes:
    """Encode the body of a VERSION message for protocol 0.0."""
    text = json.dumps({"capabilities": dict(capabilities)}).encode()
    return _VERSION.pack(0, 0) + text + b"\0"


def version(body: bytes) -> tuple[int, int, dict[str, Any]]:
    """Decode a VERSION message: major, minor, and the peer's capabilities."""
    major, minor = _unpack(_VERSION, body, "VERSION")
    text = body[_VERSION.size :].rstrip(b"\0")
    try:
        parsed = json.loads(text) if text else {}
        capabilities = parsed.get("capabilities", {})
    except (ValueError, AttributeError):
        raise ProtocolError(f"VERSION has {text[:60]!r}, which is not a JSON object") from None
    if not isinstance(capabilities, dict):
        raise ProtocolError(f"VERSION has capabilities {capabilities!r}, not an object")
    return major, minor, capabilities


def device_info(body: bytes) -> bytes:
    """Encode the answer to DEVICE_GET_INFO: a PCI device that can be reset."""
    _unpack(_INFO, body, "DEVICE_GET_INFO")
    return _INFO.pack(_INFO.size, DEVICE_FLAG_RESET | DEVICE_FLAG_PCI, REGIONS, IRQS)


def region_info_index(body: bytes) -> int:
    """Decode DEVICE_GET_REGION_INFO: the index of a region."""
    index = _unpack(_REGION_INFO, body, "DEVICE_GET_REGION_INFO")[2]
    if index >= REGIONS:
        raise ProtocolError(f"there is no region {index}")
    return index


def region_info(index: int, size: int) -> bytes:
    """Encode the answer for a region of ``size`` bytes, 0 if it is absent. No region can be mapped."""
    flags = RegionFlag.READ | RegionFlag.WRITE if size else RegionFlag(0)
    return _REGION_INFO.pack(_REGION_INFO.size, flags, index, 0, size, 0)


def irq_info_index(body: bytes) -> int:
    """Decode DEVICE_GET_IRQ_INFO: the kind of interrupt."""
    index = _unpack(_INFO, body, "DEVICE_GET_IRQ_INFO")[2]
    if index >= IRQS:
        raise ProtocolError(f"there is no interrupt kind {index}")
    return index


def irq_info(index: int, flags: int, count: int) -> bytes:
    """Encode the answer for a kind of interrupt with ``count`` vectors."""
    return _INFO.pack(_INFO.size, flags, index, count)


@dataclass(frozen=True)
class IrqSet:
    """DEVICE_SET_IRQS. ``data`` has a byte for each vector with DATA_BOOL, else it is empty."""

    flags: int
    index: int
    start: int
    count: int
    data: bytes = b""

    @classmethod
    def unpack(cls, body: bytes) -> "IrqSet":
        """Decode. Errors: :class:`ProtocolError`."""
        _argsz, flags, index, start, count = _unpack(_IRQ_SET, body, "DEVICE_SET_IRQS")
        if index >= IRQS:
            raise ProtocolError(f"there is no interrupt kind {index}")
        data = body[_IRQ_SET.size :]
        if flags & IrqSetFlag.DATA_BOOL and len(data) < count:
            raise ProtocolError(f"DEVICE_SET_IRQS has {len(data)} values for {count} vectors")
        return cls(flags, index, start, count, data)


@dataclass(frozen=True)
class DmaMap:
    """DMA_MAP: ``size`` bytes at guest address ``address``, from ``offset`` of the file descriptor on."""

    flags: int
    offset: int
    address: int
    size: int

    @classmethod
    def unpack(cls, body: bytes) -> "DmaMap":
        """Decode. Errors: :class:`ProtocolError` for a short body, and for an empty or wrapping range."""
        _argsz, flags, offset, address, size = _unpack(_DMA_MAP, body, "DMA_MAP")
        if size == 0 or address + size > 1 << 64:
            raise ProtocolError(f"DMA_MAP of {size:#x} bytes at {address:#x}")
        return cls(flags, offset, address, size)


@dataclass(frozen=True)
class DmaUnmap:
    """DMA_UNMAP: remove the mappings in ``size`` bytes at ``address``."""

    address: int
    size: int

    @classmethod
    def unpack(cls, body: bytes) -> "DmaUnmap":
        """Decode. Errors: :class:`ProtocolError`."""
        _argsz, _flags, address, size = _unpack(_DMA_UNMAP, body, "DMA_UNMAP")
        return cls(address, size)

    def pack(self) -> bytes:
        """Encode the body of the answer."""
        return _DMA_UNMAP.pack(_DMA_UNMAP.size, 0, self.address, self.size)


@dataclass(frozen=True)
class RegionAccess:
    """REGION_READ or REGION_WRITE: ``count`` bytes at ``offset`` of ``region``; ``data`` of a write."""

    offset: int
    region: int
    count: int
    data: bytes = b""

    @classmethod
    def unpack(cls, body: bytes, write: bool) -> "RegionAccess":
        """Decode. Errors: :class:`ProtocolError` for an unknown region, too much data, or too little."""
        offset, region, count = _unpack(_REGION_ACCESS, body, "a region access")
        if region >= REGIONS:
            raise ProtocolError(f"there is no region {region}")
        if count > MAX_DATA:
            raise ProtocolError(f"an access of {count} bytes is larger than the negotiated {MAX_DATA}")
        data = body[_REGION_ACCESS.size :]
        if write and len(data) != count:
            raise ProtocolError(f"a write of {count} bytes has {len(data)} bytes of data")
        return cls(offset, region, count, data if write else b"")

    def pack(self, data: bytes = b"") -> bytes:
        """Encode the body of the answer: the same access, then the read data."""
        return _REGION_ACCESS.pack(self.offset, self.region, self.count) + data


@dataclass(frozen=True)
class DmaAccess:
    """DMA_READ or DMA_WRITE, from the server to the peer, and its answer."""

    address: int
    count: int
    data: bytes = b""

    @classmethod
    def unpack(cls, body: bytes) -> "DmaAccess":
        """Decode. Errors: :class:`ProtocolError`."""
        address, count = _unpack(_DMA_ACCESS, body, "a DMA access")
        return cls(address, count, body[_DMA_ACCESS.size :])

    def pack(self) -> bytes:
        """Encode the body."""
        return _DMA_ACCESS.pack(self.address, self.count) + self.data
