"""Transaction layer packets: the decoded headers that travel beside the data.

Ref: PCI Express Base Specification 3.1, chapter 2 (2.2.1 fields, 2.2.7 requests, 2.2.9 completions).
"""

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

__all__ = [
    "MAX_LENGTH_DWORDS",
    "CompletionHeader",
    "CompletionStatus",
    "ErrorMessage",
    "RequestHeader",
    "RequestKind",
    "completion_beat",
    "request_beat",
    "with_tag",
]

MAX_LENGTH_DWORDS = 1024
"""The largest payload or read length one TLP can name, in dwords (coded as 0 on the wire)."""


class RequestKind(enum.Enum, shape=4):
    """What a request TLP asks for. Posted kinds get no completion, all others need exactly one answer."""

    MEMORY_READ = 0
    MEMORY_WRITE = 1
    IO_READ = 2
    IO_WRITE = 3
    CONFIG_READ_0 = 4
    CONFIG_WRITE_0 = 5
    CONFIG_READ_1 = 6
    CONFIG_WRITE_1 = 7
    MESSAGE = 8
    """Msg and MsgD, posted. The device ignores those that it receives. One that it sends has its code, an
    :class:`ErrorMessage`, where the byte enables stand on the wire, and goes to the root complex."""
    OTHER_NON_POSTED = 9
    """Locked reads, atomics: anything else that must be answered as unsupported."""


class ErrorMessage(enum.Enum, shape=8):
    """Codes of the messages that report errors (Ref: PCIe 3.1, 2.2.8.3)."""

    CORRECTABLE = 0x30
    NON_FATAL = 0x31
    FATAL = 0x33


class CompletionStatus(enum.Enum, shape=3):
    """Completion status codes, as on the wire (Ref: PCIe 3.1, 2.2.9, table 2-29)."""

    SUCCESS = 0
    UNSUPPORTED_REQUEST = 1
    CONFIGURATION_RETRY = 2
    COMPLETER_ABORT = 4


class RequestHeader(data.Struct):
    """The header of a request, decoded. Stable over all beats of the packet.

    ``address`` is a byte address with bits 1:0 zero. For configuration requests its bits 11:2 are the
    register number and ``target_id`` is the bus, device and function that are addressed (otherwise 0).
    ``length`` is in dwords, 1 to 1024. ``tag`` is meaningful for non-posted requests.
    """

    kind: RequestKind
    address: unsigned(64)
    length: unsigned(11)
    first_be: unsigned(4)
    last_be: unsigned(4)
    requester_id: unsigned(16)
    target_id: unsigned(16)
    tag: unsigned(8)
    traffic_class: unsigned(3)
    attributes: unsigned(3)
    poisoned: unsigned(1)


class CompletionHeader(data.Struct):
    """The header of a completion, decoded. Stable over all beats of the packet.

    ``length`` is the payload of this TLP in dwords (0 without data), ``byte_count`` the bytes that remain
    for the request including this TLP (1 to 4096), ``lower_address`` the low bits of the address of the
    first byte returned here.
    """

    status: CompletionStatus
    has_data: unsigned(1)
    length: unsigned(11)
    byte_count: unsigned(13)
    lower_address: unsigned(7)
    requester_id: unsigned(16)
    completer_id: unsigned(16)
    tag: unsigned(8)
    traffic_class: unsigned(3)
    attributes: unsigned(3)
    poisoned: unsigned(1)


def with_tag(struct: Any, tag_bits: int) -> Any:
    """``struct``, which has a field ``tag``, with one of ``tag_bits``; 8 leaves it as it is."""
    if tag_bits == 8:
        return struct
    layout: Any = data.Layout.cast(struct)
    return data.StructLayout({**layout.members, "tag": unsigned(tag_bits)})


def _beat(header, data_width: int) -> data.StructLayout:
    if data_width not in (64, 128, 256, 512):
        raise ValueError(f"data_width must be 64, 128, 256 or 512, not {data_width!r}")
    return data.StructLayout(
        {
            "header": header,
            "data": unsigned(data_width),
            "dwords": unsigned(data_width // 32),
            "first": unsigned(1),
            "last": unsigned(1),
        }
    )


def request_beat(data_width: int, tag_bits: int = 8) -> data.StructLayout:
    """One beat of a request stream.

    ``data`` holds payload dwords packed from bit 0 up: the first dword of the payload is bits 31:0 of the
    first beat whatever the address. ``dwords`` has a one for each dword of ``data`` that is payload: all
    of them in every beat but the last, the low ones there, none in a packet without payload (which is
    one beat). The tag of the header has ``tag_bits``.
    Errors: ``ValueError`` for a width other than 64, 128, 256 or 512.
    """
    return _beat(with_tag(RequestHeader, tag_bits), data_width)


def completion_beat(data_width: int, tag_bits: int = 8) -> data.StructLayout:
    """One beat of a completion stream; ``data`` and ``dwords`` as in :func:`request_beat`."""
    return _beat(with_tag(CompletionHeader, tag_bits), data_width)
