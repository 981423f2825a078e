"""``python -m ringwalker_sim.site``: write the pages of reference that are made from the code."""

import sys
from pathlib import Path

from ringwalker.outputs import write_file

from ..errors import exit_code_of
from .reference import reference_pages

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write the pages into the folder that is named, or ``docs/reference``; 0, or 2 after a line."""
    words = sys.argv[1:] if arguments is None else arguments
    folder = Path(words[0] if words else "docs/reference")
    return exit_code_of(lambda: _write(folder))


def _write(folder: Path) -> int:
    for name, text in reference_pages().items():
        write_file(folder / name, text)
        print(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
