"""Builds the native model of a device of mutants: ``python -m ringwalker_sim.mutants.building DEVICE``."""

import sys
from collections.abc import Sequence

from ..engine.native.models import library_for
from .mutant import DEVICES

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """The argument is a name of :data:`DEVICES`."""
    library_for(
        DEVICES[arguments[0]],
        None,
        None,
        plain=True,
        waves=False,
        sanitize=False,
        at_once=False,
        progress=None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
