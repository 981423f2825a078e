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
from ..media import model_medium, native_medium
from ..medium import DiskMedium, Medium
from .target import Target

__all__ = ["MEMORY_BYTES", "disk_of", "fill_disk", "medium_of", "open_local"]

MEMORY_BYTES = 16 << 20
"""The guest's RAM."""

_CONTENT_BYTES = 1 << 20


class _Disk(DiskMedium):
    def __init__(self, disk: DiskImage, set_capacity: Callable[[int], None] | None):
        self.disk = disk
        self.set_capacity = set_capacity

    async def read(self, sector: int, count: int) -> bytes:
        return self.disk.read(sector * SECTOR_BYTES, count * SECTOR_BYTES).tobytes()

    async def resize(self, sectors: int) -> bool:
        if self.set_capacity is None:
            return False
        self.set_capacity(sectors)
        return True


def medium_of(port: Any) -> Medium | None:
    """What is behind the device of an engine's port."""
    if port.disk is not None:
        device = (
            port.model
            if hasattr(port, "model")
            else port.engine.ports.storage
            if hasattr(port, "engine")
            else None
        )
        return _Disk(port.disk, getattr(device, "set_capacity", None))
    if hasattr(port, "model"):
        return model_medium(port)
    return native_medium(port) if hasattr(port, "engine") else None


def fill_disk(disk: DiskImage) -> None:
    """Put random content on the first part of a disk, which checks can tell from zeroes."""
    length = min(_CONTENT_BYTES, disk.size)
    disk.write(0, np.random.default_rng(2007).integers(0, 256, length, np.uint8))


def disk_of(config: DeviceConfig) -> DiskImage | None:
    """A disk for the device, in memory, with content; None for a function without one."""
    open_disk = simulation_of(config.function).open_disk
    if open_disk is None:
        return None
    disk = open_disk(config, None, False, False)
    fill_disk(disk)
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
