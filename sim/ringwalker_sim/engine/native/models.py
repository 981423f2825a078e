"""Which model a native engine gets: the change-driven one where there is one, else the plain one."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amaranth.lib import wiring

from ringwalker.config import DeviceConfig
from ringwalker.pci.endpoint import EdgeConfig
from ringwalker.verilog import PortInfo

from ...verilog_cache import TOP, component_verilog, device_verilog
from .build import build_library
from .compiling import parts_built_meanwhile
from .remaining import with_remaining_time

if TYPE_CHECKING:
    from .successor import Successor

__all__ = [
    "MODEL_VARIABLE",
    "build_model",
    "first_library",
    "library_for",
    "model_library",
    "plain_by_default",
]

MODEL_VARIABLE = "RINGWALKER_MODEL"
"""Variable of the environment: ``plain``, ``quick`` or ``changes``, the model where nothing else is said. A
plain model is built in less time, and a quick one, a plain one that is compiled fast, in the least: for much
building and little simulating, as tests do."""

_USUAL, _QUICK = "changes", "quick"


def plain_by_default() -> bool:
    """Whether models are plain where nothing else is said."""
    return os.environ.get(MODEL_VARIABLE, _USUAL) in ("plain", _QUICK)


def _say_plain(error: Exception) -> None:
    print(f"ringwalker: the plain model is used; no other could be made: {error}", file=sys.stderr)


def first_library(
    config: DeviceConfig,
    verilog: str,
    ports: list[PortInfo],
    *,
    sanitize: bool,
    probes: bool = False,
    progress: Callable[[str], None] | None,
) -> "tuple[Path, Successor | None]":
    """A library as soon as there is one: the change-driven one if it has been built, else the plain one, and
    what builds the other. Errors: as for :func:`model_library`.
    """
    from .changes import NotUnderstood
    from .changes.library import ChangeDriven
    from .exercise import DeviceExercise
    from .successor import Successor

    say = progress or (lambda _text: None)
    try:
        model = ChangeDriven(verilog, ports, DeviceExercise(config, probes), sanitize=sanitize, progress=say)
        if library := model.built():
            return library, None
        return model.plain, Successor(config, model, sanitize, probes)
    except NotUnderstood as error:
        _say_plain(error)
    return build_library(verilog, ports, sanitize=sanitize, progress=progress), None


def library_for(
    config: EdgeConfig,
    component: wiring.Component | tuple[str, list[PortInfo]] | None,
    library: Path | None,
    *,
    plain: bool | None,
    waves: bool,
    sanitize: bool,
    at_once: bool,
    probes: bool = False,
    progress: Callable[[str], None] | None,
) -> "tuple[Path, list[PortInfo], Successor | None]":
    """The library for an engine with these arguments, the ports of its device, and what builds a better one.

    With ``probes`` the device is one whose walkers show what they do.

    Errors: as for :func:`model_library`.
    """
    if plain is None:
        plain = plain_by_default() or component is not None
    plain = plain or not isinstance(config, DeviceConfig)  # nothing exercises a design that is not ours
    quick = at_once and not plain and not waves
    kind = "at once" if quick else "with waves" if waves else "plain" if plain else "change-driven"
    with with_remaining_time(kind, progress) as say:
        with parts_built_meanwhile(waves, sanitize) if library is None else nullcontext():
            if component is None and isinstance(config, DeviceConfig):
                text, ports = device_verilog(config, say, whole=waves, probes=probes)
            else:
                assert component is not None, "a design that is not ours has Verilog of its own"
                text, ports = component if isinstance(component, tuple) else component_verilog(component, TOP)
        if library is not None:
            return library, ports, None
        if quick and isinstance(config, DeviceConfig):
            found, successor = first_library(
                config, text, ports, sanitize=sanitize, probes=probes, progress=say
            )
            return found, ports, successor
        found = model_library(
            config, text, ports, plain=plain, waves=waves, sanitize=sanitize, probes=probes, progress=say
        )
        return found, ports, None


def model_library(
    config: EdgeConfig,
    verilog: str,
    ports: list[PortInfo],
    *,
    plain: bool,
    waves: bool,
    sanitize: bool,
    probes: bool = False,
    progress: Callable[[str], None] | None,
) -> Path:
    """The library with the model of ``verilog``, the device of ``config``, built if need be.

    With ``waves`` it is plain, as in any case in which a change-driven one cannot be made; then a line on
    standard error says why. Errors: :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    say = progress or (lambda _text: None)
    if not plain and not waves and isinstance(config, DeviceConfig):
        from .changes import NotUnderstood
        from .changes.library import change_driven_library
        from .exercise import DeviceExercise

        try:
            return change_driven_library(
                verilog, ports, DeviceExercise(config, probes), sanitize=sanitize, progress=say
            )
        except NotUnderstood as error:
            _say_plain(error)
    quick = os.environ.get(MODEL_VARIABLE) == _QUICK
    return build_library(verilog, ports, waves=waves, sanitize=sanitize, quick=quick, progress=progress)


def build_model(say: Callable[[str], None], config: Mapping[str, Any], plain: bool | None = None) -> None:
    """Build the model that an engine for the device of ``config``, as of ``DeviceConfig.to_dict``, will want.

    Errors: as for :func:`model_library`.
    """
    found = DeviceConfig.from_dict(config)
    library_for(found, None, None, plain=plain, waves=False, sanitize=False, at_once=False, progress=say)
