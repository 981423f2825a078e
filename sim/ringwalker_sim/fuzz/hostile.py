"""Single hostile operations: register accesses, requests on the link, writes to rings, failing reads."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from ringwalker.spec.legacy import LEGACY, LEGACY_MSIX
from ringwalker.spec.modern import COMMON, DeviceStatus
from ringwalker.spec.pci import HEADER, MSIX_CAPABILITY
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker.spec.registers import RegisterTable
from ringwalker.spec.tlp import RequestKind

from ..host import Fault
from .operations import Kind, Operation, fault, memory, notify, read, settle, tlp, tlp_shape, wait, write
from .scene import Queue, Scene
from .spaces import CONFIG_SPACES, Space

__all__ = ["allowed", "any_operation", "interesting", "ring_write", "touches_function"]

_STATUS = tuple(int(flag) for flag in DeviceStatus)
_WHOLE = (0, 1, 3, 7, 11, 15, 0x0B, 0x0F, 0x8F, 0x4F)
_COMMON = tuple((row.offset, row.size) for row in COMMON)
_LEGACY = tuple((row.offset, row.size) for table in (LEGACY, LEGACY_MSIX) for row in table)
_QUEUE_FIELDS = tuple(
    COMMON[name].offset for name in ("queue_desc", "queue_driver", "queue_device", "queue_size")
)
_MEMORY_BYTES = 4096
_HEADER = (HEADER.command, HEADER.status, HEADER.bar0, HEADER.bar1, HEADER.bar4, HEADER.interrupt_line)
_PAYLOAD = DeviceControl.MAX_PAYLOAD_SIZE.value
_PAYLOAD_256 = 1 << 5
_TOO_LARGE = _PAYLOAD & ~_PAYLOAD_256
"""The host takes payloads of 128 and of 256 bytes."""
_CONFIG_TARGET = 0x0100


def interesting(chance: Random, bits: int) -> int:
    """A number of so many bits that is likely to be an edge of something."""
    way = chance.randrange(6)
    if way == 0:
        return 0
    if way == 1:
        return (1 << bits) - 1
    if way == 2:
        return 1 << chance.randrange(bits)
    if way == 3:
        return (1 << chance.randint(1, bits)) - 1
    if way == 4:
        return chance.randrange(min(1 << bits, 20))
    return chance.getrandbits(bits)


# --- registers ------------------------------------------------------------------------------------------


def _common_value(chance: Random, scene: Scene, offset: int, size: int) -> int:
    """What is written to the common configuration: often something that a driver might write."""
    if offset == COMMON.device_status.offset:
        return chance.choice(_WHOLE) if chance.random() < 0.7 else chance.choice(_STATUS)
    if offset == COMMON.queue_select.offset and chance.random() < 0.8:
        return chance.randrange(len(scene.queues) + 2)
    if offset in _QUEUE_FIELDS[:3] and chance.random() < 0.7:
        queue = chance.choice(scene.queues)
        return chance.choice((queue.desc, queue.driver, queue.device, *scene.buffers)) + chance.choice(
            (0, 0, 2, 16)
        )
    if offset == COMMON.queue_size.offset and chance.random() < 0.7:
        return chance.choice((1, 2, 3, 4, 5, 8, 16, 32, 64))
    return interesting(chance, 8 * size)


def _aligned(chance: Random, length: int) -> tuple[int, int]:
    """A place in ``length`` bytes, and the size of an access there that no boundary cuts."""
    size = chance.choice((1, 2, 4, 4))
    return chance.randrange(max(1, length // size)) * size, size


def _common(chance: Random, scene: Scene) -> list[Operation]:
    offset, size = chance.choice(_COMMON) if chance.random() < 0.85 else _aligned(chance, 64)
    if chance.random() < 0.2:
        return [read(Space.COMMON, offset, min(size, 4))]
    value = _common_value(chance, scene, offset, size)
    halves = (
        [(offset, 4, value & 0xFFFF_FFFF), (offset + 4, 4, value >> 32)]
        if size == 8
        else [(offset, size, value)]
    )
    return [write(Space.COMMON, at, length, part) for at, length, part in halves]


def _legacy(chance: Random, scene: Scene) -> list[Operation]:
    offset, size = chance.choice(_LEGACY) if chance.random() < 0.8 else _aligned(chance, 64)
    if chance.random() < 0.3:
        return [read(Space.LEGACY, offset, size)]
    value = interesting(chance, 8 * size)
    if offset == LEGACY.device_status.offset:
        value = chance.choice(_WHOLE)
    elif offset == LEGACY.queue_select.offset:
        value = chance.randrange(len(scene.queues) + 2)
    elif offset == LEGACY.queue_pfn.offset and chance.random() < 0.7:
        value = chance.choice((0, *scene.buffers, *(queue.desc for queue in scene.queues))) >> 12
    return [write(Space.LEGACY, offset, size, value)]


def _device(chance: Random, scene: Scene) -> list[Operation]:
    offset, size = _aligned(chance, 96)
    space = Space.DEVICE
    if scene.registers is Space.LEGACY:
        space, offset = Space.LEGACY, offset + LEGACY.size
    if chance.random() < 0.5:
        return [read(space, offset, size)]
    return [write(space, offset, size, interesting(chance, 8 * size))]


def _isr(chance: Random, scene: Scene) -> list[Operation]:
    if scene.registers is Space.LEGACY:
        return [read(Space.LEGACY, LEGACY.isr_status.offset, 1)]
    return [read(Space.ISR, 0, chance.choice((1, 1, 4)))]


def _vectors(chance: Random, scene: Scene) -> list[Operation]:
    offset = 4 * chance.randrange(4 * (len(scene.queues) + 2))
    if chance.random() < 0.3:
        return [read(Space.MSIX, offset, 4)]
    if offset % 16 == 12:
        return [write(Space.MSIX, offset, 4, chance.randrange(2))]
    if offset % 16 == 8:
        return [write(Space.MSIX, offset, 4, interesting(chance, 32))]
    return [write(Space.MSIX, offset, 4, 0xFEE0_0000 + 4 * chance.randrange(1024) if offset % 16 == 0 else 0)]


def allowed(operation: Operation) -> Operation:
    """The operation, but with a payload size that the host can take: a larger one is the driver's fault."""
    at = operation.space, operation.address
    if operation.kind is not Kind.WRITE or at != (Space.PCIE, PCIE_CAPABILITY.device_control.offset):
        return operation
    return replace(operation, value=operation.value & ~_TOO_LARGE)


def _row(chance: Random, table: RegisterTable) -> tuple[int, int]:
    row = chance.choice(tuple(table))
    return row.offset, min(row.size, 4)


def _config(chance: Random, scene: Scene) -> list[Operation]:
    way = chance.randrange(8)
    if way < 3:
        offset, size = _aligned(chance, 4096 if way == 0 else 256)
        return [read(Space.CONFIG, offset, size)]
    if way == 3:
        row = chance.choice(_HEADER)
        return [write(Space.CONFIG, row.offset, row.size, interesting(chance, row.width))]
    if way == 4:
        return [
            write(Space.CONFIG, HEADER.command.offset, 2, chance.choice((0, 2, 4, 6, 7, 0x402, 0x406, 0x407)))
        ]
    if way == 5:
        offset = MSIX_CAPABILITY.control.offset
        return [write(Space.MSIX_CAPABILITY, offset, 2, chance.choice((0, 0x4000, 0x8000, 0xC000)))]
    if way == 6:
        value = chance.getrandbits(16) & ~_PAYLOAD | chance.randint(0, 1) * _PAYLOAD_256
        value = value & ~0x7000 | chance.randint(0, 2) << 12
        if chance.random() < 0.8:
            value &= ~0x8000
        return [write(Space.PCIE, PCIE_CAPABILITY.device_control.offset, 2, value)]
    offset, size = _aligned(chance, 256)
    if offset < 0x40:
        return [read(Space.CONFIG, offset, size)]
    return [read(Space.PCIE, *_row(chance, PCIE_CAPABILITY))]


# --- requests on the link ---------------------------------------------------------------------------------


def _enables(chance: Random, length: int) -> tuple[int, int]:
    """Byte enables that a requester may send."""
    if length == 1:
        return chance.choice((15, 15, 1, 2, 3, 4, 8, 12, 5, 10, 0, 6)), 0
    if length == 2 and chance.random() < 0.3:
        return chance.randint(1, 15), chance.randint(1, 15)
    return chance.choice((15, 14, 12, 8)), chance.choice((15, 7, 3, 1))


_TLP_SPACES = (Space.COMMON, Space.ISR, Space.DEVICE, Space.NOTIFY, Space.MSIX, Space.MEMORY)


def _request(chance: Random, scene: Scene) -> list[Operation]:
    """A request with any length and byte enables, some of them to where nothing is."""
    way = chance.randrange(12)
    length = chance.choice((1, 1, 1, 2, 2, 3, 4, 8, 16, 32, 64))
    shape_extra = (chance.choice((0, 0, 0, chance.randrange(8))), chance.choice((0, 0, 1, 2, 4)), way == 11)
    if way == 0:
        first, last = _enables(chance, 1)
        kind = chance.choice(
            (RequestKind.CONFIG_READ_0, RequestKind.CONFIG_READ_1, RequestKind.CONFIG_WRITE_1)
        )
        target = chance.choice((_CONFIG_TARGET, _CONFIG_TARGET, _CONFIG_TARGET + 1, _CONFIG_TARGET + 8))
        offset = 4 * chance.randrange(1024)
        return [
            tlp(kind.value, Space.CONFIG, offset, tlp_shape(1, first, 0), interesting(chance, 32), target)
        ]
    if way == 1:
        kind = chance.choice((RequestKind.IO_READ, RequestKind.IO_WRITE)).value
        space = Space.LEGACY if scene.registers is Space.LEGACY else Space.IO
        first, _last = _enables(chance, 1)
        return [tlp(kind, space, 4 * chance.randrange(16), tlp_shape(1, first, 0), interesting(chance, 32))]
    if way == 2:
        kind = chance.choice((RequestKind.MESSAGE, RequestKind.OTHER_NON_POSTED)).value
        return [tlp(kind, Space.MEMORY, 4 * chance.randrange(1 << 20), tlp_shape(1, 15, 0))]
    space = chance.choice(_TLP_SPACES if scene.registers is not Space.LEGACY else (Space.MSIX, Space.MEMORY))
    kind = RequestKind.MEMORY_READ if chance.random() < 0.6 else RequestKind.MEMORY_WRITE
    first, last = _enables(chance, length)
    offset = 4 * chance.randrange(_MEMORY_BYTES // 4 - length)
    if chance.random() < 0.6:
        offset %= 64
    shape = tlp_shape(length, first, last, *shape_extra)
    return [tlp(kind.value, space, offset, shape, interesting(chance, 64))]


# --- rings, notifications, completions, time ----------------------------------------------------------------


def ring_write(chance: Random, scene: Scene, queue: Queue) -> list[Operation]:
    """Something else in the memory of a queue, at any moment."""
    way = chance.randrange(6)
    if way == 0:
        at = queue.desc + chance.randrange(16 * queue.size)
    elif way == 1:
        at = queue.driver + (2 if not queue.packed else 0)
    elif way == 2:
        at = queue.driver + chance.randrange(4 if queue.packed else 6 + 2 * queue.size)
    elif way == 3:
        at = queue.device + chance.randrange(4 if queue.packed else 6 + 8 * queue.size)
    elif way == 4 and queue.packed:
        at = queue.desc + 16 * chance.randrange(queue.size) + 14
    else:
        at = queue.desc + 16 * chance.randrange(queue.size) + chance.choice((0, 8, 12, 14))
    size = chance.choice((1, 2, 2, 4, 8))
    return [memory(at, interesting(chance, 8 * size).to_bytes(size, "little"))]


def _ring(chance: Random, scene: Scene) -> list[Operation]:
    return ring_write(chance, scene, chance.choice(scene.queues))


def _notify(chance: Random, scene: Scene) -> list[Operation]:
    queue = chance.choice(scene.queues).number
    return [notify(queue, interesting(chance, 16) if chance.random() < 0.4 else None)]


_FAULTS = tuple(Fault)
_ANSWERS = (Fault.UNSUPPORTED_REQUEST, Fault.COMPLETER_ABORT, Fault.POISONED, Fault.LATE, Fault.UNEXPECTED)
"""Faults after which all reads have been answered, and no tag is in quarantine."""


def _fault(chance: Random, scene: Scene) -> list[Operation]:
    kind = chance.choice(_FAULTS if scene.losses else _ANSWERS)
    return [fault(int(kind), chance.choice((0, 0, 1, 2, 3, 5, 9)), chance.choice((0, 50, 300, 1500)))]


def _wait(chance: Random, scene: Scene) -> list[Operation]:
    return [wait(chance.choice((0, 1, 2, 5, 10, 20, 40, 80, 150, 300)))]


def _settle(chance: Random, scene: Scene) -> list[Operation]:
    return [settle(600)]


Maker = Callable[[Random, Scene], list[Operation]]

_MODERN: tuple[tuple[Maker, int], ...] = (
    *((_common, 8), (_device, 3), (_isr, 2), (_vectors, 2), (_config, 3), (_request, 6)),
    *((_ring, 10), (_notify, 8), (_fault, 5), (_wait, 10), (_settle, 1)),
)
_OLD: tuple[tuple[Maker, int], ...] = (
    *((_legacy, 8), (_device, 3), (_isr, 2), (_vectors, 1), (_config, 3), (_request, 4)),
    *((_ring, 10), (_notify, 8), (_fault, 5), (_wait, 10), (_settle, 1)),
)


def _drawn(makers: Sequence[tuple[Maker, int]]) -> tuple[Maker, ...]:
    return tuple(maker for maker, weight in makers for _ in range(weight))


_CHOICES = {Space.COMMON: _drawn(_MODERN), Space.LEGACY: _drawn(_OLD)}


def any_operation(chance: Random, scene: Scene) -> list[Operation]:
    """One operation, or the few that belong together, of any kind."""
    return chance.choice(_CHOICES[scene.registers])(chance, scene)


def touches_function(operations: Sequence[Operation]) -> bool:
    """Whether only a reset of the function cures what was written: configuration space, vectors."""
    for operation in operations:
        if operation.kind is Kind.WRITE and (
            operation.space in CONFIG_SPACES or operation.space == Space.MSIX
        ):
            return True
        if operation.kind is Kind.TLP and operation.space == Space.MSIX:
            return True
    return False
