"""The command ``scripts/prove``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ringwalker.outputs import make_folder, write_file

from ..errors import EXIT_FAILED, exit_code_of
from .catalogue import PROPERTIES, Result, select, try_all
from .page import FIGURES, PAGE, figures, page

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/prove",
        description="Prove properties of blocks, and see each of them fail on a mutant. "
        "The exit code is 1 if one does not hold, or its mutant is not found.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only properties with this in their name")
    parser.add_argument("--list", action="store_true", help="show names and sentences, and prove nothing")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--docs", metavar="FOLDER", help=f"write {PAGE} and {FIGURES} there; all are proved")
    parser.add_argument(
        "--work",
        default="build/proofs",
        metavar="FOLDER",
        help="for what the tools read and write: %(default)s",
    )
    return parser


def _show(result: Result) -> None:
    proved = "proved" if result.proved else f"DOES NOT HOLD, see {result.name}.vcd"
    mutant = "" if result.mutant else ", MUTANT NOT FOUND"
    print(f"{result.seconds:6.2f} s  {result.name}: {proved}{mutant}", flush=True)


def _prove(options: argparse.Namespace) -> int:
    properties = PROPERTIES if options.docs else select(options.names)
    if options.list:
        for one in properties:
            print(f"{one.name} ({one.block}; {one.method}): {one.says}")
        return 0
    results = try_all(properties, make_folder(options.work), _show)
    made = json.dumps(figures(results), indent=1) + "\n"
    if options.json:
        write_file(options.json, made)
    if options.docs:
        write_file(Path(options.docs) / FIGURES, made)
        write_file(Path(options.docs) / PAGE, page(figures(results)))
    good = sum(result.good for result in results)
    seconds = sum(result.seconds for result in results)
    print(
        f"{good} of {len(results)} properties are proved and seen to fail on their mutants; {seconds:.0f} s"
    )
    return 0 if good == len(results) else EXIT_FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return exit_code_of(lambda: _prove(_parser().parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
