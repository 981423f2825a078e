"""A byte stream with bounded capacity, like a socket, and the records on it.

Both ends use :class:`PipeEnd`: the transport of the driver (:mod:`.pipe`) and the device
(:mod:`...golden.pipe_server`). A read or write transfers a random number of bytes, as those of a socket may.
"""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import unsigned
from amaranth.lib import data

from ringwalker.spec.registers import Access, Register, RegisterTable

from ...errors import EXIT_FAILED, RingwalkerError
from ...memory import dtype_of

__all__ = [
    "PIPE_COMMON",
    "BytePipe",
    "PipeEnd",
    "PipeError",
    "PipeHeader",
    "PipeSpace",
    "Record",
    "RecordKind",
    "make_pipe",
]

MAGIC = 0x5650
_LONGEST = 1 << 26
"""Most bytes of payload; a longer record is refused."""

Schedule = Callable[[int, Callable[[], None]], None]


class PipeError(RingwalkerError, ValueError):
    """The bytes from the pipe are not a valid record."""

    exit_code = EXIT_FAILED


class RecordKind(enum.IntEnum):
    """Kinds of record. Those below 16 go to the device, the others to the driver."""

    OFFER = 1
    """A buffer: ``value`` is the number of writable bytes, the payload are the readable ones."""
    CANCEL = 2
    """Take back buffer ``id``; answered with value 1, or 0 if the device does not hold it."""
    STOP = 3
    """Take back all buffers of a queue; answered."""
    READ = 4
    """Read ``value`` bytes at offset ``id`` of space ``queue``; the answer has them."""
    WRITE = 5
    """Write the payload at offset ``id`` of space ``queue``; answered."""
    ANSWER = 16
    """Answer to one of the above, in their order; ``id`` is the kind that it answers."""
    USED = 17
    """Buffer ``id`` is used, with length ``value``. The last ``tail`` bytes of the payload go to the end of
    the writable bytes, the others to their start.
    """
    CHANGED = 18
    """The configuration of the device has changed, or the device has failed."""


class PipeSpace(enum.IntEnum):
    """Spaces of registers beside the queues."""

    COMMON = 0
    DEVICE = 1
    FIELDS = 2


PIPE_COMMON = RegisterTable(
    "pipe_common",
    "Space COMMON of a device behind a pipe.",
    (
        Register("device_features", 0, 64, Access.RO, "Feature bits offered by the device."),
        Register("driver_features", 8, 64, Access.RW, "Feature bits accepted by the driver."),
        Register("status", 16, 8, Access.RW, "Device status; writing 0 resets the device."),
        Register("generation", 17, 8, Access.RO, "Changes whenever device configuration changes."),
        Register("num_queues", 18, 16, Access.RO, "Number of queues."),
        Register("queue_size", 20, 16, Access.RO, "Most descriptors of a queue."),
        Register("config_bytes", 22, 16, Access.RO, "Bytes of space DEVICE."),
        Register("field_bytes", 24, 32, Access.RO, "Bytes of space FIELDS."),
    ),
)


class PipeHeader(data.Struct):
    """The 20 bytes in front of a payload of ``length`` bytes."""

    magic: unsigned(16)
    kind: unsigned(16)
    queue: unsigned(16)
    tail: unsigned(16)
    id: unsigned(32)
    value: unsigned(32)
    length: unsigned(32)


_HEADER = dtype_of(PipeHeader)


@dataclass(frozen=True)
class Record:
    """One record; see :class:`RecordKind` for what the fields mean."""

    kind: RecordKind
    queue: int = 0
    id: int = 0
    value: int = 0
    payload: bytes = b""
    tail: int = 0

    def encode(self) -> bytes:
        """The bytes on the stream."""
        raw = np.zeros(1, _HEADER)
        raw["magic"], raw["kind"], raw["length"] = MAGIC, self.kind, len(self.payload)
        for name in ("queue", "tail", "id", "value"):
            raw[name] = getattr(self, name)
        return raw.tobytes() + self.payload


def _decode(content: bytearray) -> Record | None:
    """Remove the first record from ``content``; None if it is incomplete. Errors: :class:`PipeError`."""
    if len(content) < _HEADER.itemsize:
        return None
    raw = np.frombuffer(bytes(content[: _HEADER.itemsize]), _HEADER)[0]
    length, kind = int(raw["length"]), int(raw["kind"])
    if int(raw["magic"]) != MAGIC or kind not in tuple(RecordKind) or length > _LONGEST:
        raise PipeError(f"{content[: _HEADER.itemsize].hex()} is not the header of a record")
    if int(raw["tail"]) > length:
        raise PipeError(f"a record of {length} bytes has a tail of {int(raw['tail'])}")
    end = _HEADER.itemsize + length
    if len(content) < end:
        return None
    payload = bytes(content[_HEADER.itemsize : end])
    del content[:end]
    fields = {name: int(raw[name]) for name in ("queue", "id", "value", "tail")}
    return Record(RecordKind(kind), payload=payload, **fields)


class BytePipe:
    """One direction: at most ``capacity`` bytes in flight, which arrive ``latency`` cycles after the write.

    ``on_readable`` runs when bytes have arrived, ``on_writable`` when a full pipe has room again.
    """

    def __init__(self, schedule: Schedule, capacity: int, latency: int, chance: random.Random):
        if capacity < 1 or latency < 1:
            raise ValueError(f"a pipe of capacity {capacity} and latency {latency}; both must be at least 1")
        self._schedule = schedule
        self._capacity = capacity
        self._latency = latency
        self._random = chance
        self._content = bytearray()
        self._announced = self._starved = False
        self.on_readable: Callable[[], None] = lambda: None
        self.on_writable: Callable[[], None] = lambda: None

    def write(self, content: bytes | bytearray | memoryview) -> int:
        """Accept some of the bytes; the number of them, 0 when the pipe is full."""
        room = self._capacity - len(self._content)
        if room == 0:
            self._starved = True
            return 0
        count = min(len(content), self._random.randint(1, room))
        self._content += content[:count]
        self._tell()
        return count

    def read(self) -> bytes:
        """Some of the bytes that have arrived; empty when there are none."""
        count = self._random.randint(1, len(self._content)) if self._content else 0
        content = bytes(self._content[:count])
        del self._content[:count]
        if self._content:
            self._tell()
        if self._starved and count:
            self._starved = False
            self._schedule(1, lambda: self.on_writable())
        return content

    def _tell(self) -> None:
        if not self._announced:
            self._announced = True
            self._schedule(self._latency, self._arrived)

    def _arrived(self) -> None:
        self._announced = False
        self.on_readable()


class PipeEnd:
    """One end of a pair of pipes: :meth:`send` sends a record, ``handle(record)`` runs for received ones.

    ``failed(error)`` runs once, on the first invalid record; nothing is read after that.
    """

    def __init__(self, schedule: Schedule, incoming: BytePipe, outgoing: BytePipe):
        self._schedule = schedule
        self._incoming = incoming
        self._outgoing = outgoing
        self._backlog = bytearray()
        self._content = bytearray()
        self._pushing = False
        self.dead = False
        self.handle: Callable[[Record], None] = lambda _record: None
        self.failed: Callable[[PipeError], None] = lambda _error: None
        incoming.on_readable = self._pull
        outgoing.on_writable = self._push

    def send(self, record: Record) -> None:
        """Queue a record; it is sent as the pipe has room."""
        self.send_bytes(record.encode())

    def send_bytes(self, content: bytes) -> None:
        """Queue bytes, which need not be a record."""
        self._backlog += content
        if not self._pushing:
            self._push()

    def _push(self) -> None:
        self._pushing = bool(self._backlog)
        if self._backlog:
            count = self._outgoing.write(memoryview(bytes(self._backlog[:65536])))
            del self._backlog[:count]
            if count:
                self._schedule(1, self._push)

    def _pull(self) -> None:
        content = self._incoming.read()
        if self.dead:
            return
        self._content += content
        try:
            while not self.dead and (record := _decode(self._content)) is not None:
                self.handle(record)
        except PipeError as error:
            self.dead = True
            self.failed(error)


def make_pipe(
    schedule: Schedule, *, capacity: int = 4096, latency: int = 20, seed: int = 0
) -> tuple[PipeEnd, PipeEnd]:
    """Two ends; each receives what the other sends, with at most ``capacity`` bytes in flight each way."""
    chance = random.Random(seed)
    there, back = (BytePipe(schedule, capacity, latency, chance) for _ in range(2))
    return PipeEnd(schedule, back, there), PipeEnd(schedule, there, back)
