"""Which model a native engine gets: the change-driven one where there is one, else the plain one."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from ringwalker.config import DeviceConfig
from ringwalker.verilog import PortInfo

from .build import build_library

__all__ = ["MODEL_VARIABLE", "model_library", "plain_by_default"]

MODEL_VARIABLE = "RINGWALKER_MODEL"
"""Variable of the environment: ``plain`` or ``changes``, the model where nothing else is said. A plain model
is built in less time, so it is better for much building and little simulating, as tests do."""

_USUAL = "changes"


def plain_by_default() -> bool:
    """Whether models are plain where nothing else is said."""
    return os.environ.get(MODEL_VARIABLE, _USUAL) == "plain"


def model_library(
    config: DeviceConfig,
    verilog: str,
    ports: list[PortInfo],
    *,
    plain: bool,
    waves: bool,
    sanitize: bool,
    progress: Callable[[str], None] | None,
) -> Path:
    """The library with the model of ``verilog``, the device of ``config``, built if need be.

    With ``waves`` it is plain, as in any case in which a change-driven one cannot be made; then a line on
    standard error says why. Errors: :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    say = progress or (lambda _text: None)
    if not plain and not waves:
        from .changes import NotUnderstood
        from .changes.library import change_driven_library
        from .exercise import DeviceExercise

        try:
            return change_driven_library(
                verilog, ports, DeviceExercise(config), sanitize=sanitize, progress=say
            )
        except NotUnderstood as error:
            print(f"ringwalker: the plain model is used; no other could be made: {error}", file=sys.stderr)
    return build_library(verilog, ports, waves=waves, sanitize=sanitize, progress=progress)
