"""This project's device on an engine of this process as a target: the native engine, or the model."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import SECTOR_BYTES

from ...disk_image import DiskImage
from ...engine.engines import open_engine
from ...function.simulation import simulation_of
from ...memory import GuestMemory
from ..medium import ConsoleMedium, DiskMedium, Medium, NetMedium
from .target import Target

__all__ = ["MEMORY_BYTES", "disk_of", "medium_of", "open_local"]

MEMORY_BYTES = 16 << 20
"""The guest's RAM."""

_CONTENT_BYTES = 1 << 20
"""So much of a disk has random content, which checks can tell from zeroes."""


class _Disk(DiskMedium):
    def __init__(self, disk: DiskImage):
        self.disk = disk

    async def read(self, sector: int, count: int) -> bytes:
        return self.disk.read(sector * SECTOR_BYTES, count * SECTOR_BYTES).tobytes()


class _NativeNet(NetMedium):
    def __init__(self, mac: Any):
        self.mac = mac

    async def send(self, frame: bytes) -> None:
        self.mac.send(frame)

    async def received(self) -> list[bytes]:
        return self.mac.receive()

    async def set_link(self, up: bool) -> bool:
        self.mac.set_link(up)
        return True


class _ModelNet(NetMedium):
    def __init__(self, model: Any):
        self.model = model
        self.frames: list[bytes] = []
        model.on_frame = self.frames.append

    async def send(self, frame: bytes) -> None:
        self.model.receive(frame)

    async def received(self) -> list[bytes]:
        found = list(self.frames)
        self.frames.clear()
        return found

    async def set_link(self, up: bool) -> bool:
        self.model.set_link(up)
        return True


class _NativeConsole(ConsoleMedium):
    def __init__(self, uart: Any):
        self.uart = uart

    async def send(self, data: bytes) -> None:
        self.uart.send(data)

    async def received(self) -> bytes:
        return self.uart.receive()


class _ModelConsole(ConsoleMedium):
    def __init__(self, model: Any):
        self.model = model

    async def send(self, data: bytes) -> None:
        self.model.type(data)

    async def received(self) -> bytes:
        data = bytes(self.model.output)
        self.model.output.clear()
        return data


def medium_of(port: Any) -> Medium | None:
    """What is behind the device of a port of an engine."""
    if port.disk is not None:
        return _Disk(port.disk)
    model = getattr(port, "model", None)
    if model is not None:
        kinds = {"on_frame": _ModelNet, "on_bytes": _ModelConsole}
        return next((made(model) for name, made in kinds.items() if hasattr(model, name)), None)
    ports: Any = port.engine.ports if hasattr(port, "engine") else ()
    if "mac" in ports:
        return _NativeNet(ports.mac)
    return _NativeConsole(ports.uart) if "uart" in ports else None


def disk_of(config: DeviceConfig) -> DiskImage | None:
    """A disk for the device, in memory, which begins with random content; None for a function without one."""
    open_disk = simulation_of(config.function).open_disk
    if open_disk is None:
        return None
    disk = open_disk(config, None, False, False)
    length = min(_CONTENT_BYTES, disk.size)
    disk.write(0, np.random.default_rng(2007).integers(0, 256, length, np.uint8))
    return disk


@contextlib.contextmanager
def open_local(
    engine: str,
    config: DeviceConfig,
    *,
    seed: int = 1,
    waves: str | Path | None = None,
    status: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[Target]:
    """The device of ``config`` on ``engine``: ``native`` or ``model``.

    ``waves`` is an FST file, of the native engine; ``options`` and errors are those of
    :func:`~..engine.engines.open_engine`. Nothing is recorded before the port's ``trace(True)``.
    """
    memory = GuestMemory(MEMORY_BYTES)
    with open_engine(
        engine, config, memory, disk_of(config), seed=seed, waves=waves, status=status, **options
    ) as port:
        if waves is not None:
            port.trace(False)
        yield Target(port, medium_of(port))
