"""Netlists as yosys writes them: how many cells of which kind there are, in all and in each block."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .targets import CELL_CLASSES, Target

__all__ = ["Bit", "Block", "Module", "block_tree", "cell_counts", "read_netlist", "signal_names"]

_OF_TOOL = re.compile(
    r"_(LUT\d?|PFUMX|L6MUX21|CCU2C|TRELLIS|SB|CARRY\d|MUXF\d|FD[RSCP]E|RAM\d+|INV|DP16KD)[_A-Z0-9]*(_|$)"
)

Bit = int | str
"""A net, or a constant ``"0"``, ``"1"``, ``"x"``."""


@dataclass(frozen=True)
class Module:
    """One module: cells as (type, pins), ports as (direction, bits), and named nets."""

    cells: Mapping[str, tuple[str, Mapping[str, list[Bit]]]]
    ports: Mapping[str, tuple[str, list[Bit]]]
    nets: Mapping[str, list[Bit]]


@dataclass
class Block:
    """What an instance and all below it come to, by class of cell, and the instances directly below."""

    name: str
    counts: dict[str, int]
    parts: list["Block"] = field(default_factory=list)


def read_netlist(source: Path | str) -> dict[str, Module]:
    """All modules of a file of yosys (a path) or of its text; library cells are left out.

    Errors: ``ValueError`` for what is not a netlist.
    """
    text = source if isinstance(source, str) else source.read_text()
    try:
        content: Mapping[str, Any] = json.loads(text)["modules"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("this is not a netlist of yosys: there is no object 'modules'") from None
    modules = {}
    for name, item in content.items():
        attributes = item.get("attributes", {})
        if "blackbox" in attributes or "whitebox" in attributes:
            continue
        cells = {key: (cell["type"], cell["connections"]) for key, cell in item["cells"].items()}
        ports = {key: (port["direction"], port["bits"]) for key, port in item["ports"].items()}
        nets = {
            key: net["bits"]
            for key, net in item["netnames"].items()
            if not net.get("hide_name") and not key.startswith("$")
        }
        modules[name] = Module(cells, ports, nets)
    return modules


def cell_counts(module: Module, target: Target) -> Counter[str]:
    """Cells of ``module`` itself by class."""
    counts: Counter[str] = Counter()
    for kind, _pins in module.cells.values():
        if kind in target.classes:
            name, weight = target.classes[kind]
            counts[name] += weight
    return counts


def block_tree(modules: Mapping[str, Module], top: str, target: Target, name: str = "") -> Block:
    """``top`` and the blocks in it, the largest first. Errors: ``ValueError`` when there is no such
    module."""
    if top not in modules:
        raise ValueError(f"there is no module {top!r} in the netlist")
    counts = cell_counts(modules[top], target)
    parts = []
    for instance, (kind, _pins) in modules[top].cells.items():
        if kind in modules:
            part = block_tree(modules, kind, target, instance)
            counts.update(part.counts)
            parts.append(part)
    parts.sort(key=lambda part: (-part.counts["lut"], part.name))
    return Block(name or top, {kind: counts[kind] for kind in CELL_CLASSES}, parts)


def signal_names(module: Module) -> dict[Bit, str]:
    """For each net that the design names, the name that says most: few instances on its path, and short.

    Names that yosys made of types of cells are left out.
    """
    names: dict[Bit, str] = {}
    rank: dict[Bit, tuple[int, int, str]] = {}
    for name, bits in module.nets.items():
        if _OF_TOOL.search(name):
            continue
        key = (name.count("."), len(name), name)
        for position, bit in enumerate(bits):
            if isinstance(bit, int) and (bit not in rank or key < rank[bit]):
                rank[bit] = key
                names[bit] = f"{name}[{position}]" if len(bits) > 1 else name
    return names
