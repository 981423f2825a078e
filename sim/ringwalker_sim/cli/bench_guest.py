"""The command ``bench-guest``: how fast a guest's disk is, served as shipped and in other ways."""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ringwalker.config import DeviceConfig

from .options import (
    UsageError,
    add_command,
    add_device_options,
    byte_count,
    check_folder,
    check_output,
    positive,
)
from .report import report_unwritten, status_line, write_figures

__all__ = ["add_parser", "run"]

_MIB = 1 << 20

_EXAMPLES = """\
examples:
  ringwalker bench-guest
  ringwalker bench-guest --rounds 1 --size 16M --json -
  ringwalker bench-guest --fetch --docs docs
      with QEMU and Linux brought into the cache first; into docs/guest-speed.json and docs/guest-speed.md

A round boots three guests: with the plain model and every message of QEMU carried out in Python, with the
change-driven model, and as 'ringwalker guest' and 'ringwalker serve' do it. The ratios compare the last with
the first.
Exit codes: 0 measured, 1 a guest could not be started or failed, 2 a bad option or an output that cannot be
written.
"""


def add_parser(commands: Any) -> None:
    """Add ``bench-guest`` to the commands."""
    text = "read the simulated disk in guests, served in different ways, and compare the speed"
    parser = add_command(commands, "bench-guest", text, _EXAMPLES, run)
    text = "guests with each way of serving (default 3)"
    parser.add_argument("--rounds", metavar="N", type=positive, default=3, help=text)
    text = "bytes of the disk that is read (default 64M)"
    parser.add_argument("--size", metavar="N", type=byte_count, default=64 * _MIB, help=text)
    parser.add_argument("--fetch", action="store_true", help="install a guest into the cache if need be")
    parser.add_argument("--qemu", metavar="FILE", help="qemu-system-x86_64, 10.1 or newer")
    add_device_options(parser, function=False)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")
    text = "write guest-speed.json and the page made of it"
    parser.add_argument("--docs", metavar="FOLDER", help=text)


def run(options: argparse.Namespace) -> int:
    """``ringwalker bench-guest``."""
    from ..performance.guest_speed import FIGURES, PAGE, build_models, measure_guest, page
    from ..vm.session import Disk, linux_config
    from ..vm.setup import guest_setup
    from .devices import modern_config

    check_output("--json", options.json)
    check_folder("--docs", options.docs)
    config = linux_config(modern_config(options, "blk"))
    if options.docs and config.data_width != DeviceConfig().data_width:
        raise UsageError("--docs: the page is about the usual device, without --data-width and its like")
    if options.size % _MIB:
        raise UsageError(f"--size is {options.size}; it must be whole MiB")
    with status_line("starting") as status, tempfile.TemporaryDirectory(prefix="ringwalker-") as folder:
        setup = guest_setup(fetch=options.fetch, qemu=options.qemu, status=status)
        build_models(config, status)
        disk = Disk(None, config)
        figures = measure_guest(
            setup, disk, Path(folder), size=options.size, rounds=options.rounds, status=status
        )
    unwritten = write_figures(figures, options.json, options.docs, (FIGURES, PAGE), page)
    _print(figures, options.json)
    return report_unwritten(unwritten)


def _print(figures: Mapping[str, Any], json_name: str | None) -> None:
    table = Table(title=f"a guest's disk of {figures['bytes'] >> 20} MiB, best of {figures['rounds']}")
    for title in ("served", "boot, s", "read, MB/s", "MB a CPU second", "4 KiB reads a second"):
        table.add_column(title, justify="left" if title == "served" else "right")
    keys = (("boot_s", ".1f"), ("read_mb_s", ".1f"), ("read_cpu_mb_s", ".1f"), ("small_per_s", ".0f"))
    for row in figures["best"]:
        table.add_row(row["variant"], *(f"{row[key]:{form}}" for key, form in keys))
    for how in ("best", "median"):
        ratios = [f"{figures['ratios'][key][how]:.2f}" for key, _form in keys]
        table.add_row(f"last to first, {how}", *ratios)
    Console(stderr=json_name == "-", highlight=False).print(table)
