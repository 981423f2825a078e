"""What the command line shows: progress on the terminal, tables, JSON."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ringwalker.outputs import write_file

from ..errors import EXIT_FAILED, EXIT_USAGE, noted
from .standard_output import write_output

__all__ = [
    "print_bench",
    "print_numbers",
    "print_result",
    "print_traffic",
    "progress_bar",
    "progress_of",
    "report_unwritten",
    "status_line",
    "verdict",
    "write_figures",
    "write_json",
]

_REFRESH_S = 0.1

LINE_SECONDS = 10.0
"""Between two lines about progress where there is no terminal."""


def write_json(name: str, content: Mapping[str, Any]) -> None:
    """Write ``content`` to a file, or to standard output for ``-``. Errors: ``OutputError``."""
    write_output(name, json.dumps(content, indent=2) + "\n")


def write_figures(
    figures: Mapping[str, Any],
    json_name: str | None,
    folder: str | None,
    names: tuple[str, str],
    page: Callable[[Any], str],
) -> list[str]:
    """Write ``figures`` as JSON to ``json_name``, and into ``folder`` with the page that is made of them;
    ``names`` are those of the two files there. What could not be written, as messages.
    """
    unwritten: list[str] = []
    if folder:
        with noted(unwritten):
            write_json(str(Path(folder) / names[0]), figures)
            write_file(Path(folder) / names[1], page(figures))
    if json_name:
        with noted(unwritten):
            write_json(json_name, figures)
    return unwritten


@contextmanager
def status_line(text: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal (standard error) that says what is being done; when it is not a terminal, a line
    of its own every ``LINE_SECONDS`` at most, and none before."""
    console = Console(stderr=True)
    if not console.is_terminal:
        printed = time.monotonic()

        def say(new: str) -> None:
            nonlocal printed
            if time.monotonic() - printed >= LINE_SECONDS:
                printed = time.monotonic()
                print(f"ringwalker: {new}", file=sys.stderr, flush=True)

        yield say
        return
    with console.status(text) as status:
        yield lambda new: status.update(new)


@contextmanager
def progress_bar() -> Iterator[tuple[Callable[[str, int, int], None], Callable[[str], None]]]:
    """A progress bar on a terminal (standard error): functions that move it and that set its text."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield (lambda _name, _done, _total: None), (lambda _text: None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        next_update = 0.0

        def move(name: str, done: int, total: int) -> None:
            nonlocal next_update
            now = time.monotonic()
            if now >= next_update or done == total:
                next_update = now + _REFRESH_S
                bar.update(task, description=name, completed=done, total=total)

        yield move, lambda text: bar.update(task, description=text)


@contextmanager
def progress_of(total: int) -> Iterator[Callable[[int, str], None]]:
    """A progress bar on a terminal for ``total`` items, else lines as of :func:`status_line`: a function that
    takes how many are done, and what is being done."""
    if Console(stderr=True).is_terminal:
        with progress_bar() as (move, status):

            def say(done: int, text: str) -> None:
                move(text, done, total)
                status(text)

            yield say
    else:
        with status_line("") as line:
            yield lambda done, text: line(f"{done} of {total} done; {text}")


def print_numbers(result: Mapping[str, Any], on_stderr: bool = False) -> None:
    """A table of all numbers and short texts of a result, for a function that has no table of its own."""
    table = Table(title=f"{result['engine']} engine", show_header=False, min_width=40)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in result.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str) or name == "engine":
            continue
        form = ",.2f" if isinstance(value, float) else "," if isinstance(value, int) else ""
        table.add_row(name.replace("_", " "), f"{value:{form}}")
    Console(stderr=on_stderr, highlight=False).print(table)


def print_result(result: Mapping[str, Any], on_stderr: bool = False) -> None:
    """The table at the end of a run that moved blocks."""
    table = Table(title=f"{result['engine']} engine", show_header=len(result["phases"]) > 1, min_width=40)
    table.add_column("")
    columns = [*result["phases"], result] if len(result["phases"]) > 1 else [result]
    for column in columns:
        table.add_column(column.get("name", "all"), justify="right")

    def row(title: str, value: Callable[[Mapping[str, Any]], str]) -> None:
        table.add_row(title, *(value(column) for column in columns))

    row("requests", lambda item: f"{item['requests']:,}")
    row("bytes", lambda item: f"{item['bytes']:,}")
    row("errors", lambda item: f"{item['errors']:,}")
    row("cycles", lambda item: f"{item['cycles']:,}")
    row("bytes a cycle", lambda item: f"{item['bytes_per_cycle']:.2f}")
    for name in ("p50", "p99", "max"):
        row(f"latency {name}, cycles", lambda item, name=name: f"{item['latency_cycles'][name]:,}")
    row("seconds", lambda item: f"{item['wall_s']:.2f}")
    row("cycles a second", lambda item: f"{item['cycles_per_second']:,.0f}")
    console = Console(stderr=on_stderr, highlight=False)
    console.print(table)
    if result["tlps"]:
        packets = Table(title="TLPs", show_header=False, min_width=40)
        packets.add_column("")
        packets.add_column("", justify="right")
        for kind, count in result["tlps"].items():
            packets.add_row(kind, f"{count:,}")
        console.print(packets)


def print_traffic(result: Mapping[str, Any], on_stderr: bool = False) -> None:
    """The table at the end of a run with frames or bytes."""
    table = Table(title=f"{result['transport']} transport, interface {result['interface']}", min_width=40)
    directions = result["directions"]
    table.add_column(directions[0]["unit"])
    for item in directions:
        table.add_column(item["name"], justify="right")

    def row(title: str, value: Callable[[Mapping[str, Any]], str]) -> None:
        table.add_row(title, *(value(item) for item in directions))

    for name in ("sent", "received", "errors", "bytes", "cycles"):
        row(name, lambda item, name=name: f"{item[name]:,}")
    for name in ("p50", "p99", "max"):
        if any(item["latency_cycles"]["max"] for item in directions):
            row(f"latency {name}, cycles", lambda item, name=name: f"{item['latency_cycles'][name]:,}")
    if result["transport"] == "pci":
        clock = f"at {result['clock_mhz']} MHz"
        row(f"a second {clock}", lambda item: f"{item['per_second']:,.0f}")
        row(f"Mb/s {clock}", lambda item: f"{item['bits_per_second'] / 1e6:,.1f}")
    console = Console(stderr=on_stderr, highlight=False)
    console.print(table)
    seconds = result["wall_s"]
    console.print(f"{seconds:.2f} s, {result['cycles_per_second']:,.0f} simulated cycles a second")


def verdict(result: Mapping[str, Any]) -> int:
    """The exit code of a run; what went wrong or could not be written is printed on standard error."""
    unwritten = report_unwritten(result.get("unwritten", ()))
    if not result.get("errors"):
        return unwritten
    print(f"ringwalker: the run found {result['errors']} error(s):", file=sys.stderr)
    for message in result.get("messages", ()):
        print(f"  {message}", file=sys.stderr)
    return EXIT_FAILED


def report_unwritten(messages: Iterable[str]) -> int:
    """Print on standard error what could not be written, a line each; the exit code."""
    code = 0
    for message in messages:
        print(f"ringwalker: {message}", file=sys.stderr)
        code = EXIT_USAGE
    return code


def print_bench(rows: list[Mapping[str, Any]], ratio: float, json_name: str | None = None) -> None:
    """Two engines beside each other, by seconds of a processor."""
    table = Table(title="the same workload on both engines")
    table.add_column("engine")
    for title in ("requests", "cycles", "seconds", "cycles a second"):
        table.add_column(title, justify="right")
    for item in rows:
        table.add_row(
            item["name"],
            f"{item['requests']:,}",
            f"{item['cycles']:,}",
            f"{item['cpu_s']:.2f}",
            f"{item['cycles'] / item['cpu_s']:,.0f}",
        )
    # Tables go to standard output unless the JSON is there.
    console = Console(stderr=json_name == "-", highlight=False)
    console.print(table)
    console.print(f"native is {ratio:.1f} times as fast as cocotb")
