"""Chains that a function takes, and such as it does not: their buffers, and what is in them."""

from collections.abc import Callable
from random import Random

from ringwalker.spec.blk import BlkRequestType
from ringwalker.spec.net import NetClass
from ringwalker.spec.ring import DESC_BYTES

from .operations import Operation, fill, memory
from .rings import Piece
from .scene import Queue, Role, Scene

__all__ = ["Buffers", "Chain", "hostile_address", "hostile_chain", "right_chain"]

_SECTOR = 512
_BLK_TYPES = tuple(BlkRequestType)
_BLK_SIMPLE = (BlkRequestType.IN, BlkRequestType.OUT, BlkRequestType.FLUSH, BlkRequestType.GET_ID)
_NET_CLASSES = tuple(NetClass)
_LENGTHS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 255, 511, 512, 513, 1514, 4095, 4096)
_HUGE = (0x1_0000, 0x10_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FE00)
_PAGE = 4096


class Buffers:
    """Guest memory for buffers, handed out from a random place on; it begins anew where it ends."""

    def __init__(self, scene: Scene, chance: Random):
        self._begin, self._end = scene.buffers
        self._at = self._begin + chance.randrange((self._end - self._begin) // 2)

    def take(self, length: int, align: int = 1) -> int:
        """The address of ``length`` bytes."""
        at = (self._at + align - 1) // align * align
        if at + length > self._end:
            at = (self._begin + align - 1) // align * align
        self._at = at + length
        return at

    def table(self, rows: int) -> int:
        """The address of an indirect table."""
        return self.take(DESC_BYTES * rows, DESC_BYTES)


Chain = tuple[list[Operation], list[Piece]]
"""What is written into memory beforehand, and the pieces of the chain."""


def _split(chance: Random, address: int, length: int, written: bool, most: int) -> list[Piece]:
    """A buffer, cut into at most so many pieces."""
    pieces: list[Piece] = []
    while len(pieces) + 1 < most and length > 1 and chance.random() < 0.3:
        first = chance.randint(1, length - 1)
        pieces.append((address, first, written))
        address, length = address + first, length - first
    pieces.append((address, length, written))
    return pieces


def _block(chance: Random, buffers: Buffers, scene: Scene, most: int, right: bool) -> Chain:
    kind = chance.choice(_BLK_SIMPLE if right else _BLK_TYPES)
    sector = chance.randrange(64) if right or chance.random() < 0.7 else chance.getrandbits(64)
    at = buffers.take(16, chance.choice((1, 4, 16)))
    header = int(kind).to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little")
    operations = [memory(at, header)]
    pieces: list[Piece] = _split(chance, at, 16, False, 2) if most > 4 else [(at, 16, False)]
    length = 0
    if kind in (BlkRequestType.IN, BlkRequestType.OUT):
        length = _SECTOR * chance.choice((1, 1, 1, 2, 3))
    elif kind == BlkRequestType.GET_ID:
        length = 20
    elif kind in (BlkRequestType.DISCARD, BlkRequestType.WRITE_ZEROES, BlkRequestType.SECURE_ERASE):
        length = 16
    elif not right:
        length = chance.choice(_LENGTHS)
    if not right and chance.random() < 0.2:
        length = chance.choice(_LENGTHS)
    if length:
        written = kind in (BlkRequestType.IN, BlkRequestType.GET_ID)
        data = buffers.take(length, chance.choice((1, 1, 4, 512)))
        if not written and chance.random() < 0.5:
            operations.append(fill(data, min(length, 1024), chance.getrandbits(8)))
        pieces += _split(chance, data, length, written, most - len(pieces) - 1)
    pieces.append((buffers.take(1), 1, True))
    return operations, pieces


def _receive(chance: Random, buffers: Buffers, scene: Scene, most: int, right: bool) -> Chain:
    length = 1600 if right or chance.random() < 0.5 else chance.choice(_LENGTHS[1:])
    return [], _split(chance, buffers.take(length), length, True, most)


def _transmit(chance: Random, buffers: Buffers, scene: Scene, most: int, right: bool) -> Chain:
    network = scene.function == "net"
    least = scene.header_bytes + 14 if network else 1
    length = (
        chance.randint(least, least + 90) if right or chance.random() < 0.5 else chance.choice(_LENGTHS[1:])
    )
    at = buffers.take(length)
    operations: list[Operation] = []
    if network:
        header = bytes(16) if right or chance.random() < 0.6 else chance.randbytes(16)
        operations.append(memory(at, header[: min(16, max(1, length))]))
    return operations, _split(chance, at, length, False, most)


def _control(chance: Random, buffers: Buffers, scene: Scene, most: int, right: bool) -> Chain:
    at = buffers.take(16)
    body = chance.choice((0, 1, 2, 4, 6, 8)) if right else chance.randrange(40)
    raw = bytes((int(chance.choice(_NET_CLASSES)), chance.randrange(4))) + chance.randbytes(14)
    pieces = _split(chance, at, 2 + min(body, 14), False, max(1, most - 1))
    return [memory(at, raw)], [*pieces, (buffers.take(1), 1, True)]


def _entropy(chance: Random, buffers: Buffers, scene: Scene, most: int, right: bool) -> Chain:
    length = chance.randint(1, 200) if right else chance.choice(_LENGTHS[1:])
    return [], _split(chance, buffers.take(length), length, True, most)


_MAKERS: dict[Role, Callable[[Random, Buffers, Scene, int, bool], Chain]] = {
    Role.BLOCK: _block,
    Role.RECEIVE: _receive,
    Role.TRANSMIT: _transmit,
    Role.CONTROL: _control,
    Role.ENTROPY: _entropy,
}


def right_chain(chance: Random, buffers: Buffers, scene: Scene, queue: Queue, most: int) -> Chain:
    """A chain of at most ``most`` (3 or more) pieces that the function carries out."""
    return _MAKERS[queue.role](chance, buffers, scene, most, True)


def hostile_chain(chance: Random, buffers: Buffers, scene: Scene, queue: Queue, most: int) -> Chain:
    """A chain that may be right, or wrong in any way: lengths, addresses, order, what is in it."""
    operations, pieces = _MAKERS[queue.role](chance, buffers, scene, most, False)
    while chance.random() < 0.5:
        n = chance.randrange(len(pieces))
        address, length, written = pieces[n]
        way = chance.randrange(8)
        if way == 0:
            address = hostile_address(chance, scene)
        elif way == 1:
            length = chance.choice(_LENGTHS)
        elif way == 2:
            length = chance.choice(_HUGE)
        elif way == 3:
            written = not written
        elif way == 4:
            # Over the edge of a page, so that the device cuts its request there.
            address = address // _PAGE * _PAGE + _PAGE - chance.randint(1, 8)
        elif way == 5 and len(pieces) < most:
            pieces.insert(chance.randrange(len(pieces) + 1), pieces[n])
        elif way == 6 and len(pieces) > 1:
            del pieces[n]
            continue
        pieces[n] = address, length, written
    return operations, pieces


def hostile_address(chance: Random, scene: Scene) -> int:
    """An address at or beyond an edge: of memory, of 32 bits, of 64 bits, of a ring, or anything."""
    begin, end = scene.memory
    way = chance.randrange(8)
    if way == 0:
        return end - chance.randint(0, 64)
    if way == 1:
        return max(begin, 1 << 32) - chance.randint(0, 64)
    if way == 2:
        return (1 << 64) - chance.randint(1, 64)
    if way == 3:
        return 0xFEC0_0000 + 4 * chance.randrange(64)
    if way == 4:
        queue = chance.choice(scene.queues)
        return chance.choice((queue.desc, queue.driver, queue.device)) + chance.randrange(64)
    if way == 5:
        return chance.getrandbits(64)
    return chance.randrange(begin, end)
