"""The tutorial runs from its first cell to its last, and what is kept in the file is what comes of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TUTORIAL = Path("docs/tutorial.ipynb")
LARGEST = 64 << 10
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=120).execute()
nbformat.write(notebook, sys.argv[2])
"""


def outputs(path: Path) -> list[list[tuple[str, list[str]]]]:
    """Of each cell with code: kinds and forms of its outputs."""
    cells: list[Any] = json.loads(path.read_text())["cells"]
    return [
        [(item["output_type"], sorted(item.get("data", {}))) for item in cell["outputs"]]
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def test_the_tutorial_is_small_and_has_what_came_of_it() -> None:
    assert TUTORIAL.stat().st_size < LARGEST
    kinds = [kind for cell in outputs(TUTORIAL) for kind, _ in cell]
    assert len(kinds) > 10
    assert "error" not in kinds
    assert "<svg" in TUTORIAL.read_text()


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path) -> None:
    made = tmp_path / "made.ipynb"
    command = [sys.executable, "-c", RUN, TUTORIAL, made]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert outputs(made) == outputs(TUTORIAL)
