"""One stretch of a long load: how its device is set up, and what can be done to it."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY, legacy_device_offset, legacy_driver_offset
from ringwalker.spec.modern import COMMON, NO_VECTOR, DeviceStatus
from ringwalker.spec.packed import EVENT_BYTES, EventFlags
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY
from ringwalker.spec.ring import (
    AVAIL_RING_OFFSET,
    DESC_ALIGN,
    DESC_BYTES,
    DEVICE_ALIGN,
    DRIVER_ALIGN,
    EVENT_INDEX_BYTES,
    USED_RING_OFFSET,
    used_event_offset,
)

from ..host import Fault
from .bring_up import driver_ok, enabled, interrupts, negotiated, ready_status, set_common
from .executor import RESET_CYCLES
from .load_chains import ROOM_BYTES, ChainMaker, FarBuffers, capacity_of
from .operations import (
    Operation,
    Recovery,
    expect_register,
    fault,
    fill,
    memory,
    notify,
    reset,
    settle,
    write,
)
from .rings import PackedRing, SplitRing, ring_of
from .scene import Queue, Role, Scene
from .spaces import Space
from .target import FAR, FAR_LEGACY, MEMORY_BYTES, target

__all__ = ["LAP_CYCLES", "Stretch"]

LAP_CYCLES = 60_000
"""A lap has ended after so many."""

_LOST_CYCLES = 20_000
_LARGE_LAP = 20
"""A lap with long reads takes so many times longer."""
_PAGE, _LEGACY_PAGES, _HALF = 0x1000, 3, MEMORY_BYTES // 2
"""Queues are in one half of guest memory, and buffers in the other."""
_OPTIONAL = (Feature.INDIRECT_DESC, Feature.EVENT_IDX, Feature.IN_ORDER, Feature.NOTIFICATION_DATA)
_OF_INDICES = (Feature.EVENT_IDX, Feature.NOTIFICATION_DATA)
_OPTIONAL_LEGACY = (*_OPTIONAL[:2], Feature.NOTIFY_ON_EMPTY, Feature.ANY_LAYOUT)
_LINE = 128
"""The entries of split rings begin at a multiple of this now and then: the longest accesses to them do."""
_FAULTS = (Fault.LOST, Fault.LATE, Fault.OVERSIZED, Fault.OVERSIZED, *Fault)
_MOST_CHAINS = 32


class Stretch:
    """One stretch on the device ``key``, by ``chance``. ``losing``: reads are not answered, or wrongly.
    ``large``: there are long reads of a disk. ``deep``: queues are as large as they can be, and their indices
    are spoken of in every way."""

    def __init__(
        self, key: str, chance: Random, losing: bool = False, large: bool = False, deep: bool = False
    ):
        self.target = target(key)
        self.chance = chance
        self.losing = losing
        self.large = large
        self.deep = deep
        self.config = self.target.config
        able = _OPTIONAL_LEGACY if self.target.legacy else _OPTIONAL
        optional = [bit for bit in able if chance.random() < 0.5 or (deep and bit in _OF_INDICES)]
        self.features = sum(1 << bit for bit in optional) | self.target.extra_features
        if not self.target.legacy:
            self.features |= 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
            self.features |= self.target.packed << Feature.RING_PACKED
        self.msix = chance.random() < 0.8
        self.halves = [0, _HALF] if chance.random() < 0.5 else [_HALF, 0]
        self._pages = list(range(0, _HALF // _PAGE, _LEGACY_PAGES))[:-1]
        chance.shuffle(self._pages)
        self._held: dict[int, list[int]] = {}
        self.queues = [self.queue(number, role) for number, role in enumerate(self.target.roles)]
        begin = self.halves[1]
        self.scene = Scene(
            self.target.function,
            Space.LEGACY if self.target.legacy else Space.COMMON,
            tuple(self.queues),
            (begin + ROOM_BYTES, begin + _HALF),
            (0, MEMORY_BYTES),
            self.features,
            10 if self.target.legacy else 12,
        )
        room = _PAGE * self._pages.pop() if begin and chance.random() < 0.8 else begin
        self.buffers = FarBuffers(self.scene, chance, room)
        capacity = capacity_of(self.config.settings)
        self.maker = ChainMaker(self.scene, self.buffers, chance, capacity, large)
        self.rings = [self._ring(queue) for queue in self.queues]
        self.chains = 0

    def _places(self, number: int, count: int) -> list[int]:
        """So many times three pages of memory for a queue, which gives back those that it had before."""
        self._pages[:0] = self._held.get(number, [])
        self._held[number] = [self._pages.pop() for _ in range(count)]
        return [self.halves[0] + _PAGE * page for page in self._held[number]]

    def queue(self, number: int, role: Role) -> Queue:
        """A queue, anywhere."""
        chance, most = self.chance, self.config.queue_size
        if self.target.legacy:
            desc = self._places(number, 1)[0] + chance.choice(FAR_LEGACY)
            areas = desc, desc + legacy_driver_offset(most), desc + legacy_device_offset(most)
            return Queue(number, most, False, *areas, role)
        sizes = [most, most, most // 2, 4] if not self.target.packed else [most, most - 1, 11, 4]
        if self.deep:
            sizes = sizes[:2]
        else:
            sizes.append(chance.choice((1, 2)) if role is Role.BLOCK else 4)
        size = chance.choice(sizes)
        # Aligned as each area must be, anywhere in a page.
        aligns = (EVENT_BYTES, EVENT_BYTES) if self.target.packed else (DRIVER_ALIGN, DEVICE_ALIGN)
        desc, driver, device = (
            chance.choice(FAR) + place + chance.randrange(0, 2 * _PAGE, unit)
            for place, unit in zip(self._places(number, 3), (DESC_ALIGN, *aligns), strict=True)
        )
        if not self.target.packed and chance.random() < 0.5:
            driver = driver // _LINE * _LINE + _LINE - AVAIL_RING_OFFSET
            device = device // _LINE * _LINE + _LINE - USED_RING_OFFSET
        return Queue(number, size, self.target.packed, desc, driver, device, role)

    def _ring(self, queue: Queue) -> SplitRing | PackedRing:
        first = self.chance.getrandbits(16)
        return (
            PackedRing(queue, first, self.chance.getrandbits(16) | 1)
            if queue.packed
            else ring_of(queue, first)
        )

    # --- set-up ---------------------------------------------------------------------------------------------

    def _vector(self) -> int:
        return self.chance.randrange(self.config.vectors) if self.chance.random() < 0.9 else NO_VECTOR

    def _messages(self) -> Iterator[Operation]:
        """Where interrupts go, and whether they are messages."""
        yield interrupts(self.msix)
        for vector in range(self.config.vectors if self.msix else 0):
            high = self.chance.getrandbits(28) | 1 << 30
            for name, found in (
                ("address_low", self.chance.getrandbits(30) << 2),
                ("address_high", high),
                ("data", self.chance.getrandbits(32)),
                ("vector_control", 0),
            ):
                offset = MSIX_ENTRY_BYTES * vector + MSIX_TABLE_ENTRY[name].offset
                yield write(Space.MSIX, offset, 4, found)

    def _enabled(self, queue: Queue) -> Iterator[Operation]:
        yield fill(queue.desc % MEMORY_BYTES, DESC_BYTES * queue.size, 0)
        if self.target.legacy:
            yield fill(queue.desc % MEMORY_BYTES, _PAGE * _LEGACY_PAGES, 0)
        else:
            for area in (queue.driver, queue.device):
                yield fill(area % MEMORY_BYTES, 0x400, 0)
        none = None if self.target.legacy else NO_VECTOR
        yield from enabled(queue, self.target.legacy, self._vector() if self.msix else none)

    def setup(self) -> Iterator[Operation]:
        """From a reset on, until the device is ready."""
        legacy = self.target.legacy
        yield reset(Recovery.STATUS, RESET_CYCLES, self.scene.registers)
        yield from self._messages()
        vector = None if legacy else self._vector() if self.msix else NO_VECTOR
        yield from negotiated(self.features, legacy, vector)
        for queue in self.queues:
            yield from self._enabled(queue)
        yield driver_ok(legacy)
        for _ in range(256):
            yield memory(self.halves[1] + self.chance.randrange(_HALF - 16), self.chance.randbytes(16))

    def refused(self) -> Iterator[Operation]:
        """A modern driver that asks for any features, also in words that there are not, and then for a queue
        that goes beyond the end of the address space. Only a reset helps it."""
        yield reset(Recovery.STATUS, RESET_CYCLES, self.scene.registers)
        yield set_common(COMMON.device_status, DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)
        for word in range(6):
            yield set_common(COMMON.driver_feature_select, word)
            yield set_common(COMMON.driver_feature, self.chance.getrandbits(32))
            yield set_common(COMMON.queue_select, self.chance.randrange(len(self.queues)))
            yield set_common(COMMON.driver_feature, 0)
        yield reset(Recovery.STATUS, RESET_CYCLES, self.scene.registers)
        yield from negotiated(self.features, legacy=False, vector=NO_VECTOR)
        end = (1 << 64) - DESC_BYTES
        yield from enabled(replace(self.queues[0], size=4, desc=end), legacy=False, vector=NO_VECTOR)

    # --- chains ---------------------------------------------------------------------------------------------

    def _offer_one(self, number: int, room: int) -> tuple[list[Operation], int]:
        """A chain, if there is room, and how many descriptors it takes; none if there is not."""
        queue, ring, chance = self.queues[number], self.rings[number], self.chance
        indirect = self.scene.has(Feature.INDIRECT_DESC)
        nested = indirect and (room < min(3, queue.size) or chance.random() < 0.7)
        operations, pieces = self.maker.right(queue, queue.size if nested else min(room, queue.size))
        need = 1 if nested else len(pieces)
        if need > room or len(pieces) > queue.size:
            return [], 0
        if not nested:
            return [*operations, *ring.offer(pieces)], need
        if isinstance(ring, SplitRing) and chance.random() < 0.5:
            return [*operations, *ring.offer(pieces, *self.buffers.far_table(len(pieces)))], need
        return [*operations, *ring.offer(pieces, self.buffers.table(len(pieces)))], need

    def offer(self, number: int) -> Iterator[Operation]:
        """As many chains on a queue as there is room for."""
        queue, ring = self.queues[number], self.rings[number]
        room, least = queue.size, 1 if self.scene.has(Feature.INDIRECT_DESC) else min(3, queue.size)
        for _ in range(_MOST_CHAINS):
            operations, need = self._offer_one(number, room) if room >= least else ([], 0)
            if not need:
                break
            room -= need
            self.chains += 1
            yield from operations
        if self.scene.has(Feature.EVENT_IDX):
            at = queue.driver + (0 if queue.packed else used_event_offset(queue.size))
            flags = EventFlags.DESC.to_bytes(2, "little") if queue.packed else b""
            yield memory(at, self.chance.randbytes(EVENT_INDEX_BYTES) + flags)
        yield from ring.publish()

    def notice(self, number: int) -> Operation:
        """A right notification of a queue."""
        with_data = self.scene.has(Feature.NOTIFICATION_DATA)
        return notify(number, number | self.rings[number].place << 16 if with_data else None)

    def lap(self) -> Iterator[Operation]:
        """All rings full, at once."""
        for number in range(len(self.queues)):
            yield from self.offer(number)
            if self.losing:
                for _ in range(self.chance.randint(1, 4)):
                    kind, delay = self.chance.choice(_FAULTS), self.chance.choice((300, 1500, 2500))
                    yield fault(int(kind), self.chance.randrange(10, 300), delay)
            yield self.notice(number)
        yield settle(_LOST_CYCLES if self.losing else _LARGE_LAP * LAP_CYCLES if self.large else LAP_CYCLES)
        if not self.losing:
            for ring in self.rings:
                if isinstance(ring, SplitRing) and ring.queue.role is not Role.RECEIVE:
                    yield ring.expect(LAP_CYCLES)

    def again(self, *numbers: int) -> Iterator[Operation]:
        """Queues are reset, and enabled elsewhere."""
        for number in numbers:
            yield set_common(COMMON.queue_select, number)
            yield set_common(COMMON.queue_reset, 1)
        for number in numbers:
            yield set_common(COMMON.queue_select, number)
            reset_of = COMMON.queue_reset
            yield expect_register(
                Space.COMMON, reset_of.offset, reset_of.size, 0, LAP_CYCLES, unless=self.losing
            )
            queue = self.queue(number, self.queues[number].role)
            self.queues[number] = queue
            self.rings[number] = self._ring(queue)
            yield from self._enabled(queue)

    def well(self) -> Operation:
        """The device has not given up."""
        legacy = self.target.legacy
        at = LEGACY.device_status if legacy else COMMON.device_status
        return expect_register(self.scene.registers, at.offset, 1, ready_status(legacy), 100)
