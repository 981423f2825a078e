"""One device for one family: everything that is said about it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ringwalker.config import DeviceConfig

from .flow import Chip, area, logic, place_and_route, verilog_of
from .targets import TARGETS

__all__ = ["measure"]


def measure(
    config: DeviceConfig,
    target: str,
    *,
    block: str = "",
    seeds: int = 0,
    chip: Chip | None = None,
    paths: int = 10,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Area, longest paths and, with ``seeds``, clocks of a device or of the block ``block`` in it.

    ``seeds`` runs of place and route on ``chip``, for ECP5. Errors: :class:`~.flow.BlockError`; ``ToolError``
    when a tool is missing or fails.
    """
    say = progress or (lambda _text: None)
    family = TARGETS[target]
    text = verilog_of(config, say)
    what = block or "device"
    say(f"{what} for {family.family}: as a whole")
    whole = logic(text, block, family, paths)
    say(f"{what} for {family.family}: block by block")
    tree = area(text, block, family)
    routed = []
    for seed in range(1, seeds + 1):
        say(f"{what} for {family.family}: place and route, seed {seed} of {seeds}")
        routed.append(place_and_route(text, block, family, chip or Chip(), seed))
    return {
        "target": target,
        "block": block,
        "config": config.to_toml(),
        "counts": whole["counts"],
        "luts_on_longest_path": max(
            (path["luts"] for path in whole["paths"] if path["registers"]), default=0
        ),
        "paths": whole["paths"],
        "blocks": tree,
        "chip": asdict(chip or Chip()) if routed else None,
        "routed": routed,
        "mhz": min((run["mhz"] for run in routed), default=None),
    }
