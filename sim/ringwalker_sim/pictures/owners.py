"""Who makes each picture of the documentation, and which test compares it with what it shows."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import EXIT_FAILED

__all__ = ["BY_HAND", "OWNERS", "SUFFIXES", "Owner", "owners_of", "pictures_in"]

SUFFIXES = (".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp")
"""What counts as a picture."""


@dataclass(frozen=True)
class Owner:
    """``command`` makes the files that match ``pattern``, in a checkout; ``test`` compares them. With
    ``write`` the command is that test, told to write."""

    pattern: str
    command: str
    test: str
    write: bool = False


OWNERS = (
    Owner("docs/blocks/*.svg", "python -m ringwalker_sim.pictures", "tb/pictures/test_pages.py"),
    Owner("docs/report-*.png", "pytest tb/report/test_looks.py", "tb/report/test_looks.py", write=True),
    Owner(
        "docs/rings-*.svg",
        "ringwalker bench-rings --from docs/rings.json --docs docs",
        "tb/performance/test_rings.py",
    ),
    Owner(
        "docs/throughput*.svg",
        "ringwalker bench --from docs/performance.json --docs docs",
        "tb/performance/test_bench.py",
    ),
    Owner("docs/run.svg", "python -m ringwalker_sim.testing.terminal", "tb/testing/test_terminal.py"),
    Owner(
        "docs/timeline.svg",
        "pytest tb/timeline/test_on_device.py -k picture",
        "tb/timeline/test_on_device.py",
        write=True,
    ),
    Owner(
        "docs/site.png",
        "pytest tb/site/test_site.py -k picture_of_the_site",
        "tb/site/test_site.py",
        write=True,
    ),
    Owner("docs/waves.png", "pytest tb/waves/test_gtkwave.py", "tb/waves/test_gtkwave.py", write=True),
)
"""A pattern a kind of picture."""

BY_HAND = {
    "docs/site/logo.svg": "the sign of the project",
    "docs/site/icon.svg": "the same, for a tab of a browser",
}
"""Pictures that no command makes, and what they are."""


def pictures_in(root: Path) -> Iterator[str]:
    """All pictures below ``docs`` of a checkout, from its root."""
    for path in sorted((root / "docs").rglob("*")):
        if path.suffix in SUFFIXES:
            yield path.relative_to(root).as_posix()


def owners_of(picture: str) -> list[Owner]:
    """Whoever says to make ``picture``."""
    return [owner for owner in OWNERS if Path(picture).match(owner.pattern)]


def main() -> int:
    """``scripts/pictures --all``: make all of them anew; 0, or 1 if a command failed."""
    parser = argparse.ArgumentParser(prog="scripts/pictures --all")
    parser.add_argument("--list", action="store_true", help="show the commands, and make nothing")
    only_list = parser.parse_args().list
    failed = []
    for owner in OWNERS:
        print(f"{owner.pattern}: {owner.command}", flush=True)
        if only_list:
            continue
        environment = dict(os.environ)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        if owner.write:
            environment["RINGWALKER_WRITE_DOCS"] = "1"
        words = shlex.split(owner.command)
        if subprocess.run(words, env=environment, check=False).returncode:
            failed.append(owner.pattern)
    for pattern in failed:
        print(f"ringwalker: {pattern}: could not be made", file=sys.stderr)
    return EXIT_FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())
