"""The league: simulators of one device, which all replay the same cycles on one core of the same machine."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES

from ...engine.native.changes import NotUnderstood
from ...host.parameters import HostParameters
from ...markdown import markdown_table
from ...toolchain import ToolError
from ...workload.block_task import BlockTask, Workload
from ...workload.job import Job
from ..cases import Case
from .compiled import cxxrtl, native, no_cxxrtl, verilator_loop
from .contender import Contender, Status, Timing
from .interpreted import amaranth, icarus, no_icarus
from .recording import Recording, record

__all__ = ["CONTENDERS", "LEAGUE_CASE", "league_rows", "league_table", "record_case"]

_RUNS = 3
"""Times that the fast ones run, in turn; the best counts, since others use the machine too."""

_FAST_CYCLES = 10_000
"""With more cycles than that a contender is fast."""

_BASE = "Verilator, plain loop"

CONTENDERS = (
    Contender("native engine's change-driven model", partial(native, False)),
    Contender("native engine's plain model", partial(native, True)),
    Contender(_BASE, partial(verilator_loop, 1)),
    Contender("Verilator, plain loop, --threads 2", partial(verilator_loop, 2), cores=2),
    Contender("CXXRTL (Yosys)", cxxrtl, no_cxxrtl, most_cycles=20_000),
    Contender("Icarus Verilog", icarus, no_icarus, most_cycles=4000),
    Contender("Amaranth's own simulator", amaranth, most_cycles=4000),
)
"""All of them."""

LEAGUE_CASE = Case(requests=300)
"""What is recorded: 4 KiB reads, 64 at once, on a Gen3 x8 link."""


def record_case(case: Case, status: Status) -> Recording:
    """The pins of a block device that does ``case`` on a disk of noise."""
    host = HostParameters(**dataclasses.asdict(case.pcie.host(case.clock_mhz, case.latency_ns)))
    load = Workload(f"rand{case.direction}", case.size, case.depth, case.requests)
    noise = np.random.default_rng(load.seed).integers(0, 256, case.requests * case.size, np.uint8)
    with tempfile.NamedTemporaryFile(prefix="ringwalker-", suffix=".img") as image:
        size = max(len(noise) // SECTOR_BYTES * SECTOR_BYTES, SECTOR_BYTES)
        image.write(noise[:size].tobytes())
        image.flush()
        job = Job(BlockTask(load), image=image.name, raw=True, host=host)
        return record(case.config, job, status)


def league_rows(
    recording: Recording, status: Status = lambda _text: None, contenders: Sequence[Contender] = CONTENDERS
) -> list[dict[str, Any]]:
    """A row for each of ``contenders``: its ``name``, and what the fields of :class:`.Timing` say, or what
    is ``missing``. ``cores`` are those that it used."""
    replays: dict[str, Callable[[Recording], Timing]] = {}
    missing: dict[str, str] = {}
    for contender in contenders:
        if install := contender.missing():
            missing[contender.name] = f"not installed ({install})"
            continue
        try:
            replays[contender.name] = contender.build(
                recording, lambda text, name=contender.name: status(f"{name}: {text}")
            )
        except (ToolError, NotUnderstood) as error:
            missing[contender.name] = str(error)
    best: dict[str, Timing] = {}
    for number in range(_RUNS):
        for contender in contenders:
            cycles = recording.begin + contender.most_cycles
            if contender.name in replays and (number == 0 or contender.most_cycles > _FAST_CYCLES):
                status(f"{contender.name}, {number + 1} of {_RUNS}")
                timing = replays[contender.name](recording.first(cycles))
                before = best.get(contender.name, timing)
                best[contender.name] = min(before, timing, key=lambda one: one.seconds(contender.cores))
    rows: list[dict[str, Any]] = []
    for contender in contenders:
        row: dict[str, Any] = {"name": contender.name, "cores": contender.cores}
        if contender.name in best:
            rows.append(row | dataclasses.asdict(best[contender.name]))
        else:
            rows.append(row | {"missing": missing[contender.name]})
    return rows


def league_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows in Markdown, with how many times as fast each is as Verilator in a plain loop."""

    def seconds(row: Mapping[str, Any]) -> float:
        return row["cpu_s" if row["cores"] == 1 else "wall_s"]

    def rate(row: Mapping[str, Any]) -> float:
        return row["cycles"] / seconds(row)

    base = next((rate(row) for row in rows if row["name"] == _BASE and "cycles" in row), None)
    cells = []
    for row in rows:
        if "missing" in row:
            cells.append((row["name"], row["missing"], "", "", "", ""))
            continue
        times = "" if base is None else f"{rate(row) / base:.3g}"
        same = "all" if row["different"] == 0 else f"all but {row['different']:,}"
        took = f"{seconds(row):.2f}"
        cells.append((row["name"], f"{row['cycles']:,}", took, f"{rate(row):,.0f}", times, same))
    titles = ("simulator", "cycles", "seconds", "cycles a second", "times the plain loop", "same outputs in")
    return "\n".join(markdown_table(titles, cells))
