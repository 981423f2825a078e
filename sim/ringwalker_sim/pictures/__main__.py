"""The command ``scripts/pictures``."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ringwalker.outputs import make_folder, write_file

from ..errors import ParameterError, exit_code_of
from .catalogue import PAGES, BlockPage
from .diagram import diagram, read_diagram
from .page import FOLDER, PageError, filled
from .scene import record
from .timing import timing

__all__ = ["TIMINGS", "main", "stored", "timings"]

TIMINGS = "timing.json"
"""WaveJSON of all timing diagrams, by the names of their pictures."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/pictures",
        description="Draw the diagrams of blocks from the elaborated design, and their timing diagrams from "
        "simulated runs, and fill the pages in docs/blocks.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these pages; all by themselves")
    parser.add_argument("--docs", default="docs", metavar="FOLDER", help="the documentation (%(default)s)")
    parser.add_argument("--list", action="store_true", help="show the names, and draw nothing")
    parser.add_argument(
        "--anew", action="store_true", help="lay out diagrams anew whose blocks and lines have not changed"
    )
    return parser


def timings(page: BlockPage) -> dict[str, dict[str, Any]]:
    """The WaveJSON of the page's pictures, by their names."""
    return {name: record(scene) for name, scene in page.scenes}


def stored(waves: Mapping[str, Any]) -> str:
    """The file :data:`TIMINGS`: a line of a diagram is a line of the file."""
    lines = []
    for name, wave in waves.items():
        rest = {key: value for key, value in wave.items() if key != "signal"}
        signals = ",\n   ".join(json.dumps(line, ensure_ascii=False) for line in wave["signal"])
        more = json.dumps(rest, ensure_ascii=False)[1:-1]
        lines.append(f' {json.dumps(name)}: {{{more}, "signal": [\n   {signals}]}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _is_drawn(path: Path, page: BlockPage) -> bool:
    """Whether the picture at ``path`` shows what there is."""
    return path.exists() and read_diagram(path.read_text()) == page.drawing()


def _draw(page: BlockPage, folder: Path, anew: bool) -> list[str]:
    """Draw the pictures of a page; the names of those that are new."""
    done = []
    path = folder / f"{page.name}.svg"
    if anew or not _is_drawn(path, page):
        write_file(path, diagram(page.drawing(), page.title, page.direction))
        done.append(path.name)
    for name, wave in timings(page).items():
        path, made = folder / f"{name}.svg", timing(wave)
        if not path.exists() or path.read_text() != made:
            write_file(path, made)
            done.append(path.name)
    return done


def _fill(page: BlockPage, docs: Path) -> bool:
    """Fill a page; whether it has changed."""
    path = docs / FOLDER / f"{page.name}.md"
    try:
        before = path.read_text()
    except OSError as error:
        raise PageError(
            f"{path}: {error.strerror}; its text is written by hand, with the marks of its parts"
        ) from None
    after = filled(page, before, docs)
    if after != before:
        write_file(path, after)
    return after != before


def _pictures(options: argparse.Namespace) -> int:
    names = [page.name for page in PAGES]
    for name in options.names:
        if name not in names:
            raise ParameterError(f"there is no page {name!r}; there are {', '.join(names)}")
    if options.list:
        print("\n".join(names))
        return 0
    docs = Path(options.docs)
    folder = make_folder(docs / FOLDER)
    for page in PAGES:
        if not options.names or page.name in options.names:
            done = _draw(page, folder, options.anew) + ([f"{page.name}.md"] if _fill(page, docs) else [])
            print(f"{page.name}: {', '.join(done) or 'as it was'}", flush=True)
    write_file(folder / TIMINGS, stored({k: v for page in PAGES for k, v in timings(page).items()}))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return exit_code_of(lambda: _pictures(_parser().parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
