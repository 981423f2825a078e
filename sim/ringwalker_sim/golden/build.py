"""Makes the model in Python of the device that a configuration describes."""

from typing import Any

from ringwalker.config import DeviceConfig

from ..disk_image import DiskImage
from ..function.simulation import FunctionError, simulation_of
from .function import FunctionModel, Schedule

__all__ = ["model_of"]


def model_of(
    config: DeviceConfig, schedule: Schedule, disk: DiskImage | None = None, **options: Any
) -> FunctionModel:
    """A model of the device of ``config``, which runs in the time of ``schedule``.

    ``disk`` is that of a function with an image, blank if none is given; ``options`` go to the model.
    Errors: :class:`~ringwalker_sim.function.simulation.FunctionError` for a function without a model.
    """
    simulation = simulation_of(config.function)
    if simulation.model is None:
        raise FunctionError(
            f"function {config.function} has no model in Python, so it runs on engines with hardware only"
        )
    if disk is None and simulation.open_disk is not None:
        disk = simulation.open_disk(config, None, False, False)
    return simulation.model(config, schedule, disk, **options)
