"""A picture of a terminal: commands that are really run, and what they print, as SVG."""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ringwalker.outputs import write_file

from ..errors import RingwalkerError, exit_code_of
from ..workload.images import default_image

__all__ = ["COMMANDS", "PICTURE", "anywhere", "drawn", "lines_of", "picture_of"]

PICTURE = Path("docs/run.svg")
"""The picture of the documentation, in a checkout."""

COMMANDS = (
    "ringwalker run blk --image disk.img --write-all source.img --workload randread \\\n"
    "    --requests 50 --read-all copy.img | sed '/second/d; /TLPs/,$d'",
    "cmp source.img copy.img && e2fsck -fn disk.img | tail -1",
    "ringwalker lspci --engine model | sed -n 1,8p",
)
"""What it shows: the commands of ``scripts/run``, but for waves and for what depends on the machine."""

_COLUMNS = 86
_CHARACTER = 12.2
"""The width of one, in the units of the picture."""

_SECONDS = 900

_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As Rich's, without fonts from elsewhere: text keeps its width in any font."""


def _printed(command: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "COLUMNS": str(_COLUMNS),
        "FORCE_COLOR": "1",
    }
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise RingwalkerError(f"{command}: ended with exit code {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def picture_of(commands: Sequence[str], folder: Path, title: str) -> str:
    """Run ``commands`` of a shell in ``folder``; what a terminal shows then, as SVG.

    Errors: :class:`RingwalkerError` for one that fails.
    """
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    for number, command in enumerate(commands):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(_printed(command, folder).rstrip()), soft_wrap=True)
    return console.export_svg(title=title, code_format=_FORMAT, unique_id="terminal")


def lines_of(svg: str) -> list[str]:
    """The lines of text in a picture."""
    lines: dict[float, str] = {}
    for element in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if "title" not in element.get("class", ""):
            y, column = float(element.get("y", "0")), round(float(element.get("x", "0")) / _CHARACTER)
            lines[y] = lines.get(y, "").ljust(column) + (element.text or "").replace("\xa0", " ")
    return [line.rstrip() for _y, line in sorted(lines.items())]


def anywhere(lines: Sequence[str]) -> list[str]:
    """``lines`` as they are on any machine: without what depends on the version of e2fsprogs, and without
    the widths of columns, which depend on rows that are left out."""
    counted = (re.sub(r"\d+", "?", line) if " files (" in line else line for line in lines)
    return [re.sub(r"[ ━─]+", " ", line).strip() for line in counted]


def main() -> int:
    """``python -m ringwalker_sim.testing.terminal``: draw the picture of the documentation; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ringwalker_sim.testing.terminal")
    parser.add_argument("picture", nargs="?", type=Path, default=PICTURE, help="the file (%(default)s)")
    return exit_code_of(lambda: _write(parser.parse_args().picture))


def _write(picture: Path) -> int:
    write_file(picture, drawn())
    return 0


def drawn() -> str:
    """The picture of the documentation, of a run that is done now."""
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        folder = Path(name)
        default_image(folder / "source.img")
        (folder / "disk.img").touch()
        os.truncate(folder / "disk.img", (folder / "source.img").stat().st_size)
        return picture_of(COMMANDS, folder, "an ext4 image onto the simulated disk and back")


if __name__ == "__main__":
    sys.exit(main())
