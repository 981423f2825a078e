"""A machine in Python alone: a port whose virtio PCI function is the golden model, without RTL."""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY_BAR
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR
from ringwalker.spec.pci import EXPANSION_ROM

from ..disk_image import DiskImage
from ..guest.port import make_bdf
from ..guest.software_port import SoftwarePort
from ..memory import GuestMemory
from .build import model_of
from .config_space import ConfigSpace
from .interrupts import Interrupts
from .legacy_face import LegacyFace
from .modern_face import ModernFace
from .registers import SharedRegisters
from .ring_server import RingServer
from .rings import RING_FEATURES

__all__ = ["ModelPort", "transport_features"]

_ACCESS_CYCLES = 20
"""Cycles of a read of configuration, memory or I/O space, and of a write that is not posted."""


def transport_features(config: DeviceConfig) -> int:
    """The feature bits of the device of ``config`` that are not those of its function."""
    features = RING_FEATURES if config.ring != "split" else RING_FEATURES & ~(1 << Feature.RING_PACKED)
    for feature in (
        Feature.VERSION_1,
        Feature.ACCESS_PLATFORM,
        Feature.ORDER_PLATFORM,
        Feature.NOTIFICATION_DATA,
        Feature.NOTIF_CONFIG_DATA,
    ):
        features |= 1 << feature
    return features | (config.suspend << Feature.SUSPEND)


class ModelPort(SoftwarePort):
    """A port whose device is a ``model`` behind the PCI function of ``config``; a block device has ``disk``.

    ``space`` is its configuration space, ``rings`` serves its queues, ``registers`` has the common
    configuration, ``modern`` and ``legacy`` are its register faces, as far as the configuration has them,
    ``interrupts`` interrupts, and ``dma`` is what it does on the bus. ``options`` go to the model:
    ``ring_reset``, ``latency``, ``jitter``, ``seed``, ... ``accesses`` counts reads and writes of the device
    by kind.
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
        spaces = ("config", "memory", "io")
        kinds = [f"{space}_{what}" for space in spaces for what in ("read", "write")]
        self.accesses: dict[str, int] = dict.fromkeys(kinds, 0)
        self.space = ConfigSpace(config)
        self.model: Any = model_of(config, self.schedule, disk, **options)
        self.rings = RingServer(self.model, memory, self.now, transport_features(config))
        self.dma = self.rings.dma
        self.dma.may_master = self.space.may_master
        self.registers = SharedRegisters(self.rings, config.vectors)
        if config.ring == "packed":
            self.model.required |= 1 << Feature.RING_PACKED
        self.model.only_legacy = self.model.legacy = not config.has_modern
        self.interrupts = Interrupts(config, self.space, self.registers)
        self.rings.notify = lambda queue: self.interrupts.used_buffer(queue)
        self.model.change = lambda: self.interrupts.config_change()
        self.interrupts.send_message = self._send_message
        self.interrupts.set_line = self._set_line
        self.modern = ModernFace(self.registers, config.has_fields)
        self.legacy = LegacyFace(self.registers, self.interrupts.msix_enabled)
        self.space.changed = lambda: self.interrupts.space_changed()
        self.space.function_level_reset = lambda: self.function_level_reset()
        self.space.read_bar = self._read_bar
        self.space.write_bar = self._write_bar
        self._messages: dict[tuple[int, int], Callable[[], None]] = {}
        self._intx: Callable[[], None] = lambda: None

    # --- accesses ------------------------------------------------------------------------------------------

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space."""
        if bdf != self.bdf:
            return (1 << 8 * size) - 1
        self.accesses["config_read"] += 1
        await self.sleep(_ACCESS_CYCLES)
        return self.space.read(offset, size)

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
        return self._read(address, size, False)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space."""
        self.accesses["memory_write"] += 1
        self._write(address, size, value, False)

    async def io_read(self, address: int, size: int) -> int:
        """Read I/O space."""
        self.accesses["io_read"] += 1
        await self.sleep(_ACCESS_CYCLES)
        return self._read(address, size, True)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """Write I/O space."""
        self.accesses["io_write"] += 1
        await self.sleep(_ACCESS_CYCLES)
        self._write(address, size, value, True)

    def _read(self, address: int, size: int, io: bool) -> int:
        place = self.space.locate(address, size, io)
        return (1 << 8 * size) - 1 if place is None else self._read_bar(*place, size)

    def _read_bar(self, index: int, offset: int, size: int) -> int:
        if index == MSIX_BAR:
            return self.interrupts.read_table(offset, size)
        if index == LEGACY_BAR:
            return self.legacy.read(offset, size)
        if index == EXPANSION_ROM:
            return int.from_bytes(self.config.pci.rom_content[offset : offset + size], "little")
        return self.modern.read(offset, size) if index == FACE_BAR else 0

    def _write(self, address: int, size: int, value: int, io: bool) -> None:
        place = self.space.locate(address, size, io)
        if place is not None:
            self._write_bar(*place, size, value)

    def _write_bar(self, index: int, offset: int, size: int, value: int) -> None:
        if index == MSIX_BAR:
            self.interrupts.write_table(offset, size, value)
        elif index == LEGACY_BAR:
            self.legacy.write(offset, size, value)
        elif index == FACE_BAR:
            self.modern.write(offset, size, value)

    def function_level_reset(self) -> None:
        """Reset the function, but for what a function-level reset leaves alone."""
        self.registers.write_status(0)
        self.space.reset()
        self.interrupts.clear()

    def tlps(self) -> dict[str, int]:
        """Accesses of the CPU by kind; the model sends no TLPs."""
        return dict(self.accesses)

    # --- interrupts ----------------------------------------------------------------------------------------

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data."""
        place = (0xFEE0_0000, len(self._messages) + 1)
        self._messages[place] = callback
        return place

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs when INTA is asserted."""
        self._intx = callback

    def _send_message(self, address: int, data: int) -> None:
        self.dma.send_message(address, data)
        callback = self._messages.get((address, data))
        if callback is not None:
            self.schedule(1, callback)

    def _set_line(self, asserted: bool) -> None:
        if asserted:
            self.schedule(1, lambda: self._intx())
