"""Makes the model in Python of the device that a configuration describes."""

from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import SECTOR_BYTES

from .blk import BlkModel
from .console import ConsoleModel
from .function import FunctionModel, Schedule
from .net import NetModel

__all__ = ["model_of"]


def model_of(
    config: DeviceConfig, schedule: Schedule, disk: np.ndarray | None = None, **options: Any
) -> FunctionModel:
    """A model of the device of ``config``, which runs in the time of ``schedule``.

    ``disk`` is the content of a block device, blank if it is not given; ``options`` go to the model.
    """
    options["queue_size"] = config.queue_size
    if config.function == "net":
        return NetModel(schedule, mac=config.net.address, mtu=config.net.mtu, **options)
    if config.function == "console":
        return ConsoleModel(schedule, cols=config.console.cols, rows=config.console.rows, **options)
    if disk is None:
        disk = np.zeros(config.blk.capacity * SECTOR_BYTES, np.uint8)
    return BlkModel(
        schedule,
        disk,
        queues=config.queues,
        block_size=config.blk.block_size,
        serial=config.blk.serial,
        **options,
    )
