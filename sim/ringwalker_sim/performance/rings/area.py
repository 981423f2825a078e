"""What a ring format costs on an FPGA: the lane that walks it, block by block."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ringwalker.config import DeviceConfig

from ...campaign.task import Say, Task
from ..synth.cases import SMALL
from ..synth.flow import area, verilog_of
from ..synth.targets import TARGETS

__all__ = ["CONFIG", "LANE", "RINGS", "TARGET", "area_tasks", "measure_area"]

RINGS = ("split", "packed", "both")
"""What a device can be built with."""

CONFIG: DeviceConfig = SMALL
"""The device but for its ring."""

TARGET = "ecp5"
"""What it is synthesized for."""

LANE = "core.walker.lane0"
"""The block that is measured: readers, descriptors, gather and scatter are in it, and the ring."""


def area_tasks() -> list[Task]:
    """A task for each of :data:`RINGS`."""
    return [Task(f"{__name__}:measure_area", {"ring": ring}, f"area of ring {ring}") for ring in RINGS]


def measure_area(say: Say, *, ring: str) -> dict[str, Any]:
    """LUTs and flip-flops of the lane and of the blocks in it: ``ring``, ``lut``, ``ff``, and ``blocks``, by
    the path below the lane, two levels deep. Errors: ``ToolError`` when a tool is missing or fails.
    """
    text = verilog_of(replace(CONFIG, ring=ring), say)
    say(f"lane with ring {ring}: synthesis")
    tree = area(text, LANE, TARGETS[TARGET])
    return {"ring": ring, **_counts(tree), "blocks": dict(_blocks(tree, ""))}


def _counts(block: Mapping[str, Any]) -> dict[str, int]:
    return {name: block["counts"][name] for name in ("lut", "ff")}


def _blocks(block: Mapping[str, Any], path: str) -> list[tuple[str, dict[str, int]]]:
    found = []
    for part in block["parts"]:
        name = f"{path}{part['name']}"
        found.append((name, _counts(part)))
        if not path and part["name"] == "ring":
            found += _blocks(part, f"{name}.")
    return found
