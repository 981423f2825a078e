"""The command ``bench-engines``: how fast the engines simulate, beside each other."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ringwalker.config import DeviceConfig

from ..engine.engines import run_on_engine
from ..function.simulation import simulation_of
from .options import UsageError, add_command, add_device_options, check_folder, check_output, device_config
from .report import print_bench, progress_bar, report_unwritten, status_line, verdict, write_figures

if TYPE_CHECKING:
    from ..workload.job import Job

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker bench-engines
      a minute or two: cocotb takes 100 times as long as the native engine
  ringwalker bench-engines --workload seqread --requests 200 --json -
  ringwalker bench-engines --docs docs
      and the native engine under other loads, two devices at once, and other simulators, into
      docs/engines.json and docs/engines.md; their models are built, which takes a quarter of an hour
"""

_ENGINES = {"native": "native", "cocotb": "cocotb with Verilator"}
"""The engines, and how the table calls them."""

_ICARUS_REQUESTS = 32
"""Requests that cocotb with Icarus Verilog does at most: enough to see how slow it is."""


def add_parser(commands: Any) -> None:
    """Add ``bench-engines`` to the commands."""
    from ..function.blk import add_workload_options

    text = "run one workload on both engines and compare their speed"
    parser = add_command(commands, "bench-engines", text, _EXAMPLES, run)
    group = add_workload_options(parser, "randread", 2000)
    group.add_argument("--seed", metavar="N", type=int, default=1, help="chooses places and data (default 1)")
    add_device_options(parser, function=False)
    parser.add_argument("--image", metavar="FILE", help="disk image (default: a small ext4 image is made)")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    text = "measure other loads and simulators too, and write engines.json and the page made of it"
    parser.add_argument("--docs", metavar="FOLDER", help=text)


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench-engines``."""
    from ..function.blk import block_job, image_of
    from ..performance.engine_page import PAGE, page
    from ..performance.engine_speed import FIGURES, league_figures, machine, native_rows, two_at_once
    from ..workload.block_task import BlockTask

    config = device_config(options, "blk")
    check_output("--json", options.json)
    check_folder("--docs", options.docs)
    if options.docs and config != DeviceConfig():
        raise UsageError("--docs: the page is about the usual device, without --config and its like")
    job = block_job(options, config, image_of(options), seed=options.seed)
    open_disk = simulation_of(config.function).open_disk
    assert open_disk is not None
    open_disk(config, job.image, job.read_only, job.raw).close()
    rows = [_run(name, engine, config, job) for engine, name in _ENGINES.items()]
    rates = {row["engine"]: row["cycles"] / row["cpu_s"] for row in rows}
    ratio = rates["native"] / rates["cocotb"]
    assert isinstance(job.task, BlockTask)
    assert job.task.workload is not None
    load = job.task.workload
    workload = f"{load.kind}, {load.block_size:,} bytes each, {load.queue_depth} at once"
    figures: dict[str, Any] = {"machine": machine(), "workload": workload, "cycles_per_second": rates}
    figures |= {"ratio": ratio, "runs": rows}
    if options.docs:
        with status_line("starting") as status:
            figures["two_devices"] = two_at_once(status)
            figures["native"] = native_rows(status)
            figures["league"] = league_figures(status)
        figures["runs"].append(_with_icarus(config, job))
    unwritten = write_figures(figures, options.json, options.docs, (FIGURES, PAGE), page)
    rows = [row for row in rows if "missing" not in row]
    print_bench(rows, ratio, options.json)
    found = max(verdict(row) for row in rows)
    return report_unwritten(unwritten) if found == 0 else found


def _run(name: str, engine: str, config: DeviceConfig, job: "Job", **options: Any) -> Mapping[str, Any]:
    """The row of ``name``: the job on an engine."""
    with progress_bar() as (progress, status):
        status(name)
        row = run_on_engine(engine, config, job, progress=progress, status=status, at_once=False, **options)
    return row | {"name": name}


def _with_icarus(config: DeviceConfig, job: "Job") -> Mapping[str, Any]:
    """The row of cocotb with Icarus Verilog, which does the first requests of the job, or what is missing."""
    from ..performance.league import no_icarus
    from ..workload.block_task import BlockTask

    name = "cocotb with Icarus Verilog"
    if install := no_icarus():
        return {"name": name, "missing": f"not installed ({install})"}
    assert isinstance(job.task, BlockTask)
    assert job.task.workload is not None
    load = replace(job.task.workload, requests=min(job.task.workload.requests, _ICARUS_REQUESTS))
    part = replace(job, task=replace(job.task, workload=load))
    return _run(name, "cocotb", config, part, simulator="icarus")
