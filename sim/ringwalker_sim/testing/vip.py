"""Devices in Python for tests of the VIP: the golden model behind PCI, or with virtio-mmio registers."""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.mmio import MMIO, MMIO_CONFIG_BASE, MMIO_MAGIC, MMIO_VERSION
from ringwalker.spec.modern import IsrBit

from ..disk_image import DiskImage
from ..function.simulation import simulation_of
from ..golden.build import model_of
from ..golden.dma import MESSAGE, READ, DmaAccess
from ..golden.model_port import ModelPort
from ..golden.ring_server import RingServer
from ..guest.port import Port
from ..guest.software_port import SoftwarePort
from ..memory import GuestMemory
from ..vip import Bus, Guest, GuestDma

__all__ = ["ModelBus", "guest_of_model", "model_config", "watch_model"]

_ACCESS_CYCLES = 4


def model_config(function: str, ring: str = "split") -> DeviceConfig:
    """A device of the golden model."""
    identity = Identity(preset="oasis")
    return DeviceConfig(function=function, ring=ring, identity=identity, data_width=64)


def disk_of(config: DeviceConfig) -> DiskImage | None:
    """A blank disk, for a function that has one."""
    open_disk = simulation_of(config.function).open_disk
    return None if open_disk is None else open_disk(config, None, False, False)


def watch_model(guest: Guest, dma: Any) -> None:
    """Show the accesses of a model to the monitors of a guest."""

    def seen(access: DmaAccess) -> None:
        for monitor in guest.monitors if access.kind != MESSAGE else ():
            show = monitor.memory_read if access.kind == READ else monitor.memory_written
            show(access.address, len(access.content))

    dma.observers.append(seen)


def guest_of_model(config: DeviceConfig, **options: Any) -> tuple[Guest, ModelPort]:
    """A guest whose PCI function is the golden model, watched; its port has ``run``."""
    port = ModelPort(config, GuestMemory(4 << 20), disk_of(config))
    guest = Guest(port, **options)
    watch_model(guest, port.dma)
    return guest, port


class ModelBus(Bus):
    """The golden model of a function with virtio-mmio registers, on a bus in Python.

    ``loop`` runs it; ``rings`` and ``model`` are its parts. ``lost(count)`` says whether notification number
    ``count`` is forgotten. ``late_index``: used elements are written behind the index.
    """

    granule = 1

    def __init__(self, config: DeviceConfig):
        self.config = config
        self.loop: SoftwarePort
        self.rings: RingServer
        self.model: Any = None
        self.identity = {"magic_value": MMIO_MAGIC, "version": MMIO_VERSION}
        self.disk = disk_of(config)
        self.lost: Callable[[int], bool] = lambda _count: False
        self._notices = 0
        self._selected = self._offer_word = self._accept_word = 0
        self._addresses: dict[tuple[int, str], int] = {}
        self._causes = 0
        self._asserted = False
        self._changed: list[Callable[[bool], None]] = []

    def port(self, memory: GuestMemory) -> Port:
        """See :class:`Bus`."""
        self.loop = SoftwarePort(memory)
        self.model = model_of(self.config, self.loop.schedule, self.disk)
        self.rings = RingServer(self.model, memory, self.loop.now)
        self.rings.notify = lambda _queue: self._notify()
        self.model.change = lambda: self._raise(IsrBit.CONFIG)
        return self.loop

    def connect(self, dma: GuestDma) -> None:
        """See :class:`Bus`. The model's own accesses are shown to the monitor."""

        def seen(access: DmaAccess) -> None:
            monitor = dma.monitor
            show = monitor.memory_read if access.kind == READ else monitor.memory_written
            show(access.address, len(access.content))

        self.rings.dma.observers.append(seen)

    # --- interrupt -----------------------------------------------------------------------------------------

    def listen(self, changed: Callable[[bool], None]) -> None:
        """See :class:`Bus`."""
        self._changed.append(changed)

    def _notify(self) -> None:
        self._notices += 1
        if not self.lost(self._notices):
            self._raise(IsrBit.QUEUE)

    def _raise(self, cause: int) -> None:
        self._causes |= cause
        self.loop.schedule(1, self._update)

    def _update(self) -> None:
        asserted = bool(self._causes)
        if asserted != self._asserted:
            self._asserted = asserted
            for changed in self._changed:
                changed(asserted)

    # --- registers -----------------------------------------------------------------------------------------

    async def read(self, offset: int, size: int) -> int:
        """See :class:`Bus`."""
        await self.loop.sleep(_ACCESS_CYCLES)
        if offset >= MMIO_CONFIG_BASE:
            at = offset - MMIO_CONFIG_BASE
            return int.from_bytes(self.model.config_bytes()[at : at + size], "little")
        name = next(register.name for register in MMIO if register.offset == offset)
        return self._read(name)

    def _read(self, name: str) -> int:
        there = self._selected < len(self.rings.queues)
        if name in self.identity:
            return self.identity[name]
        if name == "device_id":
            return self.model.device_type
        if name == "device_features":
            return self.model.features >> 32 * self._offer_word & 0xFFFF_FFFF
        if name == "queue_size_max":
            return self.rings.register_read(self._selected, "size") if there else 0
        if name in ("queue_ready", "queue_reset"):
            field = {"queue_ready": "enable", "queue_reset": "reset"}[name]
            return self.rings.register_read(self._selected, field) if there else 0
        if name == "interrupt_status":
            return self._causes
        return self.model.read_status() if name == "status" else 0

    async def write(self, offset: int, size: int, value: int) -> None:
        """See :class:`Bus`."""
        await self.loop.sleep(_ACCESS_CYCLES)
        if offset >= MMIO_CONFIG_BASE:
            self.model.write_config(offset - MMIO_CONFIG_BASE, value.to_bytes(size, "little"))
            return
        self._write(next(register.name for register in MMIO if register.offset == offset), value)

    def _write(self, name: str, value: int) -> None:
        rings, selected = self.rings, self._selected
        if name == "device_features_sel":
            self._offer_word = value
        elif name == "driver_features_sel":
            self._accept_word = value
        elif name == "driver_features":
            self.model.accept_word(self._accept_word, value)
        elif name == "queue_sel":
            self._selected = value
        elif name == "queue_notify":
            rings.doorbell(value & 0xFFFF)
        elif name == "interrupt_ack":
            self._causes &= ~value
            self._update()
        elif name == "status":
            self.model.write_status(value)
            if not value:
                self._causes = 0
                self._update()
        elif name in ("queue_size", "queue_ready", "queue_reset"):
            field = {"queue_size": "size", "queue_ready": "enable", "queue_reset": "reset"}[name]
            rings.register_write(selected, field, value)
        else:  # Half of the address of an area.
            _queue, area, half = name.split("_")
            self._addresses[selected, f"{area}_{half}"] = value
            low = self._addresses.get((selected, f"{area}_low"), 0)
            rings.register_write(
                selected, area, low | self._addresses.get((selected, f"{area}_high"), 0) << 32
            )
