"""A machine in Python alone: a port whose virtio PCI function is a model, without RTL.

Its configuration space comes from the same tables as the hardware's.
"""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY_BAR
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR, NO_VECTOR, IsrBit
from ringwalker.spec.pci import (
    HEADER,
    Command,
    Status,
)

from ..disk_image import DiskImage
from ..guest.port import make_bdf
from ..guest.ring_queue import RING_FEATURES
from ..guest.software_port import SoftwarePort
from ..memory import GuestMemory
from .access_window import AccessWindow
from .build import model_of
from .config_space import ConfigSpace
from .legacy_face import LegacyFace
from .modern_face import ModernFace
from .msix import GoldenMsix
from .registers import SharedRegisters
from .ring_server import RingServer

__all__ = ["ModelPort"]

_ACCESS_CYCLES = 20
"""Cycles of a read of configuration, memory or I/O space, and of a write that is not posted."""


class ModelPort(SoftwarePort):
    """A port whose device is a ``model`` behind the PCI function of ``config``; a block device has ``disk``.

    ``rings`` serves its queues, ``modern`` and ``legacy`` are its register faces, as far as the configuration
    has them. ``options`` go to the model: ``ring_reset``, ``latency``, ``jitter``, ``seed``, ...
    ``accesses`` counts reads and writes of the device by kind.
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
        self.window = AccessWindow(self.space, self._read_bar, self._write_bar)
        self.msix = GoldenMsix(config, self.space, self._send)
        self._held: list[Callable[[], None]] = []
        self.model: Any = model_of(config, self._schedule, disk, **options)
        unknown = 1 << Feature.RING_PACKED if config.ring == "split" else 0
        self.rings = RingServer(self.model, memory, self.now, RING_FEATURES & ~unknown)
        self.rings.notify = self._queue_interrupt
        self.model.change = self._config_interrupt
        self.registers = SharedRegisters(self.rings, config.vectors)
        self.registers.isr_changed = self._update_line
        self.modern = ModernFace(self.registers)
        self.registers.forgotten = self.msix.forget
        self.legacy = LegacyFace(self.registers, lambda: self.msix.enabled)
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
        if self.window.covers(offset):
            return self.window.read(offset, size)
        value = self.space.read(offset, size)
        if offset <= HEADER.status.offset < offset + size and self.registers.isr:
            value |= Status.INTERRUPT_STATUS << 8 * (HEADER.status.offset - offset)
        return value

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        if bdf == self.bdf:
            self.accesses["config_write"] += 1
            await self.sleep(_ACCESS_CYCLES)
            if self.window.covers(offset):
                self.window.write(offset, size, value)
                return
            self.space.write(offset, size, value)
            if self.space.asks_for_reset(offset, size, value):
                self.function_level_reset()
            self._continue()
            self.msix.update()
            self._update_line()

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
        if place is None:
            return (1 << 8 * size) - 1
        return self._read_bar(*place, size)

    def _write(self, address: int, size: int, value: int, io: bool) -> None:
        place = self.space.locate(address, size, io)
        if place is not None:
            self._write_bar(*place, size, value)

    def _read_bar(self, index: int, offset: int, size: int) -> int:
        if index == MSIX_BAR:
            return self.msix.read(offset, size)
        if index == LEGACY_BAR:
            return self.legacy.read(offset, size)
        return self.modern.read(offset, size) if index == FACE_BAR else 0

    def _write_bar(self, index: int, offset: int, size: int, value: int) -> None:
        if index == MSIX_BAR:
            self.msix.write(offset, size, value)
        elif index == LEGACY_BAR:
            self.legacy.write(offset, size, value)
        elif index == FACE_BAR:
            self.modern.write(offset, size, value)

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

    def _queue_interrupt(self, index: int) -> None:
        self._interrupt(self.rings.queues[index].vector, IsrBit.QUEUE)

    def _config_interrupt(self) -> None:
        self._interrupt(self.registers.config_msix_vector, IsrBit.CONFIG)

    def _interrupt(self, vector: int, cause: IsrBit) -> None:
        if not self.msix.enabled:
            self.registers.note(cause)
        elif vector != NO_VECTOR:
            self.msix.set(vector)

    def _send(self, address: int, data: int) -> None:
        callback = self._messages.get((address, data))
        if callback is not None:
            self.schedule(1, callback)

    def _update_line(self) -> None:
        asserted = bool(self.registers.isr) and not self.space.command() & Command.INTX_DISABLE
        if asserted and not self._asserted:
            self.schedule(1, self._intx)
        self._asserted = asserted

    # --- bus mastering and resets --------------------------------------------------------------------------

    def _schedule(self, cycles: int, action: Callable[[], None]) -> None:
        """Run an action of the model in ``cycles`` cycles, or once bus mastering is enabled."""
        self.schedule(cycles, lambda: self._act(action))

    def _act(self, action: Callable[[], None]) -> None:
        if self.space.command() & Command.BUS_MASTER_ENABLE:
            action()
        else:
            self._held.append(action)

    def _continue(self) -> None:
        """Run what has waited for bus mastering, if it is enabled."""
        held, self._held = self._held, []
        for action in held:
            self._act(action)

    def function_level_reset(self) -> None:
        """Reset the function, but for what a function-level reset leaves alone."""
        self.registers.write_status(0)
        self.space.reset()
        self.msix.clear()
