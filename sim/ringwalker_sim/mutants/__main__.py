"""The command ``scripts/mutants``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ringwalker.outputs import write_file

from ..cli.options import positive
from ..cli.report import progress_bar
from ..errors import EXIT_FAILED, EXIT_USAGE, ParameterError, exit_code_of
from .catalogue import MUTANTS, in_turns, select
from .layers import LAYERS, Layer
from .mutant import Mutant
from .page import FIGURES, PAGE, figures, page
from .planting import planted_environment
from .trial import CAUGHT, Results, try_mutants

__all__ = ["main"]

_RESULTS, _RIGHT = "build/mutants/results.json", "build/mutants/right.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/mutants",
        description="Plant faults in the hardware, one at a time, and see which layer of tests notices each. "
        "A run that was stopped goes on. The exit code is 1 if a mutant survives all layers.",
        epilog="scripts/mutants run NAME -- COMMAND ...: run a command, such as pytest or ringwalker, on the "
        "hardware with that fault.",
    )
    parser.add_argument("--list", action="store_true", help="show names and what is wrong, and try nothing")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="those with it in the name"
    )
    names = [layer.name for layer in LAYERS]
    parser.add_argument("--layer", action="append", choices=names, help="only this layer (default: all)")
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="mutants at a time (default 1)")
    parser.add_argument("--results", metavar="FILE", help=f"what comes out (default {_RESULTS})")
    parser.add_argument("--docs", metavar="FOLDER", help=f"write {PAGE} and {FIGURES} there; all are tried")
    parser.add_argument(
        "--right", action="store_true", help="leave the faults out; no layer may find any then, on any device"
    )
    return parser


def _planted(arguments: Sequence[str]) -> int:
    """Run a command on a mutant, in place of this process."""
    if len(arguments) < 3 or arguments[1] != "--":
        print("ringwalker: scripts/mutants run NAME -- COMMAND ...", file=sys.stderr)
        return EXIT_USAGE
    named = [one for one in MUTANTS if one.name == arguments[0]]
    if not named:
        raise ParameterError(f"{arguments[0]!r} is no mutant; --list shows all names")
    try:
        os.execvpe(arguments[2], list(arguments[2:]), planted_environment(named[0]))
    except OSError as error:
        print(f"ringwalker: {arguments[2]}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE


def _each_device(mutants: Sequence[Mutant]) -> list[Mutant]:
    """A mutant for each device: enough where the faults are left out."""
    return list({one.device: one for one in reversed(mutants)}.values())


def _try(options: argparse.Namespace) -> int:
    mutants = list(MUTANTS) if options.docs else select(options.only)
    if options.list:
        for one in mutants:
            print(f"{one.name} ({one.module}, device {one.device}): {one.change.says}")
        return 0
    layers = [layer for layer in LAYERS if not options.layer or layer.name in options.layer]
    results = Results(Path(options.results or (_RIGHT if options.right else _RESULTS)))
    wanted = _each_device(mutants) if options.right else in_turns(mutants)
    with progress_bar() as (move, _say):
        done = 0

        def show(mutant: Mutant, layer: Layer, result: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            print(f"{mutant.name}: {layer.name}: {result['verdict']} {result['found']}", flush=True)
            move(mutant.name, done, len(wanted) * len(layers))

        try_mutants(
            wanted, results, Path.cwd(), layers=layers, right=options.right, jobs=options.jobs, progress=show
        )
    if options.docs:
        made = figures(results.found)
        write_file(Path(options.docs) / FIGURES, json.dumps(made, indent=1) + "\n")
        write_file(Path(options.docs) / PAGE, page(made))
    verdicts = {
        one.name: {result["verdict"] for result in results.found[one.name].values()} for one in wanted
    }
    caught = [name for name, found in verdicts.items() if CAUGHT in found]
    bad = caught if options.right else [name for name in verdicts if name not in caught]
    print(f"{len(caught)} of {len(wanted)} are caught{': ' if bad else ''}{', '.join(bad)}")
    return EXIT_FAILED if bad else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code_of(
        lambda: _planted(given[1:]) if given[:1] == ["run"] else _try(_parser().parse_args(given))
    )


if __name__ == "__main__":
    sys.exit(main())
