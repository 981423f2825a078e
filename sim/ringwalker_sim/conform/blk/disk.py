"""Requests to a block device, for the checks of it. Ref: virtio 1.4, 5.2.6."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import numpy as np

from ringwalker.spec.blk import (
    BLK_CONFIG,
    BLK_RANGE_CONFIG,
    SECTOR_BYTES,
    BlkFeature,
    BlkRange,
    BlkRequestHeader,
    BlkRequestType,
    BlkStatus,
)
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.registers import Register

from ...guest.errors import VirtioError
from ...memory import Buffer, dtype_of
from ..check import Nonconformance, NotApplicable
from ..rings.queues import Piece, Used
from ..subject import Subject

__all__ = ["UNWRITTEN", "Answer", "Disk", "cannot_be_written", "changed"]

UNWRITTEN = 0xEE
"""What writable buffers hold before."""

_QUEUE = 0


def cannot_be_written(subject: Subject) -> str | None:
    """A condition: any sector of the disk can be written."""
    if subject.offers(BlkFeature.RO):
        return "the disk is read-only"
    return "the disk has zones" if not subject.legacy and subject.offers(BlkFeature.ZONED) else None


@dataclass(frozen=True)
class Answer:
    """The answer to a request: ``status``, None where it was not written; ``data``; the used ``length``."""

    status: int | None
    data: bytes
    length: int


class Disk:
    """Queue 0 of a block device that was started."""

    def __init__(self, subject: Subject):
        self.subject = subject

    # --- configuration -------------------------------------------------------------------------------------

    @staticmethod
    def register(name: str) -> Register:
        """The row of a field of the device configuration."""
        first = {row.name: row for row in BLK_CONFIG}
        return first[name] if name in first else BLK_RANGE_CONFIG[name]

    def has_field(self, name: str) -> bool:
        """Whether the device configuration is so long that it has a field."""
        return self.subject.transport.has_device_field(self.register(name))

    async def field(self, name: str) -> int:
        """A field of the device configuration. Errors: :class:`NotApplicable` where there is none."""
        if not self.has_field(name):
            raise NotApplicable(f"the device configuration has no {name}")
        return await self.subject.transport.read_device_field(self.register(name))

    async def byte(self, offset: int) -> int | None:
        """A byte of the device configuration; None behind its end."""
        row = Register("byte", offset, 8, BLK_CONFIG.capacity.access, "")
        if not self.subject.transport.has_device_field(row):
            return None
        return await self.subject.transport.read_device_field(row)

    async def capacity(self) -> int:
        """Sectors of the disk."""
        return await self.field("capacity")

    async def unit(self) -> int:
        """Sectors of a logical block."""
        if not self.subject.offers(BlkFeature.BLK_SIZE):
            return 1
        return max(1, await self.field("blk_size") // SECTOR_BYTES)

    # --- requests ------------------------------------------------------------------------------------------

    def header(self, kind: int, sector: int) -> Buffer:
        """A request header."""
        header = self.subject.buffer(dtype_of(BlkRequestHeader).itemsize)
        view = self.subject.memory.struct_view(header.address, BlkRequestHeader)[0]
        view["type"], view["reserved"], view["sector"] = kind, 0, sector
        return header

    async def request(
        self, kind: int, sector: int = 0, out: bytes = b"", room: int = 0, clause: str | None = None
    ) -> Answer:
        """A request with ``out`` to read and ``room`` bytes to write, and its status behind them. ``clause``
        and errors are those of :meth:`send`."""
        pieces, answer = self.described(kind, sector, out, room)
        used = await self.send(pieces, clause)
        self.subject.check_guards(self.subject.by_ring("core-07.01", "core-13.01"))
        answered = self.answered(answer, used)
        self.subject.note("answer", [kind, answered.status, answered.length])
        return answered

    def described(
        self, kind: int, sector: int, out: bytes, room: int, most: int | None = None
    ) -> tuple[list[Piece], Buffer]:
        """The descriptors of a request, none of data longer than ``most``, and the buffer of its answer."""
        header = self.header(kind, sector)
        pieces = [Piece(header.address, header.length)]
        answer = self.subject.buffer(room + 1, bytes([UNWRITTEN]) * (room + 1))
        data = self.subject.buffer(len(out), out).address if out else answer.address
        length = len(out) or room
        step = most or length
        for at in range(0, length, step) if length else ():
            pieces.append(Piece(data + at, min(step, length - at), not out))
        if out and room:
            pieces.append(Piece(answer.address, room, True))
        pieces.append(Piece(answer.address + room, 1, True))
        return pieces, answer

    @staticmethod
    def answered(answer: Buffer, used: Used) -> Answer:
        """What a request was answered."""
        content = answer.array.tobytes()
        return Answer(None if content[-1] == UNWRITTEN else content[-1], content[:-1], used.length)

    async def send(self, pieces: Sequence[Piece], clause: str | None = None) -> Used:
        """Any buffer, until it is used.

        ``clause`` is broken if it is not. Without one it is a request that no driver must make: a device may
        fail, which ends in :class:`NotApplicable`, but has to say so, where a legacy one cannot.
        """
        subject, queue = self.subject, self.subject.queues[_QUEUE]
        queue.offer(pieces)
        queue.publish()
        await subject.kick(queue)

        async def decided() -> bool:
            return queue.waiting or bool(await subject.status() & DeviceStatus.DEVICE_NEEDS_RESET)

        text = "a request is not answered"
        try:
            await subject.until(decided, clause or "core-01.02", text)
        except Nonconformance:
            if subject.legacy and clause is None:
                raise NotApplicable(text) from None
            raise
        if not queue.waiting:
            text = "the device answers with DEVICE_NEEDS_RESET"
            raise NotApplicable(text) if clause is None else Nonconformance(clause, text)
        (used,) = await subject.used(queue, 1)
        return used

    async def expect(
        self, clause: str, status: int, kind: int, sector: int = 0, out: bytes = b"", room: int = 0
    ) -> Answer:
        """A request whose status is to be ``status``."""
        answer = await self.request(kind, sector, out, room, clause)
        if answer.status != status:
            text = f"a request of type {kind} ends with status {answer.status}, and not {status}"
            raise Nonconformance(clause, text)
        return answer

    async def read(self, sector: int, count: int | None = None) -> bytes:
        """Some sectors, by default a block."""
        count = await self.unit() if count is None else count
        answer = await self.request(BlkRequestType.IN, sector, room=count * SECTOR_BYTES, clause="core-10.02")
        if answer.status != BlkStatus.OK:
            text = f"a read of sector {sector} ends with status {answer.status}"
            raise Nonconformance("core-10.02", text)
        return answer.data

    async def write(self, sector: int, data: bytes, clause: str | None = None) -> Answer:
        """Write some sectors. See :meth:`request`."""
        return await self.request(BlkRequestType.OUT, sector, data, clause=clause)

    async def written(self, clause: str, sector: int, data: bytes) -> None:
        """Write some sectors, which is to succeed."""
        await self.expect(clause, BlkStatus.OK, BlkRequestType.OUT, sector, data)

    def ranges(self, *ranges: tuple[int, int, int]) -> bytes:
        """Data of a request about ranges: of each the sector, the number of sectors and flags."""
        return np.array(list(ranges), dtype_of(BlkRange)).tobytes()

    @asynccontextmanager
    async def kept(self, sector: int, count: int) -> AsyncIterator[bytes]:
        """What some sectors hold, for the time of a ``with`` block; it is put back after it."""
        content = await self.read(sector, count)
        try:
            yield content
        except Exception:
            with suppress(Nonconformance, NotApplicable, VirtioError):
                await self.subject.start()
                await self._put_back(sector, content)
            raise
        await self._put_back(sector, content)

    async def _put_back(self, sector: int, content: bytes) -> None:
        if await self.read(sector, len(content) // SECTOR_BYTES) != content:
            await self.write(sector, content, "core-10.02")


def changed(content: bytes) -> bytes:
    """Other content of the same length."""
    return bytes(byte ^ 0xA5 for byte in content)
