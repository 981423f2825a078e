"""The chains of a long load: longer, further apart and of more kinds than those of cases."""

from collections.abc import Sequence
from random import Random

from ringwalker.function.blk.settings import BlkSettings
from ringwalker.queue.chain.lines import MOST_READ
from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestHeader, BlkRequestType
from ringwalker.spec.ring import DESC_BYTES
from ringwalker.streams import MOST_BROUGHT

from ..struct_bytes import struct_bytes
from .operations import memory
from .requests import Buffers, Chain, right_chain
from .rings import Piece
from .scene import Queue, Role, Scene
from .target import FAR, MEMORY_BYTES

__all__ = ["ROOM_BYTES", "ChainMaker", "FarBuffers", "capacity_of", "smallest"]

ROOM_BYTES = 0x3000
"""What far tables need to begin in."""

_LONG_SECTORS, _LONG_PIECES = 6, 20
_LARGE_BITS = 9.5
"""Long reads have up to so many bits of sectors."""
_MOST_BYTES = 0xFFFF_FFFF
"""Of the readable buffers of a chain, and of the writable ones."""
_TABLE_BITS = 28
"""An indirect table has fewer descriptors, as far as its length can say."""
_DEEP = tuple(base for base in FAR if base + _MOST_BYTES + MEMORY_BYTES < 1 << 64)
"""Where more is addressed than there is memory."""


class FarBuffers(Buffers):
    """Buffers anywhere in 64 bits. Indirect tables begin in the :data:`ROOM_BYTES` at ``room``, which must be
    before them."""

    def __init__(self, scene: Scene, chance: Random, room: int):
        super().__init__(scene, chance)
        self._chance = chance
        self._room = room
        self._begun = 0

    def take(self, length: int, align: int = 1) -> int:
        """See :meth:`Buffers.take`."""
        return super().take(length, align) + self._chance.choice(FAR)

    def table(self, rows: int) -> int:
        """See :meth:`Buffers.table`. It may begin at any byte."""
        return self.take(DESC_BYTES * rows)

    def far_table(self, count: int) -> tuple[int, list[int], int]:
        """An indirect table that goes from ``room`` to somewhere among the buffers and on: where it is, which
        ``count`` of its descriptors are free, and how many bytes it is said to have."""
        chance = self._chance
        begin = self._room + self._begun
        self._begun = (self._begun + 2 * DESC_BYTES) % (ROOM_BYTES - DESC_BYTES * (MOST_READ + 1))
        free = 2 * count
        there = super().take(DESC_BYTES * (free + MOST_READ + 1), DESC_BYTES) - begin
        rows = [there // DESC_BYTES + n for n in chance.sample(range(free), count - 1)]
        least = max(rows, default=0) + 1
        said = min((1 << _TABLE_BITS) - 1, least + chance.getrandbits(chance.randint(1, _TABLE_BITS)))
        # A table may begin at any byte.
        begin += chance.choice((0, chance.randrange(DESC_BYTES)))
        return begin + chance.choice(FAR), [0, *rows], DESC_BYTES * chance.choice((least, said))


def smallest(role: Role, at: int, written: bool = True) -> Piece:
    """The buffer of a chain of one. To a block device, for which it may be readable as well, it says nothing,
    and comes back at once."""
    return (at, 16, False) if role is Role.TRANSMIT else (at, 1, written or role is not Role.BLOCK)


class ChainMaker:
    """Makes chains of a stretch. ``large``: there are long reads among them."""

    def __init__(self, scene: Scene, buffers: FarBuffers, chance: Random, capacity: int, large: bool):
        self._scene = scene
        self._buffers = buffers
        self._chance = chance
        self._capacity = capacity
        self._large = large

    def right(self, queue: Queue, most: int) -> Chain:
        """A chain of at most ``most`` pieces, that the function carries out if it can be said in so few."""
        if queue.role is Role.BLOCK and most < 3:
            return self._short(most)
        if queue.role is Role.BLOCK and most > 4 and self._chance.random() < 0.5:
            return self._block(most)
        return right_chain(self._chance, self._buffers, self._scene, queue, most)

    def _short(self, most: int) -> Chain:
        """A flush, or what says nothing."""
        status = self._status()
        if most < 2:
            return [], [status]
        return self._headed(BlkRequestType.FLUSH, 0, [])

    def _status(self) -> Piece:
        return self._buffers.take(1), 1, True

    def _headed(self, kind: BlkRequestType, sector: int, data: Sequence[Piece]) -> Chain:
        """A request with its header and status."""
        at = self._buffers.take(16)
        header = struct_bytes(BlkRequestHeader, type=int(kind), sector=sector)
        return [memory(at, header)], [(at, 16, False), *data, self._status()]

    def _cut(self, length: int, written: bool, most: int, nowhere: bool = False) -> list[Piece]:
        """Some bytes in ``most`` pieces; such as are written may be to where no memory is."""
        cuts = sorted(self._chance.sample(range(1, length), min(length, most) - 1))
        return [
            (
                self._chance.getrandbits(63) if nowhere else self._buffers.take(end - begin),
                end - begin,
                written,
            )
            for begin, end in zip([0, *cuts], [*cuts, length], strict=True)
        ]

    def _block(self, most: int) -> Chain:
        """One of the kinds of requests that a block device is not asked in cases."""
        chance, way = self._chance, self._chance.random()
        if way < 0.25:
            return self._beyond()
        if way < 0.35:
            # An id of which a part fits.
            return self._headed(BlkRequestType.GET_ID, 0, self._cut(chance.randint(1, 24), True, 1))
        if way < 0.42:
            return self.full(most)
        kind = BlkRequestType.IN if chance.random() < 0.5 else BlkRequestType.OUT
        if self._large and kind is BlkRequestType.IN:
            return self._long_read(most)
        sectors = chance.randint(1, _LONG_SECTORS)
        pieces = min(most, chance.choice((most, MOST_BROUGHT, *(_LONG_PIECES,) * 3))) - 2
        data = self._cut(sectors * SECTOR_BYTES, kind is BlkRequestType.IN, pieces)
        return self._headed(kind, chance.randrange(0, self._capacity - sectors), data)

    def _beyond(self) -> Chain:
        """Data that is behind the disk's end and so is not moved."""
        length = self._chance.getrandbits(32) | 1
        data = [(self._chance.getrandbits(63), min(length, _MOST_BYTES - 1), True)]
        return self._headed(BlkRequestType.IN, self._chance.getrandbits(64) | 1 << 60, data)

    def _long_read(self, most: int) -> Chain:
        """A long read, into buffers that are not there."""
        sectors = min(self._capacity, int(2 ** self._chance.uniform(3, _LARGE_BITS)))
        pieces = self._chance.randint(1, min(most - 2, _LONG_PIECES))
        return self._headed(
            BlkRequestType.IN, 0, self._cut(sectors * SECTOR_BYTES, True, pieces, nowhere=True)
        )

    def whole_disk(self) -> Chain:
        """All of a disk in one buffer: the largest length that is ever used."""
        return self._headed(
            BlkRequestType.IN, 0, [(self._chance.getrandbits(63), self._capacity * SECTOR_BYTES, True)]
        )

    def full(self, most: int) -> Chain:
        """As many pieces as a chain can have, all readable or all writable, which is no request."""
        length = self._chance.randint(most, 4 * most)
        return [], self._cut(length, self._chance.random() < 0.5, most)

    def endless(self) -> Chain:
        """More readable bytes than can be waited for, and a writable buffer as long."""
        chance = self._chance
        at = chance.choice(_DEEP) + chance.randrange(MEMORY_BYTES // 2)
        readable, writable = chance.getrandbits(32) | 1 << chance.randint(17, 31), chance.getrandbits(32) | 1
        return [], [(at, readable, False), (chance.getrandbits(63), writable, True)]


def capacity_of(settings: object) -> int:
    """The sectors of a disk; 0 of another device."""
    return settings.capacity if isinstance(settings, BlkSettings) else 0
