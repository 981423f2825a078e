"""Synthesis of the device, or of a block of it: area by block, longest paths, and clock after routing.

Results are kept in the cache by the content of the Verilog, the script and the tools' versions.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ...errors import RingwalkerError
from ...toolchain import build_once, content_hash
from ...verilog_cache import device_verilog
from .levels import longest_paths
from .netlist import block_tree, cell_counts, read_netlist
from .pins import WRAPPER, ecp5_wrapper
from .targets import CELL_CLASSES, Target
from .tools import NEXTPNR, YOSYS, run_tool, tool_version

__all__ = ["BlockError", "Chip", "area", "block_modules", "logic", "place_and_route"]

TOP = "ringwalker"
_DEVICE = f"{TOP}__device"
_RESULT = "result.json"
_NETLIST = "netlist.json.gz"

Progress = Callable[[str], None]


class BlockError(RingwalkerError, ValueError):
    """There is no such block; the message names those that there are."""


@dataclass(frozen=True)
class Chip:
    """An ECP5 to place on: ``device`` as nextpnr calls it, ``speed`` grade, ``freq`` in MHz to aim at."""

    device: str = "85k"
    speed: int = 6
    freq: float = 125.0


def block_modules(text: str) -> dict[str, str]:
    """The blocks of the device's Verilog by their path (``core.walker.lane0.gather``), and their modules.

    ``""`` is the whole device.
    """
    modules = [line.split("(")[0].split()[1] for line in text.splitlines() if line.startswith("module ")]
    blocks = {
        name.removeprefix(f"{_DEVICE}__").replace("__", "."): name
        for name in modules
        if name.startswith(f"{_DEVICE}__")
    }
    return {"": TOP, **blocks}


def module_of(text: str, block: str) -> str:
    """The module of a block. Errors: :class:`BlockError`."""
    blocks = block_modules(text)
    if block not in blocks:
        near = [name for name in blocks if name and block.rpartition(".")[2] in name] or [
            name for name in blocks if name and name.count(".") <= 1
        ]
        raise BlockError(f"there is no block {block!r}; there are {', '.join(sorted(near))}")
    return blocks[block]


def _kept(
    kind: str, parts: list[str], make: Callable[[Path], Mapping[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    """What ``make`` gives, from the cache if it was made before, and the folder that it was made in."""
    with build_once("synth", content_hash([kind, *parts]), (_RESULT,)) as (folder, missing):
        result = folder / _RESULT
        if missing:
            result.write_text(json.dumps(make(folder)))
        return folder, json.loads(result.read_text())


def _source(*names: str) -> list[str]:
    """The text of files beside this one, for results that depend on them."""
    return [(Path(__file__).parent / f"{name}.py").read_text() for name in names]


def _script(top: str, target: Target, flat: bool) -> str:
    """What yosys is to do with ``design.v``."""
    shape = ("-flatten" if flat else "") if target.flat_option else ("" if flat else "-noflatten")
    # What is constant or not used on the other side of a block's edge is not counted.
    ahead = "" if flat else "proc; opt_clean; opt_hier; opt_clean; "
    return (
        f"read_verilog design.v; hierarchy -top {top}; {ahead}{target.command} {shape} -top {top}; "
        "write_json netlist.json"
    )


def _synthesize(text: str, script: str, folder: Path) -> Path:
    """Run yosys; the netlist's file."""
    (folder / "design.v").write_text(text)
    run_tool(YOSYS, [script], folder)
    (folder / "design.v").unlink()
    return folder / "netlist.json"


def area(text: str, block: str, target: Target) -> dict[str, Any]:
    """Cells of a block and of each block in it, synthesized one by one.

    The sum is more than what the whole needs, since little is simplified across the edge of a block.
    """
    top = module_of(text, block)
    script = _script(top, target, False)

    def make(folder: Path) -> Mapping[str, Any]:
        netlist = _synthesize(text, script, folder)
        modules = read_netlist(netlist)
        netlist.unlink()
        tree = asdict(block_tree(modules, top, target))
        return tree if block or not tree["parts"] else tree["parts"][0]

    key = [text, script, tool_version(YOSYS), block, *_source("netlist", "targets")]
    _folder, tree = _kept("area", key, make)
    return {**tree, "name": block or "device"}


def _flat_netlist(text: str, top: str, target: Target) -> str:
    """The netlist of ``top`` as a whole, as yosys writes it."""
    script = _script(top, target, True)

    def make(folder: Path) -> Mapping[str, Any]:
        netlist = _synthesize(text, script, folder)
        (folder / _NETLIST).write_bytes(gzip.compress(netlist.read_bytes(), 3))
        netlist.unlink()
        return {}

    folder, _nothing = _kept("flat", [text, script, tool_version(YOSYS)], make)
    return gzip.decompress((folder / _NETLIST).read_bytes()).decode()


def logic(text: str, block: str, target: Target, paths: int = 10) -> dict[str, Any]:
    """Cells of a block as a whole, and its longest paths."""
    top = module_of(text, block)
    module = read_netlist(_flat_netlist(text, top, target))[top]
    counts = cell_counts(module, target)
    return {
        "counts": {name: counts[name] for name in CELL_CLASSES},
        "paths": [asdict(path) for path in longest_paths(module, target, paths)],
    }


def place_and_route(text: str, block: str, target: Target, chip: Chip, seed: int) -> dict[str, Any]:
    """The clock in MHz that a block reaches on ``chip``, the sites it needs, and its slowest path."""
    top = module_of(text, block)
    wrap = (
        f"read_json netlist.json; read_verilog pins.v; hierarchy -top {WRAPPER}; flatten; opt_clean; "
        "write_json routed.json"
    )
    options = [f"--{chip.device}", "--speed", str(chip.speed), "--freq", str(chip.freq), "--seed", str(seed)]
    options += ["--json", "routed.json", "--report", "report.json", "--timing-allow-fail"]
    # The other router sometimes searches for an hour.
    options += ["--router", "router2", "--quiet", "--lpf-allow-unconstrained"]

    def make(folder: Path) -> Mapping[str, Any]:
        netlist = _flat_netlist(text, top, target)
        (folder / "netlist.json").write_text(netlist)
        (folder / "pins.v").write_text(ecp5_wrapper(top, read_netlist(netlist)[top]))
        run_tool(YOSYS, [wrap], folder)
        run_tool(NEXTPNR, options, folder)
        report = json.loads((folder / "report.json").read_text())
        for name in ("netlist.json", "routed.json", "pins.v", "report.json"):
            (folder / name).unlink()
        return _routed(report, seed)

    synthesis = [text, _script(top, target, True), tool_version(YOSYS)]
    return _kept("route", [*synthesis, wrap, *options, tool_version(NEXTPNR), *_source("pins")], make)[1]


def _routed(report: Mapping[str, Any], seed: int) -> dict[str, Any]:
    clock = min(report["fmax"].values(), key=lambda item: item["achieved"])
    slowest = [
        item for item in report["critical_paths"] if "async" not in item["from"] and "async" not in item["to"]
    ]
    steps = slowest[0]["path"] if slowest else []
    used = {name: item["used"] for name, item in report["utilization"].items() if item["used"]}
    return {
        "seed": seed,
        "mhz": round(clock["achieved"], 2),
        "used": used,
        "slowest": {
            "start": steps[0]["from"]["cell"] if steps else "",
            "end": steps[-1]["to"]["cell"] if steps else "",
            "steps": sum(step["type"] == "logic" for step in steps),
            "ns": round(sum(step["delay"] for step in steps), 2),
            "routing_ns": round(sum(step["delay"] for step in steps if step["type"] == "routing"), 2),
        },
    }


def verilog_of(config: DeviceConfig, progress: Progress | None = None) -> str:
    """The Verilog that is synthesized."""
    return device_verilog(config, progress)[0]
