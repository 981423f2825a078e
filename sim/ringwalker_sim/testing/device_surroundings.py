"""A device with what is behind it, for the loads of :mod:`.ring_loads`: the hardware, or a model of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ..disk_image import DiskImage
from ..engine.engines import open_engine
from ..engine.noise import NoiseSource
from ..golden.model_port import ModelPort
from ..memory import GuestMemory

__all__ = ["SECTORS", "surroundings"]

SECTORS = 64
"""Sectors of the disk behind a block device."""


@contextmanager
def surroundings(config: DeviceConfig, real: bool) -> Iterator[tuple[Any, Any]]:
    """A machine's port to the device of ``config``, the hardware if it is ``real``, and what is behind it.

    That is the content of the disk, or the source of noise. What net and console send comes back.
    """
    function = config.function
    memory, disk = GuestMemory(4 << 20), DiskImage.blank(SECTORS)
    disk.array[:] = np.random.default_rng(8).integers(0, 256, len(disk.array), np.uint8)
    if not real:
        port = ModelPort(config, memory, disk)
        port.model.loopback = True
        yield port, NoiseSource(0) if function == "rng" else disk.array
        return
    with open_engine("native", config, memory, disk if function == "blk" else None) as port:
        if function in ("net", "console"):
            (port.engine.ports.mac if function == "net" else port.engine.ports.uart).loopback(True)
        yield port, NoiseSource(1) if function == "rng" else disk.array
