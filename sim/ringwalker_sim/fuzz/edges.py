"""Cases at the edges of a ring: heads, neighbours, chains and tables of one less, the same, and one more."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from ringwalker.spec.features import Feature
from ringwalker.spec.ring import AVAIL_IDX_OFFSET, AVAIL_RING_OFFSET, DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT

from .operations import Kind, Operation, memory
from .requests import Buffers
from .rings import PackedRing, Piece, SplitRing, ring_of
from .scene import Queue, Role, Scene

__all__ = ["edge_chains"]

_ONLY_WRITTEN = (Role.RECEIVE, Role.ENTROPY)
_LENGTH_MASK, _NEXT_AT = 0xFFFF_FFFF, 48
_FLAGS_AT = {Kind.DESCRIPTOR: 32, Kind.PACKED: 48}


def _edge(chance: Random, number: int) -> int:
    return max(0, number + chance.choice((-1, 0, 0, 1)))


def _pieces(chance: Random, buffers: Buffers, queue: Queue, count: int) -> list[Piece]:
    """So many buffers, read first and written then, as the queue's role has them."""
    written = 0 if queue.role is Role.TRANSMIT else max(1, count - 1)
    if queue.role in _ONLY_WRITTEN:
        written = count
    sizes = [16 if n == 0 else chance.choice((1, 4, 16, 64)) for n in range(count)]
    return [(buffers.take(size), size, n >= count - written) for n, size in enumerate(sizes)]


def _with_length(operation: Operation, length: int) -> Operation:
    return replace(operation, extra=operation.extra & ~_LENGTH_MASK | length)


def _with_next(operation: Operation, following: int) -> Operation:
    """A descriptor of a split ring, or of its table, that leads to ``following``."""
    kept = operation.extra & (1 << _NEXT_AT) - 1
    return replace(operation, extra=kept | DESC_F_NEXT << 32 | following << _NEXT_AT)


def _is_table(operation: Operation) -> bool:
    flags_at = _FLAGS_AT.get(operation.kind)
    return flags_at is not None and bool(operation.extra >> flags_at & DESC_F_INDIRECT)


def _at_an_edge(
    chance: Random, queue: Queue, operations: Sequence[Operation], rows: int, nested: bool
) -> list[Operation]:
    """A table that is a little shorter or longer than its chain; a last descriptor that leads to the edge."""
    result = list(operations)
    for n, operation in enumerate(result):
        if _is_table(operation) and chance.random() < 0.5:
            length = DESC_BYTES * _edge(chance, rows) + chance.choice((0, 0, 1, 15))
            result[n] = _with_length(operation, length)
    chain = [n for n, item in enumerate(result) if item.kind is Kind.DESCRIPTOR and not _is_table(item)]
    if chain and chance.random() < 0.5:
        place = chance.choice((chain[-1], chance.choice(chain)))
        result[place] = _with_next(result[place], _edge(chance, rows if nested else queue.size))
    return result


def _published(chance: Random, queue: Queue, ring: SplitRing | PackedRing) -> list[Operation]:
    """What makes the chains available: often with a head, or an index, at the edge."""
    if not isinstance(ring, SplitRing):
        return []
    operations: list[Operation] = []
    if chance.random() < 0.5:
        slot = (ring.index - 1) % queue.size
        head = _edge(chance, queue.size).to_bytes(2, "little")
        operations.append(memory(queue.driver + AVAIL_RING_OFFSET + 2 * slot, head))
    if chance.random() < 0.3:
        index = queue.index + _edge(chance, queue.size) & 0xFFFF
        return [*operations, memory(queue.driver + AVAIL_IDX_OFFSET, index.to_bytes(2, "little"))]
    return [*operations, *ring.publish()]


def edge_chains(
    chance: Random, scene: Scene, buffers: Buffers, queue: Queue
) -> tuple[list[Operation], SplitRing | PackedRing]:
    """A chain or two on a queue, at one of its edges; the ring behind them."""
    ring = ring_of(queue)
    operations: list[Operation] = []
    for _ in range(chance.randint(1, 2)):
        nested = scene.has(Feature.INDIRECT_DESC) and chance.random() < 0.5
        count = chance.choice((1, 2, 3, max(1, _edge(chance, queue.size))))
        pieces = _pieces(chance, buffers, queue, count)
        table = buffers.table(count) if nested else None
        operations += _at_an_edge(chance, queue, ring.offer(pieces, table), count, nested)
    return [*operations, *_published(chance, queue, ring)], ring
