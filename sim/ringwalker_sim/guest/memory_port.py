"""A whole machine in plain Python: a port with a virtio block device behind a PCI function, without RTL.

Time is a list of what happens when. Configuration space is that of the device's own tables.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import layout
from ringwalker.spec.common import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR_BASE,
    MSIX_BAR,
    NO_VECTOR,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    DeviceStatus,
    IsrBit,
)
from ringwalker.spec.features import Feature
from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    Command,
    MsixControl,
    Status,
)
from ringwalker.spec.registers import RegisterTable

from ..memory import GuestMemory
from .loop import Loop, StuckError
from .memory_device import BlkModel
from .port import Port, make_bdf

__all__ = ["MemoryPort"]

_ACCESS_CYCLES = 20
"""What a read of configuration or memory space takes."""


def _get(content: bytearray, table: RegisterTable, name: str, base: int = 0) -> int:
    row = table[name]
    return int.from_bytes(content[base + row.offset : base + row.offset + row.size], "little")


def _put(content: bytearray, table: RegisterTable, name: str, value: int, base: int = 0) -> None:
    row = table[name]
    content[base + row.offset : base + row.offset + row.size] = value.to_bytes(row.size, "little")


class _ConfigSpace:
    """Configuration space of ``config``'s function as bytes with write masks."""

    def __init__(self, config: DeviceConfig):
        described = layout(config)
        self.msix = described["msix"].offset
        join = lambda name: bytearray(  # noqa: E731
            b"".join(getattr(word, name).to_bytes(4, "little") for word in described.dwords)
        )
        self.bytes, self.writable, self.w1c = join("reset"), join("writable"), join("w1c")
        self.bars = {bar.index: bar for bar in described.bars}

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(self.bytes[offset : offset + size].ljust(size, b"\0"), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at < len(self.bytes):
                kept = self.bytes[at] & ~self.writable[at] & ~(self.w1c[at] & byte)
                self.bytes[at] = kept | byte & self.writable[at]

    def command(self) -> int:
        return _get(self.bytes, HEADER, "command")

    def locate(self, address: int, size: int) -> tuple[int, int] | None:
        """BAR index and offset of a memory access."""
        if not self.command() & Command.MEMORY_ENABLE:
            return None
        for bar in self.bars.values():
            start = _get(self.bytes, HEADER, f"bar{bar.index}") & bar.writable
            if bar.is_64:
                start |= _get(self.bytes, HEADER, f"bar{bar.index + 1}") << 32
            if start <= address and address + size <= start + bar.size:
                return bar.index, address - start
        return None

    def msix_control(self) -> int:
        return _get(self.bytes, MSIX_CAPABILITY, "control", self.msix)


@dataclass
class _Face:
    """The registers of the common configuration that the model keeps itself."""

    device_feature_select: int = 0
    driver_feature_select: int = 0
    driver_features: int = 0
    config_msix_vector: int = NO_VECTOR
    status: int = 0
    queue_select: int = 0


class MemoryPort(Loop, Port):
    """A port whose device is a :class:`BlkModel`, ``model``, on ``disk`` behind the function of ``config``.

    Other arguments go to the model. ``accesses`` counts reads and writes of the device by kind.
    """

    def __init__(
        self, config: DeviceConfig, memory: GuestMemory, disk: np.ndarray, bdf: int = make_bdf(1, 0), **model
    ):
        super().__init__()
        self.config = config
        self.memory = memory
        self.disk = None
        self.clock_mhz = config.clock_mhz
        self.bdf = bdf
        kinds = ("config_read", "config_write", "memory_read", "memory_write")
        self.accesses: dict[str, int] = dict.fromkeys(kinds, 0)
        self.space = _ConfigSpace(config)
        self.model = BlkModel(
            memory,
            disk,
            self.schedule,
            queues=config.queues,
            queue_size=config.queue_size,
            block_size=config.blk.block_size,
            serial=config.blk.serial,
            **model,
        )
        self.model.notify = self._queue_interrupt
        self.model.change = self._config_interrupt
        self.face = _Face()
        self.isr = 0
        self.table = bytearray(self.space.bars[MSIX_BAR].size)
        for vector in range(config.vectors):
            _put(self.table, MSIX_TABLE_ENTRY, "vector_control", 1, vector * MSIX_ENTRY_BYTES)
        self._now = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._messages: dict[tuple[int, int], Callable[[], None]] = {}
        self._intx: Callable[[], None] = lambda: None
        self._asserted = False

    # --- time ----------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Cycles since the start."""
        return self._now

    def schedule(self, cycles: int, action: Callable[[], None]) -> None:
        """Do ``action`` in ``cycles``."""
        self._number += 1
        heapq.heappush(self._agenda, (self._now + cycles, self._number, action))

    def advance(self, deadline: int | None) -> None:
        """Do what comes next, or let time pass to ``deadline``."""
        if self._agenda and (deadline is None or self._agenda[0][0] <= deadline):
            cycle, _, action = heapq.heappop(self._agenda)
            self._now = max(self._now, cycle)
            action()
        elif deadline is None:
            raise StuckError(f"nothing can happen any more after cycle {self._now}")
        else:
            self._now = max(self._now, deadline)

    # --- accesses ------------------------------------------------------------------------------------------

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space."""
        if bdf != self.bdf:
            return (1 << 8 * size) - 1
        self.accesses["config_read"] += 1
        await self.sleep(_ACCESS_CYCLES)
        value = self.space.read(offset, size)
        if offset <= HEADER.status.offset < offset + size and self._asserted:
            value |= Status.INTERRUPT_STATUS << 8 * (HEADER.status.offset - offset)
        return value

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        if bdf == self.bdf:
            self.accesses["config_write"] += 1
            await self.sleep(_ACCESS_CYCLES)
            self.space.write(offset, size, value)

    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space."""
        self.accesses["memory_read"] += 1
        await self.sleep(_ACCESS_CYCLES)
        place = self.space.locate(address, size)
        if place is None:
            return (1 << 8 * size) - 1
        index, offset = place
        if index == MSIX_BAR:
            return int.from_bytes(self.table[offset : offset + size], "little")
        return self._face_read(offset, size) if index == FACE_BAR else 0

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space."""
        self.accesses["memory_write"] += 1
        place = self.space.locate(address, size)
        if place is not None:
            index, offset = place
            if index == MSIX_BAR:
                self.table[offset : offset + size] = value.to_bytes(size, "little")
            elif index == FACE_BAR:
                self._face_write(offset, size, value)

    async def io_read(self, address: int, size: int) -> int:
        """There is no I/O BAR."""
        return (1 << 8 * size) - 1

    async def io_write(self, address: int, size: int, value: int) -> None:
        """There is no I/O BAR."""

    def tlps(self) -> dict[str, int]:
        """Accesses of the CPU; the model makes no packets."""
        return dict(self.accesses)

    # --- the virtio structures -----------------------------------------------------------------------------

    def _face_read(self, offset: int, size: int) -> int:
        if offset >= NOTIFY_BASE:
            return 0
        if offset >= DEVICE_BASE:
            content = self.model.config_bytes()
            return int.from_bytes(content[offset - DEVICE_BASE :][:size].ljust(size, b"\0"), "little")
        if offset >= ISR_BASE:
            value, self.isr = self.isr, 0
            self._update_line()
            return value
        for row in COMMON:
            if row.offset <= offset - COMMON_BASE < row.offset + row.size:
                value = self._common(row.name) >> 8 * (offset - COMMON_BASE - row.offset)
                return value & (1 << 8 * size) - 1
        return 0

    def _common(self, name: str) -> int:
        face, model = self.face, self.model
        if name == "device_feature":
            return model.features >> 32 * face.device_feature_select if face.device_feature_select < 2 else 0
        if name == "driver_feature":
            return face.driver_features >> 32 * face.driver_feature_select & 0xFFFF_FFFF
        if name == "device_status":
            return face.status | (DeviceStatus.DEVICE_NEEDS_RESET if model.needs_reset else 0)
        if name in ("num_queues", "config_generation"):
            return len(model.queues) if name == "num_queues" else model.generation
        if not name.startswith("queue_") or name == "queue_select":
            return getattr(face, name, 0)
        if face.queue_select >= len(model.queues):
            return 0
        queue = model.queues[face.queue_select]
        known = {"queue_notify_off": face.queue_select, "queue_msix_vector": queue.vector, "queue_reset": 0}
        return known[name] if name in known else getattr(queue, name.removeprefix("queue_"), 0)

    def _face_write(self, offset: int, size: int, value: int) -> None:
        if offset >= NOTIFY_BASE:
            if self.face.status & DeviceStatus.DRIVER_OK:
                self.model.doorbell((offset - NOTIFY_BASE) // NOTIFY_MULTIPLIER)
            return
        for row in COMMON if offset < ISR_BASE else ():
            if row.offset <= offset - COMMON_BASE < row.offset + row.size:
                shift = 8 * (offset - COMMON_BASE - row.offset)
                mask = ((1 << 8 * size) - 1) << shift
                self._set_common(row.name, self._common(row.name) & ~mask | value << shift & mask)

    def _set_common(self, name: str, value: int) -> None:
        face, model = self.face, self.model
        if name == "driver_feature":
            if face.driver_feature_select < 2:
                shift = 32 * face.driver_feature_select
                face.driver_features = face.driver_features & ~(0xFFFF_FFFF << shift) | value << shift
        elif name == "device_status":
            self._set_status(value)
        elif name.endswith("msix_vector") and value >= self.config.vectors:
            self._set_common(name, NO_VECTOR) if value != NO_VECTOR else self._set_vector(name, value)
        elif name.endswith("msix_vector"):
            self._set_vector(name, value)
        elif not name.startswith("queue_") or name == "queue_select":
            if hasattr(face, name):
                setattr(face, name, value)
        elif face.queue_select < len(model.queues):
            if name == "queue_reset":
                if value == 1 and face.driver_features >> Feature.RING_RESET & 1:
                    model.reset_queue(face.queue_select)
            elif name != "queue_notify_off":
                setattr(model.queues[face.queue_select], name.removeprefix("queue_"), value)

    def _set_vector(self, name: str, value: int) -> None:
        if name == "config_msix_vector":
            self.face.config_msix_vector = value
        elif self.face.queue_select < len(self.model.queues):
            self.model.queues[self.face.queue_select].vector = value

    def _set_status(self, value: int) -> None:
        if value == 0:
            self.model.reset()
            self.face = _Face()
            self.isr = 0
            self._update_line()
            return
        if value & DeviceStatus.FEATURES_OK and self.face.driver_features & ~self.model.features:
            value &= ~DeviceStatus.FEATURES_OK
        self.face.status |= value & ~DeviceStatus.DEVICE_NEEDS_RESET

    # --- interrupts ----------------------------------------------------------------------------------------

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data."""
        place = (0xFEE0_0000, len(self._messages) + 1)
        self._messages[place] = callback
        return place

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs when INTA is asserted."""
        self._intx = callback

    def _queue_interrupt(self, index: int) -> None:
        self._interrupt(self.model.queues[index].vector, IsrBit.QUEUE)

    def _config_interrupt(self) -> None:
        self._interrupt(self.face.config_msix_vector, IsrBit.CONFIG)

    def _interrupt(self, vector: int, cause: IsrBit) -> None:
        control = self.space.msix_control()
        if not control & MsixControl.ENABLE:
            self.isr |= cause
            self._update_line()
        elif vector != NO_VECTOR and not control & MsixControl.FUNCTION_MASK:
            base = vector * MSIX_ENTRY_BYTES
            if not _get(self.table, MSIX_TABLE_ENTRY, "vector_control", base):
                address = _get(self.table, MSIX_TABLE_ENTRY, "address_low", base)
                callback = self._messages[address, _get(self.table, MSIX_TABLE_ENTRY, "data", base)]
                self.schedule(1, callback)

    def _update_line(self) -> None:
        asserted = bool(self.isr) and not self.space.command() & Command.INTX_DISABLE
        if asserted and not self._asserted:
            self.schedule(1, self._intx)
        self._asserted = asserted
