"""Work that a device of each type does by itself, for checks that are about rings and not about the type."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ringwalker.spec.blk import (
    BLK_CONFIG,
    ID_BYTES,
    SECTOR_BYTES,
    BlkFeature,
    BlkRequestHeader,
    BlkRequestType,
)
from ringwalker.spec.console import CONSOLE_TRANSMIT_QUEUE
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import LEGACY_NET_HEADER_BYTES, NET_TRANSMIT_QUEUE, NetHeader

from ..memory import Buffer, dtype_of
from .check import Nonconformance, NotApplicable
from .rings.queues import Piece, Queue, Used
from .subject import Subject

__all__ = ["BlkStimulus", "Stimulus", "Work", "cut", "stimulus"]

_UNWRITTEN = 0xEE
_FRAME = bytes(6 * [0xFF]) + bytes.fromhex("02123456789a88b5")
"""Destination, source and type (for local experiments) of the frames that are sent."""


class Work(ABC):
    """One buffer for the device: its ``pieces``."""

    pieces: list[Piece]

    @abstractmethod
    def check(self, used: Used, clause: str) -> None:
        """Errors: :class:`Nonconformance` of ``clause`` when the device did not do it right."""


class Stimulus(ABC):
    """Work for queue ``queue`` of ``subject``, which needs nothing from outside to be done."""

    queue: int

    def __init__(self, subject: Subject):
        self.subject = subject

    @abstractmethod
    def work(self, number: int, pieces: Sequence[int] = ()) -> Work:
        """Work number ``number``. ``pieces`` are lengths into which its readable bytes, and then its writable
        bytes, are cut: the last of each takes the rest. By default as few as the face allows."""

    def flood(self, queue: Queue, most: int) -> int:
        """Make work number 0 and on available at once, ``most`` or as much as there are descriptors for; how
        much that is."""
        for number in range(most):
            pieces = self.work(number).pieces
            if len(pieces) > queue.vacant:
                most = number
                break
            queue.offer(pieces)
        queue.publish()
        return most

    async def do(self, count: int, clause: str) -> None:
        """Do work number 0 to ``count - 1``, one after the other. Errors: :class:`Nonconformance` of
        ``clause`` when one is not done in time, or not right."""
        queue = self.subject.queues[self.queue]
        for number in range(count):
            work = self.work(number)
            queue.offer(work.pieces)
            queue.publish()
            await self.subject.kick(queue)
            (used,) = await self.subject.used(queue, 1, clause)
            work.check(used, clause)

    def light_work(self, number: int) -> Work:
        """Work that takes as little time as there is."""
        return self.work(number)


def cut(buffer: Buffer, lengths: Sequence[int], writable: bool) -> list[Piece]:
    """The pieces of a buffer: of ``lengths`` as far as they go, and what is left."""
    pieces, at = [], 0
    for length in (*lengths, len(buffer.array)):
        length = min(length, buffer.length - at)
        if length:
            pieces.append(Piece(buffer.address + at, length, writable))
        at += length
    return pieces


class _BlkRead(Work):
    """A read of ``length`` bytes at a sector; ``lengths`` cut header and answer."""

    def __init__(
        self, subject: Subject, sector: int, length: int, lengths: Sequence[int], expected: bytes | None
    ):
        header = subject.buffer(dtype_of(BlkRequestHeader).itemsize)
        view = subject.memory.struct_view(header.address, BlkRequestHeader)[0]
        view["type"], view["reserved"], view["sector"] = BlkRequestType.IN, 0, sector
        self.answer = subject.buffer(length + 1, bytes([_UNWRITTEN]) * (length + 1))
        self.pieces = cut(header, lengths, False) + cut(self.answer, lengths, True)
        self.expected = expected

    @property
    def content(self) -> bytes:
        return self.answer.array[:-1].tobytes()

    def check(self, used: Used, clause: str) -> None:
        status = int(self.answer.array[-1])
        if status:
            raise Nonconformance(clause, f"a read of a block ends with status {status:#x}")
        if self.expected is not None and self.content != self.expected:
            raise Nonconformance(clause, "a block does not hold what it held when it was read before")


class _BlkName(Work):
    def __init__(self, subject: Subject):
        header = subject.buffer(
            dtype_of(BlkRequestHeader).itemsize, bytes(dtype_of(BlkRequestHeader).itemsize)
        )
        subject.memory.struct_view(header.address, BlkRequestHeader)[0]["type"] = BlkRequestType.GET_ID
        self.pieces = cut(header, (), False) + cut(subject.buffer(ID_BYTES + 1), (ID_BYTES,), True)

    def check(self, used: Used, clause: str) -> None:
        pass


class BlkStimulus(Stimulus):
    """Reads of the first blocks. What they hold is learnt from the first read of each."""

    queue = 0
    BLOCKS = 8

    def __init__(self, subject: Subject):
        super().__init__(subject)
        self.unit = 1
        """Sectors of a block."""
        self.content: dict[int, bytes] = {}

    async def learn(self) -> None:
        """Read each block once, one at a time."""
        if self.subject.offers(BlkFeature.BLK_SIZE):
            size = await self.subject.transport.read_device_field(BLK_CONFIG.blk_size)
            self.unit = max(1, size // SECTOR_BYTES)
        queue = self.subject.queues[self.queue]
        for block in range(self.BLOCKS):
            work = self.work(block)
            queue.offer(work.pieces)
            queue.publish()
            await self.subject.kick(queue)
            (used,) = await self.subject.used(queue, 1)
            work.check(used, "core-10.02")
            self.content[block] = work.content

    def work(self, number: int, pieces: Sequence[int] = ()) -> _BlkRead:
        """A read of a block."""
        block, length = number % self.BLOCKS, self.unit * SECTOR_BYTES
        if not pieces and not self.subject.any_layout:
            pieces = (length,)
        return _BlkRead(self.subject, block * self.unit, length, pieces, self.content.get(block))

    def light_work(self, number: int) -> Work:
        """A request of the name of the disk."""
        return _BlkName(self.subject)


class _Sent(Work):
    def __init__(self, pieces: list[Piece]):
        self.pieces = pieces

    def check(self, used: Used, clause: str) -> None:
        if used.length:
            raise Nonconformance("core-10.02", f"{used.length} bytes are written into a buffer without room")


class NetStimulus(Stimulus):
    """Frames to be sent."""

    queue = NET_TRANSMIT_QUEUE

    def work(self, number: int, pieces: Sequence[int] = ()) -> Work:
        """A broadcast frame of 60 bytes, numbered."""
        size = LEGACY_NET_HEADER_BYTES if self.subject.legacy else dtype_of(NetHeader).itemsize
        content = bytes(size) + _FRAME + number.to_bytes(46, "little")
        if not pieces and not self.subject.any_layout:
            pieces = (size,)
        return _Sent(cut(self.subject.buffer(len(content), content), pieces, False))


class ConsoleStimulus(Stimulus):
    """Lines to be put out."""

    queue = CONSOLE_TRANSMIT_QUEUE

    def work(self, number: int, pieces: Sequence[int] = ()) -> Work:
        """A line."""
        content = b"conformance %d\r\n" % number
        return _Sent(cut(self.subject.buffer(len(content), content), pieces, False))


class _Drawn(Work):
    def __init__(self, buffer: Buffer, lengths: Sequence[int]):
        self.pieces = cut(buffer, lengths, True)

    def check(self, used: Used, clause: str) -> None:
        if not used.length and not used.batched:
            raise Nonconformance("entropy-01.01", "a buffer comes back without a random byte")


class RngStimulus(Stimulus):
    """Buffers for random bytes."""

    queue = 0

    def work(self, number: int, pieces: Sequence[int] = ()) -> Work:
        """A buffer of 32 bytes."""
        return _Drawn(self.subject.buffer(32), pieces)


_KINDS = {
    DeviceType.BLK: BlkStimulus,
    DeviceType.NET: NetStimulus,
    DeviceType.CONSOLE: ConsoleStimulus,
    DeviceType.ENTROPY: RngStimulus,
}


async def stimulus(subject: Subject) -> Stimulus:
    """The stimulus of a device that was started. Errors: :class:`NotApplicable` for another type."""
    kind = _KINDS.get(DeviceType(subject.type)) if subject.type in tuple(DeviceType) else None
    if kind is None:
        raise NotApplicable(f"there is no work for a device of type {subject.type}")
    made = kind(subject)
    if isinstance(made, BlkStimulus):
        await made.learn()
    return made
