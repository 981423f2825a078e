"""The device under test, as one check uses it: bare registers, bare rings, memory, interrupts and time."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringwalker.spec.blk import BlkFeature
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import NO_VECTOR, DeviceStatus

from ..guest.pci import PciDevice
from ..guest.port import Port
from ..guest.transport.faces import DRIVER_FACES
from ..guest.transport.pci_transport import PciTransport
from ..guest.transport.queue_registers import QueueRegisters
from ..guest.transport.virtio_pci import VirtioPciTransport
from ..memory import Buffer
from .check import Nonconformance, NotApplicable, Way
from .medium import Medium
from .rings.packed_queue import PackedQueue
from .rings.queues import Queue, Used
from .rings.split_queue import SplitQueue

__all__ = ["STARTED", "Subject", "Timing"]

STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
"""The status of a device that works, by the modern face."""

_GUARD_BYTES = 64
_GUARD = 0xA5
_TRANSPORT = 1 << Feature.VERSION_1 | 1 << Feature.ACCESS_PLATFORM | 1 << Feature.ORDER_PLATFORM
"""What is accepted whenever it is offered."""

_LATER_WORDS = (2, 3)
"""Words of feature bits from 64 on, which few devices have."""


@dataclass
class Timing:
    """How long a check waits, in cycles of the port where nothing else is said."""

    patience: int = 200_000
    """After so long an answer counts as never coming."""
    quiet: int = 4_000
    """After so long it counts as nothing that nothing has happened."""
    poll: int = 50
    """Between two looks."""
    long: float = 10
    """Seconds that the few checks may take which need very many buffers."""
    lag: int = 0
    """By so much a message may come behind the answer to a read that was sent after its cause."""


class Subject:
    """A function ``pci`` under test, used one ``way``.

    ``type`` is the virtio device type; ``ways`` are those that the function has. ``transport`` has the
    registers of the way's face and does nothing by itself; ``structures`` are the virtio structures of the
    modern face. ``random`` is seeded. ``medium`` is the world behind the device, None when it cannot be
    reached.

    After :meth:`start`: ``features`` are those negotiated, ``queues`` the queues by index, ``vectors`` the
    number of MSI-X vectors in use; ``arrived`` counts messages by vector, and assertions of INTA as -1.
    """

    def __init__(
        self,
        pci: PciDevice,
        way: Way,
        *,
        ways: Sequence[Way] = (),
        seed: int = 1,
        medium: Medium | None = None,
        timing: Timing | None = None,
    ):
        self.pci = pci
        self.port: Port = pci.port
        self.memory = pci.port.memory
        self.way = way
        self.ways = tuple(ways)
        self.random = random.Random(seed)
        self.medium = medium
        self.timing = timing or Timing()
        self.type = pci.id.type
        self.transport: PciTransport = DRIVER_FACES["legacy" if way is Way.LEGACY else "modern"](pci)
        self.offered = self.features = 0
        self.queues: dict[int, Queue] = {}
        self.vectors = 0
        self.arrived: Counter[int] = Counter()
        self.notes: list[tuple[str, Any]] = []
        self._registers: dict[int, QueueRegisters] = {}
        self.buffers: list[Buffer] = []
        """Those of the check, with their guards."""
        self._guards: list[tuple[np.ndarray, str]] = []

    # --- what there is -------------------------------------------------------------------------------------

    @property
    def legacy(self) -> bool:
        """Whether the legacy face is used."""
        return self.way is Way.LEGACY

    @property
    def structures(self) -> Any:
        """The places and registers of the modern face's structures (:class:`.VirtioStructures`)."""
        assert isinstance(self.transport, VirtioPciTransport)
        return self.transport.structures

    async def find(self) -> None:
        """Find the registers of the face, and read the features that are offered. Errors: ``BindError``."""
        await self.transport.find_face()
        self.offered = await self.transport.device_features()
        if not self.legacy:
            for word in _LATER_WORDS:
                await self.set_common("device_feature_select", word)
                self.offered |= await self.common("device_feature") << 32 * word

    def offers(self, feature: int) -> bool:
        """Whether a feature bit is offered."""
        return bool(self.offered >> feature & 1)

    def has(self, feature: int) -> bool:
        """Whether a feature bit was negotiated by :meth:`start`."""
        return bool(self.features >> feature & 1)

    @property
    def name(self) -> str:
        """The name of the device type."""
        return DeviceType(self.type).name.lower() if self.type in tuple(DeviceType) else f"type {self.type}"

    def note(self, what: str, value: Any) -> None:
        """Note what was observed, to be compared with another device that does the same."""
        self.notes.append((what, value))

    # --- registers -----------------------------------------------------------------------------------------

    async def common(self, name: str) -> int:
        """Read a register of the common configuration."""
        assert isinstance(self.transport, VirtioPciTransport)
        return await self.transport.read_common(name)

    async def set_common(self, name: str, value: int) -> None:
        """Write one."""
        assert isinstance(self.transport, VirtioPciTransport)
        await self.transport.write_common(name, value)

    async def status(self) -> int:
        """The device status."""
        return await self.transport.status()

    async def set_status(self, value: int) -> None:
        """Write the device status."""
        await self.transport.write_status(value)

    def registers(self, index: int) -> QueueRegisters:
        """The registers of queue ``index``: ``read(name)``, ``write(name, value)``, ``ring(index)``."""
        if index not in self._registers:
            self._registers[index] = self.transport.queue_registers(index)
        return self._registers[index]

    # --- from reset to work --------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Reset the device and wait for its end."""
        await self.set_status(0)
        await self.until(self._is_reset, "pci-05.07", "the status does not become 0 after a reset")
        self._registers.clear()
        self.features = 0
        for queue in self.queues.values():
            queue.free()
        self.queues.clear()

    async def _is_reset(self) -> bool:
        return await self.status() == 0

    def wanted(self, *features: int) -> int:
        """The mask that the way needs with ``features`` beside. Errors: :class:`NotApplicable` where one is
        not offered."""
        mask = self.offered & _TRANSPORT
        if self.legacy:
            mask |= self.offered & 1 << Feature.ANY_LAYOUT
        elif self.type == DeviceType.BLK:  # A host-managed disk is of no use without it.
            mask |= self.offered & 1 << BlkFeature.ZONED
        if self.way is Way.PACKED:
            features = (*features, Feature.RING_PACKED)
        for feature in features:
            if not self.offers(feature):
                raise NotApplicable(f"feature bit {feature} is not offered")
            mask |= 1 << feature
        return mask & 0xFFFF_FFFF if self.legacy else mask

    async def negotiate(self, *features: int, accept: int | None = None) -> None:
        """From reset to FEATURES_OK, with ``features`` beside what the way needs, or exactly ``accept``."""
        mask = self.wanted(*features) if accept is None else accept
        await self.set_status(DeviceStatus.ACKNOWLEDGE)
        await self.set_status(DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)
        await self.transport.accept_features(mask)
        for word in _LATER_WORDS if mask >> 64 else ():
            await self.set_common("driver_feature_select", word)
            await self.set_common("driver_feature", mask >> 32 * word & 0xFFFF_FFFF)
        if not self.legacy:
            await self.set_status(STARTED & ~DeviceStatus.DRIVER_OK)
            if not await self.status() & DeviceStatus.FEATURES_OK:
                raise Nonconformance("core-02.02", f"the offered features {mask:#x} are not accepted")
        self.features = self.transport.features = mask

    async def start(
        self,
        *features: int,
        size: int | None = None,
        interrupt: str = "msix",
        queues: Sequence[int] | None = None,
        accept: int | None = None,
    ) -> None:
        """Reset the device and bring it to DRIVER_OK, with empty ``queues`` (by default all) of ``size``
        entries or as many as there can be up to 64. ``interrupt`` is msix, intx or none; ``accept`` are the
        features exactly, where it is not None.

        Errors: :class:`NotApplicable` where a feature or MSI-X is missing.
        """
        await self.reset()
        await self.negotiate(*features, accept=accept)
        await self.enable_interrupts(interrupt)
        count = await self.transport.num_queues()
        for index in range(count) if queues is None else queues:
            await self.set_queue(index, size)
        await self.driver_ok()

    async def driver_ok(self) -> None:
        """Set DRIVER_OK."""
        await self.set_status(await self.status() | DeviceStatus.DRIVER_OK)

    async def enable_interrupts(self, interrupt: str) -> None:
        """Enable MSI-X (vector 0 for configuration changes, the next for queues) or INTx, or neither."""
        self.vectors = 0
        self.transport.use_vectors(0)
        if interrupt == "intx":
            await self.pci.enable_intx(lambda: self._arrive(-1))
            return
        if interrupt == "none":
            await self.pci.disable_msix()
            return
        vectors = await self.pci.msix_vectors()
        if not vectors:
            raise NotApplicable("there is no MSI-X")
        self.vectors = min(vectors, 1 + await self.transport.num_queues())
        await self.pci.enable_msix([self._arrival(vector) for vector in range(self.vectors)])
        self.transport.use_vectors(self.vectors)
        if await self.transport.set_config_vector(0) != 0:
            raise Nonconformance("pci-11.08", "vector 0 cannot be mapped to configuration changes")

    def listen_to_intx(self) -> None:
        """Count assertions of INTA, whatever interrupt is enabled."""
        self.port.intx_handler(lambda: self._arrive(-1))

    def _arrival(self, vector: int) -> Callable[[], None]:
        return lambda: self._arrive(vector)

    def _arrive(self, vector: int) -> None:
        self.arrived[vector] += 1

    def vector_of(self, index: int) -> int:
        """The vector of a queue: its own where there are enough."""
        return min(1 + index, self.vectors - 1)

    def interrupts(self, index: int) -> int:
        """Used buffer notifications of a queue so far (of all, where they share)."""
        return self.arrived[self.vector_of(index) if self.vectors else -1]

    @property
    def any_layout(self) -> bool:
        """Whether a buffer may be cut into descriptors in any way. Ref: virtio 1.4, 2.7.4."""
        return not self.legacy or self.has(Feature.ANY_LAYOUT)

    def by_ring(self, split: str, packed: str) -> str:
        """The clause for the format of rings that is used."""
        return packed if self.way is Way.PACKED else split

    async def new_queue(self, index: int, size: int | None = None) -> Queue:
        """Rings for a queue, which the device does not know yet."""
        most = await self.registers(index).read("size")
        if not most:
            raise NotApplicable(f"there is no queue {index}")
        if self.legacy:
            queue: Queue = SplitQueue(self.memory, index, most, legacy=True)
        elif self.way is Way.PACKED:
            queue = PackedQueue(self.memory, index, min(size or 64, most))
        else:
            queue = SplitQueue(self.memory, index, min(size or 64, most))
        queue.event_idx, queue.in_order = self.has(Feature.EVENT_IDX), self.has(Feature.IN_ORDER)
        return queue

    async def set_queue(self, index: int, size: int | None = None) -> Queue:
        """Make a queue and enable it."""
        queue = self.queues[index] = await self.new_queue(index, size)
        await self.enable_queue(queue)
        return queue

    async def enable_queue(self, queue: Queue) -> None:
        """Write size, vector and addresses of a queue to the device, and enable it."""
        registers = self.registers(queue.index)
        if not self.legacy:
            await registers.write("size", queue.size)
        if self.vectors:
            await registers.write("vector", self.vector_of(queue.index))
            if await registers.read("vector") == NO_VECTOR:
                raise Nonconformance("pci-11.08", f"queue {queue.index} gets no vector")
        for name in ("desc", "driver", "device"):
            await registers.write(name, getattr(queue, f"{name}_address"))
        await registers.write("enable", 1)

    # --- buffers -------------------------------------------------------------------------------------------

    def buffer(self, length: int, content: bytes | None = None, align: int = 16) -> Buffer:
        """A buffer between guards, filled with ``content`` or a pattern; it is freed with the check."""
        area = self.memory.allocate(length + 2 * _GUARD_BYTES, max(align, 16))
        area.array[:] = _GUARD
        self.buffers.append(area)
        inner = Buffer(self.memory, area.address + _GUARD_BYTES, length)
        inner.array[:] = 0x5C if content is None else np.frombuffer(content, np.uint8)
        for start in (0, _GUARD_BYTES + length):
            guard = area.array[start : start + _GUARD_BYTES]
            self._guards.append((guard, f"beside {length} bytes at {inner.address:#x}"))
        return inner

    def check_guards(self, clause: str = "core-07.01") -> None:
        """Errors: :class:`Nonconformance` when the device has written beside a buffer."""
        for guard, where in self._guards:
            if (guard != _GUARD).any():
                raise Nonconformance(clause, f"the device has written {where}")

    async def close(self) -> None:
        """Reset the device, and free all memory."""
        await self.reset()
        for buffer in self.buffers:
            buffer.free()
        self.buffers.clear()
        self._guards.clear()

    # --- time ----------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Awaitable[bool]], clause: str, text: str) -> None:
        """Wait until ``condition()`` is true. Errors: :class:`Nonconformance` when that takes too long."""
        end = self.port.now() + self.timing.patience
        while not await condition():
            if self.port.now() >= end:
                raise Nonconformance(clause, text)
            await self.port.sleep(self.timing.poll)

    async def settle(self) -> None:
        """Wait so long that what does not happen is not going to happen."""
        await self.port.sleep(self.timing.quiet)

    async def notified(self, index: int, before: int, clause: str, text: str) -> None:
        """Wait until there are more than ``before`` used buffer notifications of a queue."""

        async def more() -> bool:
            return self.interrupts(index) > before

        await self.until(more, clause, text)

    async def kick(self, queue: Queue) -> None:
        """Notify the device of a queue."""
        data = queue.shown if self.has(Feature.NOTIFICATION_DATA) else None
        await self.registers(queue.index).ring(queue.index, data)

    async def used(self, queue: Queue, count: int, clause: str | None = None) -> list[Used]:
        """Wait until ``count`` buffers are used; they are removed from the ring.

        Errors: :class:`Nonconformance` of ``clause`` when they do not come, or one is none that was offered.
        """
        clause = clause or ("core-14.01" if self.way is Way.PACKED else "core-10.01")
        found: list[Used] = []

        async def enough() -> bool:
            found.extend(queue.take())
            return len(found) >= count

        await self.until(enough, clause, f"{count} buffers were offered, and not all are used in time")
        if self.timing.lag:
            # Memory shows a used buffer before the notification of it has been sent.
            await self.status()
            await self.port.sleep(self.timing.lag)
        for item in found:
            if item.offer is None:
                raise Nonconformance(
                    clause, f"a used element names buffer {item.key}, which is not in flight"
                )
            if item.length > item.offer.room and not item.batched:
                text = f"{item.length} bytes are said to be written into {item.offer.room}"
                raise Nonconformance("core-10.02", text)
            self.note("used", queue.seen(item, self.type != DeviceType.ENTROPY))
        return found
