"""A guest that loads a served disk, and a ledger of what it was told, which outlives it."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType, BlkStatus

from ..guest.blk import BlkDevice, BlkRequest, blk_driver
from ..guest.bus import VirtioBus
from ..guest.pci import enumerate_pci
from ..guest.transport.virtio_pci import VirtioPciTransport
from ..vfio_user.client_port import SharedMemory, VfioPort

__all__ = ["IMAGE_BYTES", "Ledger", "Lie", "Load"]

SECTORS = 512
IMAGE_BYTES = SECTORS * SECTOR_BYTES

_RAM_BYTES = 2 << 20
_LARGEST = 16
"""Sectors of a request."""

_AT_ONCE = 128
"""Sectors of a read of the whole disk."""


class Lie(Exception):
    """The device said something that is not so."""


class _Number:
    """An attribute that is a number in the shared memory of its object."""

    def __init__(self, index: int):
        self._index = index

    def __get__(self, ledger: "Ledger", _owner: type) -> int:
        return int(ledger.numbers[self._index])

    def __set__(self, ledger: "Ledger", value: int) -> None:
        ledger.numbers[self._index] = value


class Ledger:
    """What is known of the disk, in memory that several processes share.

    ``known`` are the bytes that were acknowledged, ``wanted`` those of writes that are not, in the sectors
    that are ``open``: there every byte may be either. ``done`` counts the requests that have ended,
    ``refused`` those of them with an error. The image ends, in bytes, at ``end``, or by now perhaps at
    ``soon``.
    """

    done = _Number(0)
    refused = _Number(1)
    end = _Number(2)
    soon = _Number(3)

    def __init__(self):
        self.known = self._shared(IMAGE_BYTES)
        self.wanted = self._shared(IMAGE_BYTES)
        self.open = self._shared(SECTORS)
        self.numbers = self._shared(32).view(np.int64)
        self.end = self.soon = IMAGE_BYTES

    @staticmethod
    def _shared(size: int) -> np.ndarray:
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)

    def begin(self, sector: int, data: np.ndarray) -> None:
        """A write of ``data`` begins."""
        at = sector * SECTOR_BYTES
        self.wanted[at : at + len(data)] = data
        self.open[sector : sector + len(data) // SECTOR_BYTES] = 1

    def acknowledge(self, sector: int, count: int) -> None:
        """The write of ``count`` sectors has succeeded."""
        part = slice(sector * SECTOR_BYTES, (sector + count) * SECTOR_BYTES)
        self.known[part] = self.wanted[part]
        self.open[sector : sector + count] = 0

    def check(self, sector: int, data: np.ndarray, what: str) -> None:
        """``data`` may be what is at ``sector``. Errors: :class:`Lie`."""
        at = sector * SECTOR_BYTES
        bad = data != self.known[at : at + len(data)]
        first, last = sector, sector + len(data) // SECTOR_BYTES
        if bad.any():
            maybe = np.repeat(self.open[first:last], SECTOR_BYTES).astype(bool)
            bad &= ~(maybe & (data == self.wanted[at : at + len(data)]))
        if bad.any():
            where = at + int(np.flatnonzero(bad)[0])
            raise Lie(f"{what}: {int(bad.sum())} wrong bytes, the first at byte {where} of the disk")

    def settle(self, data: np.ndarray) -> None:
        """``data``, which :meth:`check` has accepted, is all of the disk, and nothing is in flight."""
        self.known[:] = data
        self.open[:] = 0

    def mend(self) -> None:
        """The image, which was cut at ``end``, is as long as before, with zeros."""
        self.known[self.end :] = 0
        self.wanted[self.end :] = 0
        self.end = self.soon = IMAGE_BYTES


class Load:
    """One guest: it checks the whole disk against ``ledger``, then reads, writes and flushes at random.

    ``random`` makes all choices. ``image`` is the file, which it looks at while nothing is in flight.
    """

    def __init__(self, socket: Path, image: Path, ledger: Ledger, random: np.random.Generator):
        self.ledger = ledger
        self.image = image
        self.random = random
        self.depth = int(random.integers(1, 17))
        self.memory = SharedMemory(_RAM_BYTES)
        self.port = VfioPort(socket, self.memory, by_message=bool(random.random() < 0.3))
        self._busy = np.zeros(SECTORS, np.int8)
        """1: being read, -1: being written."""
        self._in_flight = 0
        self._ended = self.port.event()
        self._lie: Lie | None = None

    def run(self, requests: int, after: int = 0) -> None:
        """Check the disk, then do ``requests``; with ``after``, until so many have begun behind a cut.

        Errors: :class:`Lie`, and whatever ends the connection.
        """
        with self.port:
            self.port.run(self._run(requests, after))

    async def _run(self, requests: int, after: int) -> None:
        (pci,) = await enumerate_pci(self.port)
        transport = await VirtioPciTransport.bind(pci, "msix" if self.random.random() < 0.7 else "intx")
        bus = VirtioBus()
        await bus.register_virtio_driver(blk_driver(self.port))
        await bus.register_virtio_device(transport.device)
        disk: BlkDevice = transport.device.priv
        await self._read_all(disk)
        left = requests
        buffers = [self.memory.allocate(_LARGEST * SECTOR_BYTES, 4096) for _ in range(self.depth)]
        while left > 0:
            while buffers and left > 0:
                self._submit(disk, buffers)
                left -= 1
            await disk.kick()
            await self._wait()
            if after:
                left = max(left, 1) if self.ledger.end == IMAGE_BYTES else min(left, after)
        while self._in_flight:
            await self._wait()

    async def _wait(self) -> None:
        if not await self._ended.wait(20_000_000):
            raise Lie("a request was not answered in 20 seconds")
        self._ended.clear()
        if self._lie is not None:
            raise self._lie

    async def _read_all(self, disk: BlkDevice) -> None:
        """The whole disk through the device, and the file: both are what the ledger says."""
        parts = [await disk.read(sector, _AT_ONCE) for sector in range(0, SECTORS, _AT_ONCE)]
        data = np.frombuffer(b"".join(parts), np.uint8)
        self.ledger.check(0, data, "the disk as the next guest finds it")
        self.ledger.settle(data)
        self.ledger.check(0, np.frombuffer(self.image.read_bytes(), np.uint8), "the image")

    def _submit(self, disk: BlkDevice, buffers: list[Any]) -> None:
        kind = self.random.choice(
            (BlkRequestType.IN, BlkRequestType.OUT, BlkRequestType.FLUSH), p=(0.45, 0.45, 0.1)
        )
        count = int(self.random.integers(1, _LARGEST + 1))
        sector = int(self.random.integers(0, SECTORS - count + 1))
        place = slice(sector, sector + count)
        # A write meets nothing else; what a failed write has left open may be read.
        taken = self._busy[place] if kind == BlkRequestType.OUT else self._busy[place] < 0
        if kind == BlkRequestType.OUT:
            taken = taken | self.ledger.open[place]
        if taken.any():
            kind = BlkRequestType.FLUSH
        buffer = buffers.pop()
        sg = [] if kind == BlkRequestType.FLUSH else [(buffer.address, count * SECTOR_BYTES)]
        if kind == BlkRequestType.OUT:
            data = np.frombuffer(self.random.bytes(count * SECTOR_BYTES), np.uint8)
            buffer.array[: len(data)] = data
            self.ledger.begin(sector, data)
            self._busy[place] = -1
        elif kind == BlkRequestType.IN:
            self._busy[place] += 1
        end = self.ledger.end

        def ended(request: BlkRequest) -> None:
            self._in_flight -= 1
            buffers.append(buffer)
            if kind != BlkRequestType.FLUSH:
                self._busy[place] = 0 if kind == BlkRequestType.OUT else self._busy[place] - 1
            try:
                self._judge(request, sector, count, buffer.array, end)
            except Lie as lie:
                self._lie = self._lie or lie
            self.ledger.done += 1
            self._ended.set()

        if disk.submit(kind, sector, sg, ended) is None:
            raise Lie("the queue is full")
        self._in_flight += 1

    def _judge(self, request: BlkRequest, sector: int, count: int, data: np.ndarray, end: int) -> None:
        """Whether the request may have ended so; ``end`` is where the image ended when it began."""
        inside = (sector + count) * SECTOR_BYTES <= self.ledger.soon
        if request.status == BlkStatus.OK:
            if request.type == BlkRequestType.FLUSH:
                return
            if (sector + count) * SECTOR_BYTES > end:
                raise Lie(f"{request.name}: OK though the image ends at byte {end}")
            if request.type == BlkRequestType.IN:
                self.ledger.check(sector, data[: count * SECTOR_BYTES], request.name)
            else:
                self.ledger.acknowledge(sector, count)
            return
        self.ledger.refused += 1
        if request.status != BlkStatus.IOERR or inside or request.type == BlkRequestType.FLUSH:
            raise Lie(f"{request.name}: {request.error}")
