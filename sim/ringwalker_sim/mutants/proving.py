"""The properties of blocks, of the hardware as a process has it.

``python -m ringwalker_sim.mutants.proving FOLDER NAME ...``
The exit code is 1, and the names are printed, if some of those that are named do not hold.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import EXIT_FAILED
from ..proofs.catalogue import PROPERTIES, unproved
from ..source_closure import source_closure
from .mutant import Mutant

__all__ = ["concerned"]


def concerned(mutant: Mutant) -> list[str]:
    """The names of the properties of blocks that are made with the module of ``mutant``."""
    modules = {one.module for one in PROPERTIES}
    with_it = {name for name in modules if mutant.path in source_closure(f"ringwalker.{name}")}
    return [one.name for one in PROPERTIES if one.module in with_it]


def main(arguments: Sequence[str]) -> int:
    """The first argument is the folder for what the tools write, the others are names of properties."""
    folder, names = Path(arguments[0]), set(arguments[1:])
    folder.mkdir(parents=True, exist_ok=True)
    found = unproved([one for one in PROPERTIES if one.name in names], folder)
    print("does not hold:", *found)
    return EXIT_FAILED if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
