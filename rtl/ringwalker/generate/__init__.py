"""A configuration as files to take away: Verilog, a map of its signals, a C header, a FuseSoC core."""

import importlib.metadata
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from ..config import DeviceConfig
from ..outputs import make_folder, write_file
from ..verilog import verilog_design
from .core_file import core_file
from .documents import register_reference
from .header import c_header
from .signals import SIGNALS_FORMAT, signal_map

__all__ = [
    "SIGNALS_FORMAT",
    "TOP",
    "c_header",
    "generate",
    "lint_waivers",
    "register_reference",
    "verilog_and_signals",
]

TOP = "ringwalker"
"""Name of the top module and of the files."""


def lint_waivers() -> str:
    """A Verilator configuration: the warnings that generated Verilog is allowed, each with its reason."""
    return files("ringwalker").joinpath("lint.vlt").read_text()


def verilog_and_signals(component: wiring.Component) -> tuple[str, dict[str, Any]]:
    """Verilog of ``component`` as module ``TOP``, and the map of its signals (see ``SIGNALS_FORMAT``).

    The text is the one that :func:`ringwalker.verilog.to_verilog` gives.
    """
    design = verilog_design(component, TOP)
    return design.text, signal_map(design, TOP)


def _version() -> str:
    try:
        return importlib.metadata.version("ringwalker")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0"


def generate(
    config: DeviceConfig, directory: str | Path, component: wiring.Component | None = None
) -> list[Path]:
    """Write the files for ``config`` into ``directory``, which is made if need be, and give their paths.

    ``ringwalker.v``, ``ringwalker_signals.json``, ``ringwalker_regs.h``, ``ringwalker.core``,
    ``ringwalker.vlt`` and ``config.toml``. The same configuration gives the same bytes. ``component`` takes
    the place of the whole device. Errors: :class:`~..outputs.OutputError`.
    """
    folder = make_folder(directory)
    if component is None:
        from ..device import VirtioPciDevice

        component = VirtioPciDevice(config)
    text, signals = verilog_and_signals(component)
    contents = {
        f"{TOP}.v": text,
        f"{TOP}_signals.json": json.dumps(signals, indent=1) + "\n",
        f"{TOP}_regs.h": c_header(config),
        f"{TOP}.core": core_file(config, _version()),
        f"{TOP}.vlt": lint_waivers(),
        "config.toml": config.to_toml(),
    }
    paths = []
    for name, content in contents.items():
        path = folder / name
        write_file(path, content)
        paths.append(path)
    return paths
