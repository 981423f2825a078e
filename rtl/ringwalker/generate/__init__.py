"""A configuration as files to take away: Verilog, a map of its signals, a C header, a FuseSoC core."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from ..config import DeviceConfig
from ..outputs import make_folder, write_file
from ..verilog import verilog_design
from ..version import __version__
from .core_file import core_file
from .documents import register_reference
from .header import c_header
from .signals import SIGNALS_FORMAT, signal_map

__all__ = [
    "SIGNALS_FORMAT",
    "c_header",
    "generate",
    "lint_waivers",
    "register_reference",
    "verilog_and_signals",
]


def lint_waivers(name: str) -> str:
    """A Verilator configuration for ``NAME.v``: the warnings that it is allowed, each with its reason."""
    return files("ringwalker").joinpath("lint.vlt").read_text().replace("*NAME.v", f"*{name}.v")


def verilog_and_signals(component: wiring.Component, name: str) -> tuple[str, dict[str, Any]]:
    """Verilog of ``component`` as module ``name``, and the map of its signals (see ``SIGNALS_FORMAT``).

    The text is the one that :func:`ringwalker.verilog.to_verilog` gives.
    """
    design = verilog_design(component, name)
    return design.text, signal_map(design, name)


def generate(
    config: DeviceConfig, directory: str | Path, component: wiring.Component | None = None
) -> list[Path]:
    """Write the files for ``config`` into ``directory``, which is made if need be, and give their paths.

    With NAME for ``config.verilog_name``: ``NAME.v``, ``NAME_signals.json``, ``NAME_regs.h``, ``NAME.core``,
    ``NAME.vlt`` and ``NAME.toml``. All names in them begin with NAME, or NAME in capitals, so devices of
    different names can be parts of one design. The same configuration gives the same bytes. ``component``
    takes the place of the whole device. Errors: :class:`~..outputs.OutputError`.
    """
    name, folder = config.verilog_name, make_folder(directory)
    if component is None:
        from ..device import VirtioPciDevice

        component = VirtioPciDevice(config)
    text, signals = verilog_and_signals(component, name)
    contents = {
        f"{name}.v": text,
        f"{name}_signals.json": json.dumps(signals, indent=1) + "\n",
        f"{name}_regs.h": c_header(config),
        f"{name}.core": core_file(config, __version__),
        f"{name}.vlt": lint_waivers(name),
        f"{name}.toml": config.to_toml(),
    }
    paths = []
    for file, content in contents.items():
        path = folder / file
        write_file(path, content)
        paths.append(path)
    return paths
