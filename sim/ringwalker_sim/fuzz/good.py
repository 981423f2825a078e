"""Good requests: one on each queue of a device that is ready, with the data that must come."""

from dataclasses import replace

from ringwalker.spec.blk import ID_BYTES, BlkRequestHeader, BlkRequestType
from ringwalker.spec.net import NetClass, NetRxCommand

from ..struct_bytes import struct_bytes
from .operations import Operation, expect_memory, fill, memory, notify
from .rings import Piece, ring_of
from .scene import Queue, Role

__all__ = ["GOOD_CYCLES", "SERIAL", "good_requests"]

GOOD_CYCLES = 6000
"""A good request on a device that is ready has ended after so many."""

SERIAL = b"ringwalker"
"""What a block device says of itself."""

_AREA, _AREA_BYTES = 0x1_4000, 0x800
"""Buffers of good requests in guest memory: those of queue 0, and so on."""

_MEMORY_BYTES = 1 << 20

_FRAME = b"\xff" * 6 + b"RWfuzz" + b"\x88\xb5" + bytes(range(46))
"""To everybody. It comes back."""

_Request = tuple[list[Operation], list[Piece], list[Operation]]
"""What is written beforehand, the pieces of the chain, and what is expected of the data."""


def _bytes(address: int, raw: bytes) -> list[Operation]:
    return [memory(address + n, raw[n : n + 16]) for n in range(0, len(raw), 16)]


def _expected(address: int, raw: bytes) -> list[Operation]:
    pieces = [(n, raw[n : n + 8]) for n in range(0, len(raw), 8)]
    return [
        expect_memory(address + n, len(piece), int.from_bytes(piece, "little"), 200) for n, piece in pieces
    ]


def _block(at: int, header_bytes: int) -> _Request:
    header = struct_bytes(BlkRequestHeader, type=int(BlkRequestType.GET_ID))
    pieces = [(at, 16, False), (at + 0x40, ID_BYTES, True), (at + 0x80, 1, True)]
    expected = _expected(at + 0x40, SERIAL.ljust(ID_BYTES, b"\0") + b"\xee" * 4)
    return (
        [*_bytes(at, header), fill(at + 0x40, 0x80, 0xEE)],
        pieces,
        [*expected, *_expected(at + 0x80, b"\0\xee")],
    )


def _receive(at: int, header_bytes: int, network: bool) -> _Request:
    data = at + header_bytes
    expected = _expected(data, _FRAME[:14]) if network else []
    return [fill(at, 0x100, 0xEE)], [(at, 0x700 if network else 16, True)], expected


def _transmit(at: int, header_bytes: int, network: bool) -> _Request:
    raw = bytes(header_bytes) + _FRAME if network else _FRAME[:24]
    return _bytes(at, raw), [(at, len(raw), False)], []


def _control(at: int, header_bytes: int) -> _Request:
    raw = bytes((NetClass.RX, NetRxCommand.PROMISCUOUS, 1))
    pieces = [(at, 3, False), (at + 0x40, 1, True)]
    return [*_bytes(at, raw), fill(at + 0x40, 8, 0xEE)], pieces, _expected(at + 0x40, b"\0\xee")


def _entropy(at: int, header_bytes: int) -> _Request:
    return [], [(at, 32, True)], []


def _request(queue: Queue, function: str, header_bytes: int) -> _Request:
    at = queue.desc & ~(_MEMORY_BYTES - 1) | _AREA + _AREA_BYTES * queue.number
    if queue.role is Role.BLOCK:
        return _block(at, header_bytes)
    if queue.role is Role.CONTROL:
        return _control(at, header_bytes)
    if queue.role is Role.ENTROPY:
        return _entropy(at, header_bytes)
    make = _receive if queue.role is Role.RECEIVE else _transmit
    return make(at, header_bytes, function == "net")


def good_requests(
    function: str, queues: list[Queue], header_bytes: int, notify_data: bool
) -> tuple[list[Operation], list[Queue]]:
    """One on each queue, all of them at once; the queues as they are afterwards.

    ``notify_data``: notifications carry the place in the ring.
    """
    before: list[Operation] = []
    behind: list[Operation] = []
    used: list[Queue] = []
    for queue in queues:
        ring = ring_of(queue)
        written, pieces, expected = _request(queue, function, header_bytes)
        before += [*written, *ring.offer(pieces), *ring.publish()]
        value = queue.number | (ring.place << 16 if notify_data else 0)
        before.append(notify(queue.number, value))
        behind += [replace(ring.expect(GOOD_CYCLES), space=0), *expected]
        place = queue.at + len(pieces)
        wrap = queue.wrap ^ place // queue.size & 1
        used.append(replace(queue, index=queue.index + 1, at=place % queue.size, wrap=wrap))
    return [*before, *behind], used
