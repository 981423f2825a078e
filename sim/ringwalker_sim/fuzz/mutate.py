"""Changes cases: single fields of operations, which operations there are, and two cases joined."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from .hostile import allowed, any_operation, interesting, ring_write
from .operations import Kind, Operation
from .scene import Scene

__all__ = ["mutated", "spoiled"]

MOST_OPERATIONS = 90
"""A case grows no longer."""

_EXPECTATIONS = (Kind.EXPECT_MEMORY, Kind.EXPECT_REGISTER)
_VALUES = (Kind.WRITE, Kind.MEMORY, Kind.NOTIFY)
_FLAG_BITS = (0, 1, 2, 2, 7, 15)


def _spoiled_number(chance: Random, value: int, bits: int) -> int:
    way = chance.randrange(3)
    if way == 0:
        return value ^ 1 << chance.randrange(bits)
    if way == 1:
        return (value + chance.choice((-2, -1, 1, 2, 16))) & (1 << bits) - 1
    return interesting(chance, bits)


def _spoiled_descriptor(chance: Random, operation: Operation) -> Operation:
    """Another address, length, flag or neighbour."""
    field = chance.randrange(6)
    if field == 0:
        return replace(operation, value=_spoiled_number(chance, operation.value, 64))
    if field == 1:
        return replace(operation, extra=operation.extra ^ _spoiled_number(chance, 0, 32))
    if field == 2:
        # An address near the old one, so that it often is still memory.
        return replace(operation, value=(operation.value + interesting(chance, 12)) & (1 << 64) - 1)
    flags_at, other_at = (32, 48) if operation.kind is Kind.DESCRIPTOR else (48, 32)
    if field in (3, 4):
        return replace(operation, extra=operation.extra ^ 1 << flags_at + chance.choice(_FLAG_BITS))
    other = chance.randrange(1 << 16) if chance.random() < 0.3 else chance.randrange(20)
    return replace(operation, extra=operation.extra & ~(0xFFFF << other_at) | other << other_at)


def spoiled(chance: Random, operation: Operation) -> Operation:
    """An operation with something else in one field; what is expected stays as it is."""
    kind = operation.kind
    if kind in (Kind.DESCRIPTOR, Kind.PACKED):
        return _spoiled_descriptor(chance, operation)
    if kind in _VALUES:
        bits = 16 if kind is Kind.NOTIFY else 8 * min(operation.size, 8)
        return allowed(replace(operation, value=_spoiled_number(chance, operation.value, bits)))
    if kind in (Kind.WAIT, Kind.SETTLE):
        return replace(operation, number=chance.choice((0, 1, 3, 9, 30, 90, 250)))
    if kind is Kind.FAULT:
        return replace(operation, number=chance.randrange(12), value=chance.choice((0, 40, 400, 1500)))
    if kind is Kind.FILL:
        return replace(operation, value=chance.getrandbits(8))
    return operation


def _without_expectations(operations: Sequence[Operation]) -> list[Operation]:
    """What was expected of a case is not of another one."""
    return [operation for operation in operations if operation.kind not in _EXPECTATIONS]


def mutated(
    chance: Random, scene: Scene, operations: Sequence[Operation], other: Sequence[Operation]
) -> list[Operation]:
    """Operations like these, with a few changes; some of ``other`` may be among them. Nothing is expected."""
    result = _without_expectations(operations)
    for _ in range(chance.choice((1, 1, 2, 2, 3, 5, 8))):
        way = chance.randrange(9)
        at = chance.randrange(len(result) + 1)
        if way < 3 and at < len(result):
            result[at] = spoiled(chance, result[at])
        elif way == 3:
            del result[at : at + chance.choice((1, 1, 2, 4))]
        elif way == 4:
            result[at:at] = result[at : at + chance.choice((1, 2, 5))]
        elif way == 5 and len(result) > 1:
            to = chance.randrange(len(result))
            result.insert(to, result.pop(min(at, len(result) - 1)))
        elif way == 6:
            result[at:at] = ring_write(chance, scene, chance.choice(scene.queues))
        elif way == 7:
            kept = _without_expectations(other)
            begin = chance.randrange(len(kept) + 1)
            result[at:] = kept[begin:]
        else:
            result[at:at] = any_operation(chance, scene)
    return result[:MOST_OPERATIONS]
