"""What a timeline costs: seconds of a processor with one, and without, of the same requests in turn."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..performance.cases import Case
from ..performance.measure import speed

__all__ = ["CASES", "PAIRS", "measured_cost"]

CASES = (
    Case(direction="read", size=512, requests=20_000),
    Case(direction="write", size=4096, requests=5_000),
    Case(function="net", direction="tx", size=64, requests=100_000),
    Case(function="net", direction="rx", size=1514, requests=20_000),
)
"""Requests whose driver takes next to no time, so that what is left is the simulation."""

PAIRS = 5
"""How often each is done with a timeline, and without."""


def _seconds(case: Case, timeline: Path | None) -> float:
    """Of a processor, from the first thing that the driver does until the timeline has been written."""
    begun = 0.0

    def begins() -> None:
        nonlocal begun
        begun = time.process_time()

    unwritten = speed(case, begins=begins, timeline=timeline).get("unwritten")
    if unwritten:
        raise OutputError(*unwritten)
    return time.process_time() - begun


def measured_cost(case: Case, say: Callable[[str], None], pairs: int = PAIRS) -> dict[str, Any]:
    """``function``, ``direction``, ``size``, ``requests``, ``pairs`` of seconds (``off_s``, ``on_s``), their
    ``ratio`` (the median of pairs, the least and the largest), and ``file_bytes``. Models are built before.
    Errors: those of :func:`.speed`, ``OutputError``.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as folder:
        file = Path(folder) / "run.pftrace"
        say(f"{case.function} {case.direction} {case.size}: models")
        for path in (None, file):  # builds them
            _seconds(case, path)
        times = []
        for number in range(pairs):
            say(f"{case.function} {case.direction} {case.size}: pair {number + 1} of {pairs}")
            # Who is first in one pair is second in the next.
            order = ((None, file), (file, None))[number % 2]
            pair = {path is not None: _seconds(case, path) for path in order}
            times.append({"off_s": round(pair[False], 3), "on_s": round(pair[True], 3)})
        size = file.stat().st_size
    ratios = sorted(pair["on_s"] / pair["off_s"] for pair in times)
    return {
        "function": case.function,
        "direction": case.direction,
        "size": case.size,
        "requests": case.requests,
        "pairs": times,
        "ratio": {"median": statistics.median(ratios), "least": ratios[0], "largest": ratios[-1]},
        "file_bytes": size,
    }
