"""A long load, to count what toggles: what cases are too short for.

Stretches use everything at once: all queues, as deep as their rings are, at addresses all over 64 bits, with
features, sizes and vectors by chance. In some of them completions are lost or late. One goes on until the
16-bit numbers of rings have wrapped. They are right requests, but for reads into memory that is not there and
chains that say nothing to a block device. They are cases as others are, so all rules are checked, and where
all reads are answered the device must be well in the end.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestHeader, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY, legacy_device_offset, legacy_driver_offset
from ringwalker.spec.modern import COMMON, NO_VECTOR
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY
from ringwalker.spec.ring import AVAIL_RING_OFFSET, DESC_BYTES

from ..campaign.task import Say
from ..host import Fault
from ..struct_bytes import struct_bytes
from .batch import Watch, coverage_model, found_in
from .bring_up import driver_ok, enabled, interrupts, negotiated, ready_status, set_common
from .case import Case
from .executor import RESET_CYCLES, Executor
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
from .requests import Buffers, Chain, right_chain
from .rings import PackedRing, Piece, SplitRing, ring_of
from .scene import Queue, Role, Scene
from .spaces import Space
from .target import FAR, FAR_LEGACY, MEMORY_BYTES, counted, target

__all__ = ["LOAD", "STRETCHES", "run_load", "stretches"]

LOAD = "ringwalker_sim.fuzz.load:run_load"
"""What the task of a load calls."""

STRETCHES = 36
"""Short ones. Behind them comes the long one."""

_LAPS = 4
_LOSING = 3
"""Of so many stretches one loses completions."""
_CYCLES = 60_000
"""A lap has ended after so many."""
_LOST_CYCLES = 20_000
_WRAPPED = 1 << 16
_LARGE, _LARGE_BITS = 12, 9.5
"""Of so many stretches one has long reads, of up to so many bits of sectors."""
_MOST_CYCLES = 20_000_000
_PAGE, _LEGACY_PAGES, _HALF = 0x1000, 3, MEMORY_BYTES // 2
"""Queues are in one half of guest memory, and buffers in the other."""
_OPTIONAL = (Feature.INDIRECT_DESC, Feature.EVENT_IDX, Feature.IN_ORDER, Feature.NOTIFICATION_DATA)
_FAULTS = (Fault.LOST, Fault.LATE, Fault.LOST, Fault.LATE, Fault.DOUBLED, Fault.POISONED)
_LONG_SECTORS, _LONG_PIECES, _MOST_CHAINS = 6, 20, 16


class _FarBuffers(Buffers):
    """Buffers anywhere in 64 bits."""

    def __init__(self, scene: Scene, chance: Random):
        super().__init__(scene, chance)
        self._chance = chance

    def take(self, length: int, align: int = 1) -> int:
        """See :meth:`Buffers.take`."""
        return super().take(length, align) + self._chance.choice(FAR)


class _Stretch:
    """One stretch on the device ``key``, by ``chance``."""

    def __init__(self, key: str, chance: Random, losing: bool, large: bool = False):
        self.target = target(key)
        self.chance = chance
        self.losing = losing
        self.large = large
        self.config = self.target.config
        optional = [bit for bit in _OPTIONAL if chance.random() < 0.5]
        self.features = sum(1 << bit for bit in optional) | self.target.extra_features
        if not self.target.legacy:
            self.features |= 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
            self.features |= self.target.packed << Feature.RING_PACKED
        self.msix = chance.random() < 0.8
        self.halves = [0, _HALF] if chance.random() < 0.5 else [_HALF, 0]
        self._pages = list(range(0, _HALF // _PAGE, _LEGACY_PAGES))[:-1]
        chance.shuffle(self._pages)
        self.queues = [self._queue(number, role) for number, role in enumerate(self.target.roles)]
        self.scene = Scene(
            self.target.function,
            Space.LEGACY if self.target.legacy else Space.COMMON,
            tuple(self.queues),
            (self.halves[1], self.halves[1] + _HALF),
            (0, MEMORY_BYTES),
            self.features,
            10 if self.target.legacy else 12,
        )
        self.buffers = _FarBuffers(self.scene, chance)
        self.rings = [ring_of(queue, chance.getrandbits(16)) for queue in self.queues]
        self.chains = 0

    def _page(self) -> int:
        """Three pages of memory that are free."""
        page = self._pages.pop()
        self._pages.insert(0, page)
        return self.halves[0] + _PAGE * page

    def _queue(self, number: int, role: Role, size: int | None = None) -> Queue:
        chance, most = self.chance, self.config.queue_size
        if self.target.legacy:
            desc = self._page() + chance.choice(FAR_LEGACY)
            areas = desc, desc + legacy_driver_offset(most), desc + legacy_device_offset(most)
            return Queue(number, most, False, *areas, role)
        if size is None:
            sizes = [most, most, most // 2, 4] if not self.target.packed else [most, most - 1, 11, 4]
            size = chance.choice(sizes)
        # Aligned as each area must be, anywhere in a page.
        align = (16, 4, 4) if self.target.packed else (16, 2, 4)
        desc, driver, device = (
            chance.choice(FAR) + self._page() + chance.randrange(0, 2 * _PAGE, unit) for unit in align
        )
        return Queue(number, size, self.target.packed, desc, driver, device, role)

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

    # --- chains ---------------------------------------------------------------------------------------------

    def _block(self, most: int) -> Chain:
        """Data of some length in many pieces, or such as is behind the disk's end and so is not moved."""
        chance = self.chance
        at = self.buffers.take(16)
        beyond = chance.random() < 0.3
        kind = BlkRequestType.IN if beyond or chance.random() < 0.5 else BlkRequestType.OUT
        sectors = chance.randint(1, _LONG_SECTORS)
        if self.large and kind is BlkRequestType.IN and not beyond:
            return self._large(most)
        sector = chance.getrandbits(64) | 1 << 60 if beyond else chance.randrange(0, 1000 - sectors)
        header = struct_bytes(BlkRequestHeader, type=int(kind), sector=sector)
        pieces: list[Piece] = [(at, 16, False)]
        written = kind is BlkRequestType.IN
        if beyond:
            pieces.append((chance.getrandbits(63), chance.getrandbits(32) | 1, True))
        else:
            left = sectors * SECTOR_BYTES
            cuts = sorted(chance.sample(range(1, left), min(most - 3, _LONG_PIECES)))
            for begin, end in zip([0, *cuts], [*cuts, left], strict=True):
                pieces.append((self.buffers.take(end - begin), end - begin, written))
        return [memory(at, header)], [*pieces, (self.buffers.take(1), 1, True)]

    def _large(self, most: int) -> Chain:
        """A long read, into buffers that are not there."""
        chance = self.chance
        sectors = min(self.config.settings.capacity, int(2 ** chance.uniform(3, _LARGE_BITS)))
        at = self.buffers.take(16)
        header = struct_bytes(BlkRequestHeader, type=int(BlkRequestType.IN))
        left = sectors * SECTOR_BYTES
        cuts = sorted(chance.sample(range(1, left), chance.randint(0, min(most - 3, _LONG_PIECES))))
        data = [
            (chance.getrandbits(63), end - begin, True)
            for begin, end in zip([0, *cuts], [*cuts, left], strict=True)
        ]
        return [memory(at, header)], [(at, 16, False), *data, (self.buffers.take(1), 1, True)]

    def _chain(self, queue: Queue, most: int) -> Chain:
        if queue.role is Role.BLOCK and most > 4 and self.chance.random() < 0.5:
            return self._block(most)
        return right_chain(self.chance, self.buffers, self.scene, queue, most)

    def _offer(self, queue: Queue, ring: SplitRing | PackedRing) -> Iterator[Operation]:
        """As many chains as there is room for."""
        indirect = self.scene.has(Feature.INDIRECT_DESC)
        room, before = queue.size, self.chains
        while (room >= 3 or (indirect and room)) and self.chains - before < _MOST_CHAINS:
            nested = indirect and (room < 3 or self.chance.random() < 0.7)
            operations, pieces = self._chain(queue, queue.size if nested else min(room, queue.size))
            need = 1 if nested else len(pieces)
            if need > room:
                break
            room -= need
            yield from operations
            yield from ring.offer(pieces, self.buffers.table(len(pieces)) if nested else None)
            self.chains += 1
        if self.scene.has(Feature.EVENT_IDX):
            at = queue.driver if queue.packed else queue.driver + AVAIL_RING_OFFSET + 2 * queue.size
            yield memory(at, self.chance.randbytes(2) + (b"\x02\0" if queue.packed else b""))
        yield from ring.publish()

    def lap(self) -> Iterator[Operation]:
        """All rings full, at once."""
        for queue, ring in zip(self.queues, self.rings, strict=True):
            yield from self._offer(queue, ring)
            if self.losing:
                for _ in range(self.chance.randint(1, 3)):
                    kind, delay = self.chance.choice(_FAULTS), self.chance.choice((300, 1500, 2500))
                    yield fault(int(kind), self.chance.randrange(10, 300), delay)
            with_data = self.scene.has(Feature.NOTIFICATION_DATA)
            yield notify(queue.number, queue.number | ring.place << 16 if with_data else None)
        yield settle(_LOST_CYCLES if self.losing else 20 * _CYCLES if self.large else _CYCLES)
        if not self.losing:
            for ring in self.rings:
                if isinstance(ring, SplitRing) and ring.queue.role is not Role.RECEIVE:
                    yield ring.expect(_CYCLES)

    def again(self) -> Iterator[Operation]:
        """A queue is reset, and enabled elsewhere."""
        number = self.chance.randrange(len(self.queues))
        yield set_common(COMMON.queue_select, number)
        yield set_common(COMMON.queue_reset, 1)
        yield expect_register(Space.COMMON, COMMON.queue_reset.offset, 2, 0, _CYCLES)
        queue = self._queue(number, self.queues[number].role)
        self.queues[number] = queue
        self.rings[number] = ring_of(queue, self.chance.getrandbits(16))
        yield from self._enabled(queue)

    def well(self) -> Operation:
        """The device has not given up."""
        legacy = self.target.legacy
        at = LEGACY.device_status if legacy else COMMON.device_status
        return expect_register(self.scene.registers, at.offset, 1, ready_status(legacy), 100)


def _short(key: str, chance: Random, losing: bool, large: bool) -> tuple[list[Operation], int]:
    stretch = _Stretch(key, chance, losing, large)
    operations = list(stretch.setup())
    for lap in range(_LAPS):
        if lap and not (losing or stretch.target.legacy):
            operations += stretch.again()
        operations += stretch.lap()
    if not losing:
        operations.append(stretch.well())
    return operations, stretch.chains


def _whole_disk(stretch: _Stretch) -> tuple[list[Operation], list[Piece]]:
    """All of a disk in one buffer: the largest length that is ever used."""
    sectors = stretch.config.settings.capacity
    header = struct_bytes(BlkRequestHeader, type=int(BlkRequestType.IN), sector=0)
    at, where = stretch.buffers.take(16), stretch.chance.getrandbits(63)
    pieces = [(at, 16, False), (where, sectors * SECTOR_BYTES, True), (stretch.buffers.take(1), 1, True)]
    return [memory(at, header)], pieces


def _smallest(role: Role) -> tuple[int, bool]:
    """A chain of one buffer: how long it is, and whether it is written. To a block device it says nothing,
    and comes back at once."""
    return (16, False) if role is Role.TRANSMIT else (1, True)


def _long(key: str, chance: Random) -> tuple[list[Operation], int]:
    """Rings that go round until their 16-bit numbers have wrapped."""
    stretch = _Stretch(key, chance, losing=False)
    operations = list(stretch.setup())
    if stretch.target.function == "blk":
        written, pieces = _whole_disk(stretch)
        ring = stretch.rings[0]
        operations += [*written, *ring.offer(pieces), *ring.publish()]
        data = stretch.scene.has(Feature.NOTIFICATION_DATA)
        operations += [notify(0, ring.place << 16 if data else None), settle(10 * _CYCLES)]
        stretch.chains += 1
    # Queues that are given nothing from outside.
    able = [
        ring for ring in stretch.rings if isinstance(ring, SplitRing) and ring.queue.role is not Role.RECEIVE
    ]
    at = stretch.buffers.take(16)
    for ring in able:
        # The table and the entries say the same in every lap: only the index goes on.
        for _ in range(ring.queue.size):
            operations += ring.offer([(at, *_smallest(ring.queue.role))])
    data = stretch.scene.has(Feature.NOTIFICATION_DATA)
    for lap in range(_WRAPPED // stretch.config.queue_size + 2 if able else 0):
        for ring in able:
            if lap:
                ring.index = ring.index + ring.queue.size & 0xFFFF
            operations += ring.publish()
            operations.append(
                notify(ring.queue.number, ring.queue.number | ring.place << 16 if data else None)
            )
            stretch.chains += ring.queue.size
        operations.append(settle(_CYCLES))
    operations += [ring.expect(_CYCLES) for ring in able]
    return [*operations, stretch.well()], stretch.chains


def stretches(key: str, seed: int, count: int = STRETCHES) -> Iterator[tuple[Case, int]]:
    """The cases of a load of the device ``key``, each with how many chains it makes available."""
    for number in range(count + 1):
        chance = Random(f"{key} load {seed} {number}")
        if number < count:
            losing, large = (number % of == of - 1 for of in (_LOSING, _LARGE))
            operations, chains = _short(key, chance, losing and not large, large)
        else:
            operations, chains = _long(key, chance)
        yield Case(key, "msix", tuple(operations), Recovery.FUNCTION), chains


def run_load(say: Say, device: str, seed: int, count: int = STRETCHES) -> dict[str, Any]:
    """Run the load of the device that counts for ``device``: ``stretches``, ``chains`` and ``cycles`` of it,
    ``findings``, and what has ``toggled``."""
    key = counted(device)
    library = coverage_model(device, say)
    result: dict[str, Any] = {"stretches": 0, "chains": 0, "cycles": 0, "findings": []}
    with Executor(key, library=library, most_cycles=_MOST_CYCLES, progress=say) as executor:
        watch = Watch(executor, library)
        for number, (case, chains) in enumerate(stretches(key, seed, count)):
            outcome = executor.run(case)
            result["stretches"] += 1
            result["chains"] += chains
            result["cycles"] += outcome.cycles
            result["findings"] += [found_in(item, number, [case]) for item in outcome.findings[:1]]
        return {**result, "toggled": watch.toggled()}
