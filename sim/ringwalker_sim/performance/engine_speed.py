"""How fast the device is simulated: what is compared, and what is measured of it.

These are the only figures of the project that depend on the machine, so they are shown with it, and compared
within one run.
"""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from .cases import Case

__all__ = ["CASES", "FIGURES", "league_figures", "machine", "native_rows", "two_at_once"]

FIGURES = "engines.json"
"""The name of the figures."""

CASES = (
    ("4 KiB reads, 64 at once", 2.7, Case(requests=4000)),
    ("4 KiB writes, 64 at once", 2.7, Case(direction="write", requests=4000)),
    ("4 KiB reads, one at a time", 8.0, Case(depth=1, requests=1000)),
    ("64-byte frames sent", 2.3, Case(function="net", direction="tx", size=64, requests=30000)),
    ("64-byte frames received", 2.3, Case(function="net", direction="rx", size=64, requests=30000)),
)
"""What is simulated, and how many times as fast as with the plain model and Python's driver it is to be."""

_RUNS = 3
"""Times that each is run, in turn; the best counts, since others use the machine too."""


def machine() -> str:
    """The processor and how many cores this process may use."""
    model = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores ({model})"


def _lines(path: str) -> Sequence[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return ()


def native_rows(status: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
    """``what``, ``requests``, ``cycles``, ``wall_s`` and ``cpu_s`` of each case on the native engine, and
    ``plain_cpu_s`` with the plain model and Python's driver. Errors: ``DataError`` when cycles differ.
    """
    from .measure import speed

    rows = []
    for what, _goal, case in CASES:
        runs = [(speed(case, status, reference=True), speed(case, status)) for _ in range(_RUNS)]
        plain, shipped = (min(column, key=lambda run: run["cpu_s"]) for column in zip(*runs, strict=True))
        if plain["cycles"] != shipped["cycles"]:
            raise DataError(f"{what}: {shipped['cycles']} cycles; {plain['cycles']} with the plain model")
        rows.append({"what": what, **shipped, "plain_cpu_s": plain["cpu_s"]})
    return rows


def league_figures(status: Callable[[str], None]) -> dict[str, Any]:
    """Of the league: ``load``, ``recorded`` cycles, ``begin`` of the load, and ``rows``."""
    from .league import LEAGUE_CASE, league_rows, record_case

    recording = record_case(LEAGUE_CASE, status)
    load = f"{LEAGUE_CASE.size:,} byte {LEAGUE_CASE.direction}s, {LEAGUE_CASE.depth} at once"
    rows = league_rows(recording, status)
    return {"load": load, "recorded": recording.cycles, "begin": recording.begin, "rows": rows}


def two_at_once(status: Callable[[str], None]) -> dict[str, Any] | None:
    """See :func:`.two_devices.two_devices`; of 4 KiB reads, for some seconds."""
    from .two_devices import two_devices

    what, _goal, case = CASES[0]
    status(f"{what}, on two devices")
    found = two_devices(replace(case, requests=10 * case.requests), _RUNS)
    return None if found is None else {"what": what, **found}
