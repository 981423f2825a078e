"""Headers as they stand on the wire, in four dwords."""

from typing import Any

from amaranth.hdl import Cat, Const, Mux

from ..spec.tlp import RequestKind

__all__ = ["raw_completion_header", "raw_request_header"]


def _tag_bit(header: Any, number: int) -> Any:
    """A bit of the tag beyond the lowest eight; 0 where the tag does not have it."""
    return header.tag[number] if number < len(header.tag) else Const(0, 1)


def _dword0(with_data: Any, far: Any, kind: Any, header: Any) -> Any:
    """Format, type, upper bits of the tag, traffic class, attributes, poison and length."""
    return Cat(
        header.length[:10],
        Const(0, 2),
        header.attributes[:2],
        header.poisoned,
        Const(0, 3),
        header.attributes[2],
        _tag_bit(header, 8),
        header.traffic_class,
        _tag_bit(header, 9),
        kind,
        far,
        with_data,
        Const(0, 1),
    )


def raw_request_header(header: Any) -> Any:
    """The 128 bits of a RequestHeader, first byte highest; a header of three dwords leaves the last 0.

    Type and message code are as far as the decoded header says: those of OTHER_NON_POSTED and MESSAGE are 0.

    Ref: PCIe 3.1, 2.2.1, 2.2.7; PCIe 4.0, 2.2.6.2 (tags of ten bits)
    """
    kind = header.kind
    memory = (kind == RequestKind.MEMORY_READ) | (kind == RequestKind.MEMORY_WRITE)
    io = (kind == RequestKind.IO_READ) | (kind == RequestKind.IO_WRITE)
    config_0 = (kind == RequestKind.CONFIG_READ_0) | (kind == RequestKind.CONFIG_WRITE_0)
    config_1 = (kind == RequestKind.CONFIG_READ_1) | (kind == RequestKind.CONFIG_WRITE_1)
    writes = (
        (kind == RequestKind.MEMORY_WRITE)
        | (kind == RequestKind.IO_WRITE)
        | (kind == RequestKind.CONFIG_WRITE_0)
        | (kind == RequestKind.CONFIG_WRITE_1)
    )
    far = memory & (header.address[32:] != 0)
    type_ = Cat(config_1, io, config_0 | config_1, Const(0, 2))
    address = header.address
    third = Mux(config_0 | config_1, Cat(address[:12], Const(0, 4), header.target_id), address[:32])
    return Cat(
        Mux(far, address[:32], 0),
        Mux(far, address[32:], third),
        Cat(header.first_be, header.last_be, header.tag[:8], header.requester_id),
        _dword0(writes, far, type_, header),
    )


def raw_completion_header(header: Any) -> Any:
    """The 128 bits of a CompletionHeader, first byte highest; the last dword is 0. Ref: PCIe 3.1, 2.2.9."""
    return Cat(
        Const(0, 32),
        Cat(header.lower_address, Const(0, 1), header.tag[:8], header.requester_id),
        Cat(header.byte_count[:12], Const(0, 1), header.status, header.completer_id),
        _dword0(header.has_data, Const(0, 1), Const(0b01010, 5), header),
    )
