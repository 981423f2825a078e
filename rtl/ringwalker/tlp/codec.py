"""Raw TLPs to and from the header fields that travel on the streams, in plain Python.

A header is a dict from the field names of RequestHeader or CompletionHeader to integers; fields that are
left out are 0 when encoding. Raw bytes are in the order of the link: each header dword most significant
byte first, then the payload in address order.

Ref: PCI Express Base Specification 3.1, 2.2.1 (common fields), 2.2.7 (requests), 2.2.8 (messages), 2.2.9
(completions).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..spec.tlp import COMPLETION_TYPES, MAX_LENGTH_DWORDS, REQUEST_CODES, RequestKind, TlpFormat, TlpType

__all__ = ["RawTlp", "TlpError", "decode_tlp", "encode_completion", "encode_request"]

_CONFIG = (TlpType.CONFIG_0, TlpType.CONFIG_1)
_MAX_BYTE_COUNT = 4 * MAX_LENGTH_DWORDS
_KINDS = {code: kind for kind, code in REQUEST_CODES.items()}
_MESSAGES = range(TlpType.MESSAGE, TlpType.MESSAGE + 8)


class TlpError(ValueError):
    """Bytes that are no TLP, or a header that cannot be encoded; the message says why."""


@dataclass
class RawTlp:
    """A decoded TLP: a completion or a request, its header fields, and its payload (without a digest)."""

    is_completion: bool
    header: dict[str, int] = field(default_factory=dict)
    data: bytes = b""


def _check(header: Mapping[str, int], widths: Mapping[str, int]) -> dict[str, int]:
    """All fields, the missing ones 0. Errors: :class:`TlpError` for unknown names and values that do not
    fit."""
    unknown = set(header) - set(widths)
    if unknown:
        raise TlpError(f"a header has no field {', '.join(sorted(unknown))}")
    for name, value in header.items():
        if not 0 <= value < 1 << widths[name]:
            raise TlpError(f"{name} is {value}, which does not fit {widths[name]} bits")
    return {name: int(header.get(name, 0)) for name in widths}


_COMMON = {"length": 11, "requester_id": 16, "tag": 8, "traffic_class": 3, "attributes": 3, "poisoned": 1}
_REQUEST = {"kind": 4, "address": 64, "first_be": 4, "last_be": 4, "target_id": 16} | _COMMON
_COMPLETION = {"status": 3, "has_data": 1, "byte_count": 13, "lower_address": 7, "completer_id": 16} | _COMMON


def _first_dword(header: Mapping[str, int], code: int, has_data: bool, four_dwords: bool) -> int:
    length, attributes = header["length"], header["attributes"]
    if not 0 <= length <= MAX_LENGTH_DWORDS:
        raise TlpError(f"length is {length}, which is more than {MAX_LENGTH_DWORDS} dwords")
    form = (TlpFormat.DATA if has_data else 0) | (TlpFormat.FOUR_DWORDS if four_dwords else 0)
    return (
        int(form) << 29
        | code << 24
        | header["traffic_class"] << 20
        | (attributes >> 2) << 18
        | header["poisoned"] << 14
        | (attributes & 3) << 12
        | length % MAX_LENGTH_DWORDS
    )


def _check_payload(data: bytes, has_data: bool, length: int) -> None:
    wanted = 4 * length if has_data else 0
    if len(data) != wanted:
        raise TlpError(f"the payload has {len(data)} bytes, the header says {wanted}")


def encode_request(header: Mapping[str, int], data: bytes = b"") -> bytes:
    """The raw bytes of a request; the header has three dwords if the address fits 32 bits, else four.

    Errors: :class:`TlpError` for a kind without a code of its own (messages, OTHER_NON_POSTED), a field
    that does not fit, or a payload that is not what ``length`` says.
    """
    fields = _check(header, _REQUEST)
    kind = next((kind for kind in REQUEST_CODES if kind.value == fields["kind"]), None)
    if kind is None:
        raise TlpError(f"requests of kind {fields['kind']} cannot be encoded")
    code, has_data = REQUEST_CODES[kind]
    if fields["length"] == 0:
        raise TlpError("length of a request is 0")
    _check_payload(data, has_data, fields["length"])
    address = fields["address"] & ~3
    four = address >> 32 != 0
    if four and code != TlpType.MEMORY:
        raise TlpError(f"address {address:#x} of a request of kind {kind.name} does not fit 32 bits")
    enables = fields["last_be"] << 4 | fields["first_be"]
    second = fields["requester_id"] << 16 | fields["tag"] << 8 | enables
    start = struct.pack(">LL", _first_dword(fields, code, has_data, four), second)
    if code in _CONFIG:
        return start + struct.pack(">L", fields["target_id"] << 16 | address & 0xFFC) + data
    return start + struct.pack(">Q" if four else ">L", address) + data


def encode_completion(header: Mapping[str, int], data: bytes = b"") -> bytes:
    """The raw bytes of a completion. Errors: :class:`TlpError` as in :func:`encode_request`."""
    fields = _check(header, _COMPLETION)
    has_data = bool(fields["has_data"])
    _check_payload(data, has_data, fields["length"])
    if fields["byte_count"] > _MAX_BYTE_COUNT or (has_data and fields["length"] == 0):
        raise TlpError(f"byte_count {fields['byte_count']} with length {fields['length']} cannot be")
    second = fields["completer_id"] << 16 | fields["status"] << 13 | fields["byte_count"] % _MAX_BYTE_COUNT
    third = fields["requester_id"] << 16 | fields["tag"] << 8 | fields["lower_address"]
    first = _first_dword(fields, TlpType.COMPLETION, has_data, four_dwords=False)
    return struct.pack(">LLL", first, second, third) + data


def decode_tlp(raw: bytes) -> RawTlp:
    """The TLP in ``raw``.

    A message has its code where other requests have byte enables (``first_be`` the low half), and its last
    two dwords as ``address``. Locked completions are completions; locked reads, atomics and what is not
    known are OTHER_NON_POSTED.
    Errors: :class:`TlpError` for a prefix, and for bytes that are more or fewer than the header says.
    """
    if len(raw) < 12:
        raise TlpError(f"{len(raw)} bytes are too few for a header")
    first, second, third = struct.unpack_from(">LLL", raw)
    form, code = first >> 29, first >> 24 & 0x1F
    if form & TlpFormat.PREFIX:
        raise TlpError("TLP prefixes are not supported")
    has_data, four = bool(form & TlpFormat.DATA), bool(form & TlpFormat.FOUR_DWORDS)
    size = 16 if four else 12
    length = (first & 0x3FF) or MAX_LENGTH_DWORDS
    digest = 4 if first >> 15 & 1 else 0
    wanted = size + digest + (4 * length if has_data else 0)
    if len(raw) != wanted:
        raise TlpError(f"the TLP has {len(raw)} bytes, its header says {wanted}")
    no_length = not has_data and (code in COMPLETION_TYPES or code in _MESSAGES)
    header = {
        "length": 0 if no_length else length,
        "traffic_class": first >> 20 & 7,
        "attributes": (first >> 18 & 1) << 2 | first >> 12 & 3,
        "poisoned": first >> 14 & 1,
    }
    data = bytes(raw[size : len(raw) - digest])
    if code in COMPLETION_TYPES:
        header |= {
            "status": second >> 13 & 7,
            "has_data": int(has_data),
            "byte_count": (second & 0xFFF) or _MAX_BYTE_COUNT,
            "lower_address": third & 0x7F,
            "requester_id": third >> 16,
            "completer_id": second >> 16,
            "tag": third >> 8 & 0xFF,
        }
        return RawTlp(True, header, data)
    header |= _request_fields(raw, code, has_data, four)
    return RawTlp(False, header, data)


def _request_fields(raw: bytes, code: int, has_data: bool, four: bool) -> dict[str, int]:
    _first, second, third = struct.unpack_from(">LLL", raw)
    address = struct.unpack_from(">Q", raw, 8)[0] if four else third
    kind = _KINDS.get((code, has_data), RequestKind.OTHER_NON_POSTED)  # type: ignore[call-overload]
    target = 0
    if code in _MESSAGES:
        kind = RequestKind.MESSAGE
    elif code in _CONFIG:
        target, address = third >> 16, third & 0xFFC
    else:
        address &= ~3
    return {
        "kind": kind.value,
        "address": address,
        "first_be": second & 0xF,
        "last_be": second >> 4 & 0xF,
        "requester_id": second >> 16,
        "target_id": target,
        "tag": second >> 8 & 0xFF,
    }
