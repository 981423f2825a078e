"""What can be done to a device: operations that C++ interprets and a person can read.

An operation has a binary form of :data:`OPERATION_BYTES` and a text form of one line::

    write common.queue_size 2 0x7
    read legacy.isr_status 1
    memory 0x9000 8 0x1122334455667788
    descriptor 0x1000 0x9000 64 NEXT|WRITE 3
    packed 0x1000 0x9000 64 AVAIL|WRITE 3
    fill 0x9000 512 0x5a
    notify 0
    wait 200
    settle 2000
    fault LOST 2
    fault LATE 0 300
    tlp MEMORY_READ common+0x0 length 4 enables 0xf 0xf
    reset status common within 4000
    reset function within 400
    reset hardware
    expect memory 0x5002 2 0x1 within 4000
    expect register common.device_status 1 0x0 mask 0x40 within 100 unless broken

``unless broken``: nothing is expected of a device that shows DEVICE_NEEDS_RESET.
"""

import enum
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .spaces import Space

__all__ = [
    "OPERATION_BYTES",
    "UNLESS_BROKEN",
    "Kind",
    "Operation",
    "Recovery",
    "descriptor",
    "expect_memory",
    "expect_register",
    "fault",
    "fill",
    "from_binary",
    "memory",
    "notify",
    "packed",
    "read",
    "reset",
    "settle",
    "tlp",
    "tlp_shape",
    "to_binary",
    "wait",
    "write",
]

_FORMAT = struct.Struct("<BBHIQQQ")

OPERATION_BYTES = _FORMAT.size
"""Size of the binary form of an operation."""


class Kind(enum.IntEnum):
    """What an operation does."""

    WRITE = 1
    """Write ``size`` bytes of ``value`` at ``address`` of ``space``. A posted write does not wait."""
    READ = 2
    """Read ``size`` bytes there, and wait for the answer."""
    TLP = 3
    """Send a request of :class:`~ringwalker.spec.tlp.RequestKind` ``size`` to ``address`` of ``space``.
    ``number`` is what :func:`tlp_shape` makes; ``value`` fills the payload, ``extra`` is the target's id. It
    does not wait for an answer."""
    MEMORY = 4
    """Write ``size`` bytes (1 to 16) of ``value`` and ``extra`` to guest memory at ``address``."""
    DESCRIPTOR = 5
    """The same, 16 bytes; written as a descriptor of a split ring."""
    PACKED = 6
    """The same, written as a descriptor of a packed ring."""
    FILL = 7
    """Write ``number`` bytes of ``value`` to guest memory."""
    NOTIFY = 8
    """Write ``value`` to the doorbell of queue ``number``, by the face of the set-up."""
    WAIT = 9
    """Let ``number`` cycles pass."""
    SETTLE = 10
    """Let time pass until the device is idle, at most ``number`` cycles."""
    FAULT = 11
    """Read number ``number`` of the device from now on ends with :class:`~ringwalker_sim.host.Fault`
    ``size``; ``value`` is a delay in cycles, for LATE."""
    RESET = 12
    """A reset of :class:`Recovery` ``size``. It must have ended after ``number`` cycles."""
    EXPECT_MEMORY = 13
    """``size`` bytes (1 to 8) of guest memory at ``address``, under the mask ``extra``, become ``value``
    within ``number`` cycles. ``space`` 1: unless the device shows DEVICE_NEEDS_RESET."""
    EXPECT_REGISTER = 14
    """The same of a register. ``space`` has bit 15 up for "unless"."""


class Recovery(enum.IntEnum):
    """Kinds of reset."""

    STATUS = 0
    """A device status of 0, by the face in ``space``; it has ended when 0 is read back."""
    FUNCTION = 1
    """A function level reset."""
    HARDWARE = 2
    """The reset of the clock domain; drops everything in flight."""


UNLESS_BROKEN = 1 << 15
"""In ``space`` of what is expected: not of a device that shows DEVICE_NEEDS_RESET."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; what its fields mean depends on ``kind``."""

    kind: Kind
    size: int = 0
    space: int = 0
    number: int = 0
    address: int = 0
    value: int = 0
    extra: int = 0

    def pack(self) -> bytes:
        """The binary form. Errors: ``struct.error`` for a number that has no room."""
        return _FORMAT.pack(
            self.kind, self.size, self.space, self.number, self.address, self.value, self.extra
        )


def to_binary(operations: Iterable[Operation]) -> bytes:
    """The binary forms, one behind the other."""
    return b"".join(operation.pack() for operation in operations)


def from_binary(raw: bytes) -> Iterator[Operation]:
    """The operations of :func:`to_binary`. Errors: ``ValueError`` for an unknown kind; ``struct.error``."""
    for kind, *fields in _FORMAT.iter_unpack(raw):
        yield Operation(Kind(kind), *fields)


# --- makers ---------------------------------------------------------------------------------------------


def write(space: Space, offset: int, size: int, value: int) -> Operation:
    """A register write."""
    return Operation(Kind.WRITE, size, space, 0, offset, value)


def read(space: Space, offset: int, size: int) -> Operation:
    """A register read."""
    return Operation(Kind.READ, size, space, 0, offset)


def memory(address: int, raw: bytes) -> Operation:
    """A write of 1 to 16 bytes to guest memory. Errors: ``ValueError`` for more."""
    if not 1 <= len(raw) <= 16:
        raise ValueError(f"memory of {len(raw)} bytes; an operation has 1 to 16")
    low, high = struct.unpack("<QQ", raw.ljust(16, b"\0"))
    return Operation(Kind.MEMORY, len(raw), 0, 0, address, low, high)


def descriptor(at: int, address: int, length: int, flags: int = 0, following: int = 0) -> Operation:
    """A descriptor of a split ring, to guest memory."""
    return Operation(Kind.DESCRIPTOR, 16, 0, 0, at, address, length | flags << 32 | following << 48)


def packed(at: int, address: int, length: int, flags: int, number: int = 0) -> Operation:
    """A descriptor of a packed ring with the buffer id ``number``, to guest memory."""
    return Operation(Kind.PACKED, 16, 0, 0, at, address, length | number << 32 | flags << 48)


def fill(address: int, length: int, byte: int) -> Operation:
    """The same byte, many times, to guest memory."""
    return Operation(Kind.FILL, 0, 0, length, address, byte)


def notify(queue: int, value: int | None = None) -> Operation:
    """A doorbell; ``value`` is the queue's number if nothing else is said."""
    return Operation(Kind.NOTIFY, 0, 0, queue, 0, queue if value is None else value)


def wait(cycles: int) -> Operation:
    """Time."""
    return Operation(Kind.WAIT, number=cycles)


def settle(cycles: int) -> Operation:
    """Time until the device is idle."""
    return Operation(Kind.SETTLE, number=cycles)


def fault(kind: int, nth: int = 0, delay: int = 0) -> Operation:
    """A read of the device goes wrong."""
    return Operation(Kind.FAULT, kind, 0, nth, 0, delay)


def tlp_shape(
    length: int, first_be: int, last_be: int, traffic: int = 0, attributes: int = 0, poisoned: int = 0
) -> int:
    """The ``number`` of a TLP: ``length`` in dwords (11 bits), byte enables, traffic class, attributes."""
    return length | first_be << 11 | last_be << 15 | traffic << 19 | attributes << 22 | poisoned << 25


def tlp(kind: int, space: Space, offset: int, shape: int, value: int = 0, target: int = 0) -> Operation:
    """A request as it is on the link; ``shape`` is a :func:`tlp_shape`."""
    return Operation(Kind.TLP, kind, space, shape, offset, value, target)


def reset(kind: Recovery, cycles: int, space: Space = Space.COMMON) -> Operation:
    """A reset that ends within ``cycles``."""
    return Operation(Kind.RESET, kind, space, cycles)


def expect_memory(
    address: int, size: int, value: int, cycles: int, mask: int | None = None, unless: bool = False
) -> Operation:
    """Guest memory gets a value in time."""
    kept = (1 << 8 * size) - 1 if mask is None else mask
    return Operation(
        Kind.EXPECT_MEMORY, size, UNLESS_BROKEN if unless else 0, cycles, address, value & kept, kept
    )


def expect_register(
    space: Space,
    offset: int,
    size: int,
    value: int,
    cycles: int,
    mask: int | None = None,
    unless: bool = False,
) -> Operation:
    """A register gets a value in time; it is read again and again."""
    kept = (1 << 8 * size) - 1 if mask is None else mask
    flag = UNLESS_BROKEN if unless else 0
    return Operation(Kind.EXPECT_REGISTER, size, space | flag, cycles, offset, value & kept, kept)
