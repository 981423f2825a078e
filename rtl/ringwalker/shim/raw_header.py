"""Raw headers of a design, decoded, and payloads with their bytes in either order."""

from typing import Any

from amaranth.hdl import Cat, Const, Mux, Value

from ..spec.tlp import RequestKind

__all__ = ["decoded_completion", "decoded_request", "is_completion", "swapped"]

_MEMORY, _COMPLETION, _MESSAGE = 0b00000, 0b01010, 0b10


def is_completion(raw: Any) -> Any:
    """Whether the header, dword 0 in bits 31:0, is that of a completion."""
    return raw[24:29] == _COMPLETION


def swapped(words: Any) -> Any:
    """Dwords with their bytes the other way round."""
    count = len(words) // 32
    return Cat(words[32 * n + 8 * b : 32 * n + 8 * b + 8] for n in range(count) for b in (3, 2, 1, 0))


def _common(raw: Any) -> dict[str, Any]:
    return {
        "length": Cat(raw[:10], raw[:10] == 0),
        "attributes": Cat(raw[12:14], raw[18]),
        "poisoned": raw[14],
        "traffic_class": raw[20:23],
    }


def decoded_request(m: Any, header: Any, raw: Any) -> None:
    """Drive ``header``, a RequestHeader, from the raw one. What is neither a memory request nor a message is
    OTHER_NON_POSTED.
    """
    far, with_data = raw[29], raw[30]
    kind = Mux(with_data, RequestKind.MEMORY_WRITE.value, RequestKind.MEMORY_READ.value)
    other = Mux(raw[27:29] == _MESSAGE, RequestKind.MESSAGE.value, RequestKind.OTHER_NON_POSTED.value)
    near = Cat(Const(0, 2), raw[66:96])
    fields = {
        **_common(raw),
        "first_be": raw[32:36],
        "last_be": raw[36:40],
        "tag": raw[40:48],
        "requester_id": raw[48:64],
        "address": Mux(far, Cat(Const(0, 2), raw[98:128], raw[64:96]), near),
    }
    m.d.comb += [
        Value.cast(header.kind).eq(Mux(raw[24:29] == _MEMORY, kind, other)),
        *(getattr(header, name).eq(value) for name, value in fields.items()),
    ]


def decoded_completion(m: Any, header: Any, raw: Any) -> None:
    """Drive ``header``, a CompletionHeader, from the raw one."""
    count = raw[32:44]
    fields = {
        **_common(raw),
        "byte_count": Cat(count, count == 0),
        "completer_id": raw[48:64],
        "lower_address": raw[64:71],
        "tag": raw[72:80],
        "requester_id": raw[80:96],
        "has_data": raw[30],
    }
    m.d.comb += [
        Value.cast(header.status).eq(raw[45:48]),
        *(getattr(header, name).eq(value) for name, value in fields.items()),
    ]
    with m.If(~raw[30]):
        m.d.comb += header.length.eq(0)
