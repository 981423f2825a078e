"""A newcomer's way: from a fresh clone to an open report and timeline, by the commands of docs/start.md."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ringwalker_sim.testing.browser import chromium, no_chromium, opened
from ringwalker_sim.testing.page_commands import blocks
from ringwalker_sim.timeline.file import load

ROOT = Path(__file__).resolve().parents[2]
OURS = ("RINGWALKER", "PYTHON", "PYTEST", "CCACHE", "PIP_", "VIRTUAL_ENV", "COCOTB")
"""Beginnings of names of variables that a newcomer has not set."""
MINUTES = 15


def newcomer(home: Path) -> dict[str, str]:
    """The environment of somebody who has never run anything of this."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    places = [place for place in found["PATH"].split(os.pathsep) if not (Path(place) / "ringwalker").exists()]
    return {**found, "PATH": os.pathsep.join(places), "HOME": str(home)}


@pytest.mark.campaign
def test_from_a_clone_to_an_open_report_and_timeline(tmp_path: Path) -> None:
    """It is timed, block by block, and the times are shown: pytest -m campaign -s -k newcomer."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    clone = tmp_path / "ringwalker"
    page = blocks((ROOT / "docs/start.md").read_text())
    steps = ["set -eu", f'git clone --quiet "{ROOT}" "{clone}" && cd "{clone}"', 'echo "time 0 $SECONDS"']
    for block in page:
        if block.kind == "clone":
            steps += [block.text, f'echo "time {block.line} $SECONDS"']
    before = os.times()
    done = subprocess.run(
        ["bash", "-c", "\n".join(steps)],
        cwd=tmp_path,
        env=newcomer(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    after = os.times()
    assert done.returncode == 0, done.stdout
    times = re.findall(r"^time (\d+) (\d+)$", done.stdout, re.MULTILINE)
    for line, seconds in times:
        print(f"{seconds} s after the beginning: docs/start.md:{line} is done")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{spent:.0f} s of processors, of which there are {os.cpu_count()}")
    assert len(times) > 3
    assert int(times[-1][1]) < 60 * MINUTES

    timeline = load(str(clone / "blk-run/run.pftrace"))
    assert len(timeline.requests) >= 1000
    if no_chromium() is None:
        with chromium() as browser, opened(browser, clone / "blk-run/report.html") as look:
            assert look.errors == []
            assert look.requests == []
            assert "1,000" in look.page.inner_text("body")
