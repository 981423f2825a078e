"""TLPs of cocotbext-pcie as beats of the device's streams, and back.

Ref: ``ringwalker.spec.tlp`` for the fields; PCI Express Base 3.1, 2.2 for the types.
"""

from collections.abc import Iterator, Mapping

from cocotbext.pcie.core.tlp import CplStatus, MsgType, Tlp, TlpAttr, TlpTc, TlpType
from cocotbext.pcie.core.utils import PcieId

from ringwalker.spec.tlp import CompletionStatus, RequestKind

__all__ = [
    "COMPLETIONS",
    "completion_header",
    "message_code",
    "packet_beats",
    "request_header",
    "set_message_code",
    "tlp_from_completion",
    "tlp_from_request",
    "tlp_kind",
]

COMPLETIONS = frozenset({TlpType.CPL, TlpType.CPL_DATA, TlpType.CPL_LOCKED, TlpType.CPL_LOCKED_DATA})

_KINDS = {
    TlpType.MEM_READ: RequestKind.MEMORY_READ,
    TlpType.MEM_READ_64: RequestKind.MEMORY_READ,
    TlpType.MEM_WRITE: RequestKind.MEMORY_WRITE,
    TlpType.MEM_WRITE_64: RequestKind.MEMORY_WRITE,
    TlpType.IO_READ: RequestKind.IO_READ,
    TlpType.IO_WRITE: RequestKind.IO_WRITE,
    TlpType.CFG_READ_0: RequestKind.CONFIG_READ_0,
    TlpType.CFG_WRITE_0: RequestKind.CONFIG_WRITE_0,
    TlpType.CFG_READ_1: RequestKind.CONFIG_READ_1,
    TlpType.CFG_WRITE_1: RequestKind.CONFIG_WRITE_1,
}
_CONFIG = {
    RequestKind.CONFIG_READ_0,
    RequestKind.CONFIG_WRITE_0,
    RequestKind.CONFIG_READ_1,
    RequestKind.CONFIG_WRITE_1,
}


def _kind(tlp: Tlp) -> RequestKind:
    known = _KINDS.get(tlp.fmt_type)
    if known is not None:
        return known
    return RequestKind.MESSAGE if tlp.is_posted() else RequestKind.OTHER_NON_POSTED


def request_header(tlp: Tlp) -> dict[str, int]:
    """The ``header_*`` fields of a request beat."""
    kind = _kind(tlp)
    return {
        "header_kind": kind.value,
        "header_address": tlp.address & ~3,
        "header_length": tlp.length,
        "header_first_be": tlp.first_be,
        "header_last_be": tlp.last_be,
        "header_requester_id": int(tlp.requester_id),
        "header_target_id": int(tlp.completer_id) if kind in _CONFIG else 0,
        "header_tag": tlp.tag,
        "header_traffic_class": int(tlp.tc),
        "header_attributes": int(tlp.attr),
        "header_poisoned": int(tlp.ep),
    }


def completion_header(tlp: Tlp) -> dict[str, int]:
    """The ``header_*`` fields of a completion beat."""
    has_data = tlp.has_data()
    return {
        "header_status": CompletionStatus(int(tlp.status)).value,
        "header_has_data": int(has_data),
        "header_length": tlp.length if has_data else 0,
        "header_byte_count": tlp.byte_count,
        "header_lower_address": tlp.lower_address,
        "header_requester_id": int(tlp.requester_id),
        "header_completer_id": int(tlp.completer_id),
        "header_tag": tlp.tag,
        "header_traffic_class": int(tlp.tc),
        "header_attributes": int(tlp.attr),
        "header_poisoned": int(tlp.ep),
    }


def packet_beats(
    header: Mapping[str, int], payload: bytes | bytearray, data_width: int
) -> Iterator[dict[str, int]]:
    """Cut a packet into beats of ``data_width`` bits; without payload one beat with ``dwords`` 0."""
    step = data_width // 8
    if not payload:
        yield {**header, "data": 0, "dwords": 0, "first": 1, "last": 1}
        return
    for start in range(0, len(payload), step):
        part = payload[start : start + step]
        beat = {
            "data": int.from_bytes(part, "little"),
            "dwords": (1 << len(part) // 4) - 1,
            "first": int(start == 0),
            "last": int(start + step >= len(payload)),
        }
        yield {**header, **beat} if start == 0 else beat


def _payload(tlp: Tlp, header: Mapping[str, int], payload: bytes, expected: int) -> None:
    if len(payload) != expected * 4:
        raise AssertionError(
            f"packet with {len(payload)} bytes of payload, its header says {expected} dwords"
        )
    tlp.tag = header["header_tag"]
    tlp.tc = TlpTc(header["header_traffic_class"])
    tlp.attr = TlpAttr(header["header_attributes"])
    tlp.ep = bool(header["header_poisoned"])
    tlp.requester_id = PcieId.from_int(header["header_requester_id"])
    tlp.data = bytearray(payload)


def tlp_from_request(header: Mapping[str, int], payload: bytes) -> Tlp:
    """The TLP of a request that the device sent. Errors: ``AssertionError`` when it cannot be one."""
    kind = RequestKind(header["header_kind"])
    address = header["header_address"]
    far = address >> 32 != 0
    tlp = Tlp()
    if kind is RequestKind.MEMORY_READ:
        tlp.fmt_type = TlpType.MEM_READ_64 if far else TlpType.MEM_READ
    elif kind is RequestKind.MEMORY_WRITE:
        tlp.fmt_type = TlpType.MEM_WRITE_64 if far else TlpType.MEM_WRITE
    elif kind is RequestKind.MESSAGE:
        tlp.fmt_type = TlpType.MSG_TO_RC
    else:
        raise AssertionError(f"the device sent a {kind.name} request")
    tlp.address = address
    tlp.length = header["header_length"]
    tlp.first_be = header["header_first_be"]
    tlp.last_be = header["header_last_be"]
    _payload(tlp, header, payload, tlp.length if kind is RequestKind.MEMORY_WRITE else 0)
    return tlp


def tlp_from_completion(header: Mapping[str, int], payload: bytes) -> Tlp:
    """The TLP of a completion that the device sent. Errors: ``AssertionError`` when it cannot be one."""
    has_data = bool(header["header_has_data"])
    tlp = Tlp()
    tlp.fmt_type = TlpType.CPL_DATA if has_data else TlpType.CPL
    tlp.status = CplStatus(header["header_status"])
    tlp.completer_id = PcieId.from_int(header["header_completer_id"])
    tlp.byte_count = header["header_byte_count"]
    tlp.lower_address = header["header_lower_address"]
    tlp.length = header["header_length"]
    _payload(tlp, header, payload, tlp.length if has_data else 0)
    return tlp


def set_message_code(tlp: Tlp, code: MsgType) -> None:
    """Put a message's code where it stands in the header: in the place of the byte enables."""
    tlp.first_be = code & 0xF
    tlp.last_be = code >> 4


def message_code(tlp: Tlp) -> MsgType:
    """The code of a message."""
    return MsgType(tlp.last_be << 4 | tlp.first_be)


def tlp_kind(tlp: Tlp) -> str:
    """A TLP's kind for counting, such as ``memory_read`` or ``completion_data``."""
    if tlp.fmt_type in COMPLETIONS:
        return "completion_data" if tlp.has_data() else "completion"
    kind = _kind(tlp)
    if kind is RequestKind.OTHER_NON_POSTED:
        return "other"
    return kind.name.lower().removesuffix("_0").removesuffix("_1")
