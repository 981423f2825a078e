"""The vfio-user protocol: commands, flags and the header of a message. It knows no socket and no device.

Ref: QEMU's docs/interop/vfio-user.rst. All integers are little-endian. A message is a 16-byte header and a
body with a layout for each command, which ``bodies`` has.
"""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "HEADER_BYTES",
    "HEADER_FIELDS",
    "IRQS",
    "MAX_BODY",
    "MAX_DATA",
    "MAX_FDS",
    "MAX_MAPPINGS",
    "REGIONS",
    "Command",
    "Flag",
    "Header",
    "IrqFlag",
    "IrqIndex",
    "IrqSetFlag",
    "MapFlag",
    "ProtocolError",
    "Region",
    "RegionFlag",
    "SizeError",
    "UnmapFlag",
    "error_reply",
    "message",
    "packed",
    "reply",
]

HEADER_BYTES = 16
MAX_DATA = 1 << 20
"""Largest data transfer of the server, in bytes."""

MAX_BODY = MAX_DATA + 4096
"""Largest message in bytes; a longer one is refused."""

MAX_FDS = 8
"""Most file descriptors of a message."""

MAX_MAPPINGS = 65535
"""Most mappings at a time, as a peer expects that is told nothing else. A machine has some dozens; with an
IOMMU there is one for each page that the device may reach.
"""

HEADER_FIELDS = (("id", 16), ("command", 16), ("size", 32), ("flags", 32), ("error", 32))
"""The header: names and bits."""


def packed(fields: Sequence[tuple[str, int]]) -> struct.Struct:
    """The bytes of ``fields``, integers of 16, 32 or 64 bits."""
    return struct.Struct("<" + "".join({16: "H", 32: "I", 64: "Q"}[width] for _name, width in fields))


_HEADER = packed(HEADER_FIELDS)


class ProtocolError(ValueError):
    """The peer sent an invalid message."""


class SizeError(ProtocolError):
    """A message says of itself a size that none can have, so nobody knows where the next one begins."""

    def __init__(self, header: "Header"):
        super().__init__(f"message {header.id} (command {header.command}) has a size of {header.size} bytes")
        self.header = header


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


class UnmapFlag(enum.IntFlag):
    """Flags of DMA_UNMAP."""

    DIRTY_BITMAP = 1
    ALL = 2


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
        """Decode 16 bytes and check the size that they say. Errors: :class:`SizeError`."""
        header = cls(*_HEADER.unpack(raw))
        if not HEADER_BYTES <= header.size <= HEADER_BYTES + MAX_BODY:
            raise SizeError(header)
        return header

    @property
    def is_command(self) -> bool:
        """Whether the other side asks for something."""
        return self.flags & Flag.TYPE == 0

    @property
    def is_reply(self) -> bool:
        """Whether this is the answer to a message of this side."""
        return self.flags & Flag.TYPE == Flag.REPLY

    @property
    def wants_reply(self) -> bool:
        """Whether the sender waits for an answer."""
        return not self.flags & Flag.NO_REPLY


def message(id: int, command: int, body: bytes, flags: int = 0) -> bytes:
    """Encode a command message."""
    return Header(id, command, HEADER_BYTES + len(body), flags).pack() + body


def reply(header: Header, body: bytes = b"") -> bytes:
    """Encode the answer to ``header``."""
    return Header(header.id, header.command, HEADER_BYTES + len(body), Flag.REPLY).pack() + body


def error_reply(header: Header, errno: int) -> bytes:
    """Encode the answer to ``header`` for a command that failed with ``errno``."""
    flags = Flag.REPLY | Flag.ERROR
    return Header(header.id, header.command, HEADER_BYTES, flags, errno).pack()
