"""A machine in Python alone: a port whose virtio PCI function is a model, without RTL.

Its configuration space comes from the same tables as the hardware's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import layout
from ringwalker.spec.features import Feature
from ringwalker.spec.fields import FIELDS_BASE
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR_BASE,
    MSIX_BAR,
    NO_VECTOR,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    IsrBit,
)
from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    Command,
    MsixControl,
    Status,
)
from ringwalker.spec.registers import Access, RegisterTable

from ..disk_image import DiskImage
from ..memory import GuestMemory
from .models.build import model_of
from .models.field_image import FieldImage
from .models.ring_server import RingServer
from .port import make_bdf
from .ring_queue import RING_FEATURES
from .software_port import SoftwarePort

__all__ = ["ModelPort"]

_ACCESS_CYCLES = 20
"""Cycles of a read of configuration or memory space."""


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

        def join(name: str) -> bytearray:
            return bytearray(b"".join(getattr(word, name).to_bytes(4, "little") for word in described.dwords))

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
    """Registers of the common configuration that :class:`ModelPort` keeps."""

    device_feature_select: int = 0
    driver_feature_select: int = 0
    config_msix_vector: int = NO_VECTOR
    queue_select: int = 0


class ModelPort(SoftwarePort):
    """A port whose device is a ``model`` behind the PCI function of ``config``; a block device has ``disk``.

    ``rings`` serves its queues. ``options`` go to the model: ``ring_reset``, ``latency``, ``jitter``,
    ``seed``, ... ``accesses`` counts reads and writes of the device by kind.
    """

    def __init__(
        self,
        config: DeviceConfig,
        memory: GuestMemory,
        disk: DiskImage | None = None,
        bdf: int = make_bdf(1, 0),
        **options: Any,
    ):
        super().__init__(memory)
        self.config = config
        self.clock_mhz = config.clock_mhz
        self.bdf = bdf
        kinds = ("config_read", "config_write", "memory_read", "memory_write")
        self.accesses: dict[str, int] = dict.fromkeys(kinds, 0)
        self.space = _ConfigSpace(config)
        self.model: Any = model_of(config, self.schedule, disk, **options)
        unknown = 1 << Feature.RING_PACKED if config.ring == "split" else 0
        self.rings = RingServer(self.model, memory, self.now, RING_FEATURES & ~unknown)
        self.rings.notify = self._queue_interrupt
        self.model.change = self._config_interrupt
        self.face = _Face()
        self.fields = FieldImage(
            self.model,
            self.rings.register_read,
            self._field_queue,
            lambda: self.face.config_msix_vector,
            self._field_vector,
        )
        self.isr = 0
        self.table = bytearray(self.space.bars[MSIX_BAR].size)
        for vector in range(config.vectors):
            _put(self.table, MSIX_TABLE_ENTRY, "vector_control", 1, vector * MSIX_ENTRY_BYTES)
        self._messages: dict[tuple[int, int], Callable[[], None]] = {}
        self._intx: Callable[[], None] = lambda: None
        self._asserted = False

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

    def tlps(self) -> dict[str, int]:
        """Accesses of the CPU by kind; the model sends no TLPs."""
        return dict(self.accesses)

    # --- the virtio structures -----------------------------------------------------------------------------

    def _field_vector(self, vector: int) -> None:
        self._set_common("config_msix_vector", vector)

    def _field_queue(self, index: int, name: str, value: int) -> None:
        """Write a register of a queue that is in the field list."""
        if name == "vector":
            self.rings.queues[index].vector = value if value < self.config.vectors else NO_VECTOR
        else:
            self.rings.register_write(index, name, value)

    def _face_read(self, offset: int, size: int) -> int:
        if offset >= FIELDS_BASE:
            return int.from_bytes(self.fields.read(offset - FIELDS_BASE, size), "little")
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
            select = face.driver_feature_select
            return model.driver_features >> 32 * select & 0xFFFF_FFFF if select < 2 else 0
        if name == "device_status":
            return model.read_status()
        if name in ("num_queues", "config_generation"):
            return len(self.rings.queues) if name == "num_queues" else model.generation
        if not name.startswith("queue_") or name == "queue_select":
            return getattr(face, name, 0)
        if face.queue_select >= len(self.rings.queues):
            return 0
        name = "vector" if name == "queue_msix_vector" else name.removeprefix("queue_")
        return self.rings.register_read(face.queue_select, name)

    def _face_write(self, offset: int, size: int, value: int) -> None:
        if offset >= FIELDS_BASE:
            self.fields.write(offset - FIELDS_BASE, value.to_bytes(size, "little"))
            return
        if offset >= NOTIFY_BASE:
            if self.model.running:
                self.rings.doorbell((offset - NOTIFY_BASE) // NOTIFY_MULTIPLIER)
            return
        if offset >= DEVICE_BASE:
            self.model.write_config(offset - DEVICE_BASE, value.to_bytes(size, "little"))
            return
        for row in COMMON if offset < ISR_BASE else ():
            if row.offset <= offset - COMMON_BASE < row.offset + row.size:
                shift = 8 * (offset - COMMON_BASE - row.offset)
                mask = ((1 << 8 * size) - 1) << shift
                self._set_common(row.name, self._common(row.name) & ~mask | value << shift & mask)

    def _set_common(self, name: str, value: int) -> None:
        face, model = self.face, self.model
        if name == "driver_feature":
            model.accept_word(face.driver_feature_select, value)
        elif name == "device_status":
            self._set_status(value)
        elif name.endswith("msix_vector") and value >= self.config.vectors:
            self._set_vector(name, NO_VECTOR)
        elif name.endswith("msix_vector"):
            self._set_vector(name, value)
        elif not name.startswith("queue_") or name == "queue_select":
            if hasattr(face, name):
                setattr(face, name, value)
        elif face.queue_select < len(self.rings.queues) and COMMON[name].access is Access.RW:
            self.rings.register_write(face.queue_select, name.removeprefix("queue_"), value)

    def _set_vector(self, name: str, value: int) -> None:
        if name == "config_msix_vector":
            self.face.config_msix_vector = value
        elif self.face.queue_select < len(self.rings.queues):
            self.rings.queues[self.face.queue_select].vector = value

    def _set_status(self, value: int) -> None:
        self.model.write_status(value)
        if value == 0:
            self.face = _Face()
            self.isr = 0
            self._update_line()

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
        self._interrupt(self.rings.queues[index].vector, IsrBit.QUEUE)

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
