"""What follows the header of a vfio-user message: the body of each command, encoded and decoded.

Ref: QEMU's docs/interop/vfio-user.rst.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .protocol import (
    IRQS,
    MAX_DATA,
    REGIONS,
    IrqSetFlag,
    MapFlag,
    ProtocolError,
    RegionFlag,
    UnmapFlag,
    packed,
)

__all__ = [
    "REGION_ACCESS_FIELDS",
    "DmaAccess",
    "DmaMap",
    "DmaUnmap",
    "IrqSet",
    "RegionAccess",
    "device_info",
    "irq_info",
    "irq_info_index",
    "max_transfer",
    "region_info",
    "region_info_index",
    "version",
    "version_body",
]

_DEVICE_FLAG_RESET = 1 << 0
_DEVICE_FLAG_PCI = 1 << 1

REGION_ACCESS_FIELDS = (("offset", 64), ("region", 32), ("count", 32))
"""REGION_READ and REGION_WRITE, before the data: names and bits."""

_INFO = struct.Struct("<IIII")
_REGION_INFO = struct.Struct("<IIIIQQ")
_IRQ_SET = struct.Struct("<IIIII")
_DMA_MAP = struct.Struct("<IIQQQ")
_DMA_UNMAP = struct.Struct("<IIQQ")
_REGION_ACCESS = packed(REGION_ACCESS_FIELDS)
_DMA_ACCESS = struct.Struct("<QQ")
_VERSION = struct.Struct("<HH")


def _unpack(layout: struct.Struct, body: bytes, what: str) -> tuple[Any, ...]:
    if len(body) < layout.size:
        raise ProtocolError(f"{what} has {len(body)} bytes of body, fewer than {layout.size}")
    return layout.unpack_from(body)


def _unpack_sized(layout: struct.Struct, body: bytes, what: str) -> tuple[Any, ...]:
    """The fields behind ``argsz``, the first, which must not be smaller than the structure that it is in."""
    argsz, *fields = _unpack(layout, body, what)
    if argsz < layout.size:
        raise ProtocolError(f"{what} has an argsz of {argsz}, smaller than {layout.size}")
    return tuple(fields)


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
    except (ValueError, AttributeError, RecursionError):
        raise ProtocolError(f"VERSION has {text[:60]!r}, which is not a JSON object") from None
    if not isinstance(capabilities, dict):
        raise ProtocolError(f"VERSION has capabilities {capabilities!r}, not an object")
    return major, minor, capabilities


def max_transfer(capabilities: Mapping[str, Any]) -> int:
    """Bytes of data that one message to a peer with ``capabilities`` may move. Errors:
    :class:`ProtocolError`.
    """
    limit = capabilities.get("max_data_xfer_size", MAX_DATA)
    if type(limit) is not int or limit < 1:
        raise ProtocolError(f"VERSION has a max_data_xfer_size of {limit!r}")
    return min(limit, MAX_DATA)


def device_info(body: bytes) -> bytes:
    """Encode the answer to DEVICE_GET_INFO: a PCI device that can be reset."""
    _unpack_sized(_INFO, body, "DEVICE_GET_INFO")
    return _INFO.pack(_INFO.size, _DEVICE_FLAG_RESET | _DEVICE_FLAG_PCI, REGIONS, IRQS)


def region_info_index(body: bytes) -> int:
    """Decode DEVICE_GET_REGION_INFO: the index of a region."""
    index = _unpack_sized(_REGION_INFO, body, "DEVICE_GET_REGION_INFO")[1]
    if index >= REGIONS:
        raise ProtocolError(f"there is no region {index}")
    return index


def region_info(index: int, size: int) -> bytes:
    """Encode the answer for a region of ``size`` bytes, 0 if it is absent. No region can be mapped."""
    flags = RegionFlag.READ | RegionFlag.WRITE if size else RegionFlag(0)
    return _REGION_INFO.pack(_REGION_INFO.size, flags, index, 0, size, 0)


def irq_info_index(body: bytes) -> int:
    """Decode DEVICE_GET_IRQ_INFO: the kind of interrupt."""
    index = _unpack_sized(_INFO, body, "DEVICE_GET_IRQ_INFO")[1]
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
        flags, index, start, count = _unpack_sized(_IRQ_SET, body, "DEVICE_SET_IRQS")
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
        """Decode. Errors: :class:`ProtocolError` for a short body, for an empty or wrapping range, and for
        memory that the device may not read, or with flags that nobody knows.
        """
        flags, offset, address, size = _unpack_sized(_DMA_MAP, body, "DMA_MAP")
        if size == 0 or address + size > 1 << 64:
            raise ProtocolError(f"DMA_MAP of {size:#x} bytes at {address:#x}")
        if flags not in (MapFlag.READ, MapFlag.READ | MapFlag.WRITE):
            raise ProtocolError(f"DMA_MAP with flags {flags:#x}")
        return cls(flags, offset, address, size)


@dataclass(frozen=True)
class DmaUnmap:
    """DMA_UNMAP: remove the mappings in ``size`` bytes at ``address``, or with ``all`` every one."""

    address: int
    size: int
    all: bool = False

    @classmethod
    def unpack(cls, body: bytes) -> "DmaUnmap":
        """Decode. Errors: :class:`ProtocolError`, also for a bitmap of dirty pages, and for all within a
        range.
        """
        flags, address, size = _unpack_sized(_DMA_UNMAP, body, "DMA_UNMAP")
        if flags & ~int(UnmapFlag.ALL) or (flags and (address or size)):
            raise ProtocolError(f"DMA_UNMAP of {size:#x} bytes at {address:#x} with flags {flags:#x}")
        return cls(address, size, bool(flags))

    def pack(self) -> bytes:
        """Encode the body of the answer."""
        flags = UnmapFlag.ALL if self.all else 0
        return _DMA_UNMAP.pack(_DMA_UNMAP.size, flags, self.address, self.size)


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
