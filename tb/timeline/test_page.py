"""The figures of timelines in their page: they are those of the file beside it, and hold what is promised."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.performance.figures import FiguresError
from ringwalker_sim.timeline.page import BEGIN, END, FIGURES, PAGE, page, read_figures, section

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAIRS = [{"off_s": 1.0, "on_s": 1.5}, {"off_s": 1.0, "on_s": 1.2}, {"off_s": 2.0, "on_s": 2.8}]
COST = {
    "function": "blk",
    "direction": "read",
    "size": 512,
    "requests": 9,
    "pairs": PAIRS,
    "ratio": {"median": 1.4, "least": 1.2, "largest": 1.5},
    "file_bytes": 2_500_000,
}


def with_cost() -> dict[str, Any]:
    """The committed figures, and a cost."""
    return {**json.loads((DOCS / FIGURES).read_text()), "cost": [COST], "machine": "2 cores"}


def test_the_page_has_the_figures_and_they_are_what_is_promised() -> None:
    """No residue in 10,000 requests, and at most twice the time, but for the smallest frames."""
    figures = read_figures(DOCS / FIGURES)
    text = (DOCS / PAGE).read_text()
    assert page(text, figures) == text, "ringwalker bench-timeline --from docs/timeline.json --docs docs"
    assert figures["residue"]
    for row in figures["residue"]:
        assert (row["residue_cycles"], row["requests"] >= 10_000) == (0, True)
    for row in figures.get("cost", ()):
        assert row["ratio"]["median"] <= 2, row


def test_what_is_said_of_a_cost() -> None:
    """Medians of seconds and of ratios, and their range."""
    assert "| blk read 512 | 9 | 1.00 | 1.50 | **1.40** (1.20 to 1.50) | 2.5 |" in section(with_cost())
    assert "done 3 times in turn, on a machine with 2 cores" in section(with_cost())


def test_the_tables_are_written_again(tmp_path: Path) -> None:
    """Only what is between the marks is another then; a residue is exit code 1."""
    figures = with_cost()
    (tmp_path / "f.json").write_text(json.dumps(figures))
    (tmp_path / PAGE).write_text(f"before\n{BEGIN}old\n{END}after\n")
    command = ["bench-timeline", "--from", str(tmp_path / "f.json"), "--docs", str(tmp_path)]
    assert main(command) == 0
    assert (tmp_path / PAGE).read_text() == f"before\n{BEGIN}{section(figures)}{END}after\n"
    assert json.loads((tmp_path / FIGURES).read_text()) == figures
    figures["residue"][0]["residue_cycles"] = 1
    (tmp_path / "f.json").write_text(json.dumps(figures))
    assert main(command) == 1


def test_what_cannot_be_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without the page, figures of something else, a page without the marks."""
    assert main(["bench-timeline", "--docs", str(tmp_path)]) == 2
    assert f"there is no {PAGE} in it" in capsys.readouterr().err
    assert main(["bench-timeline", "--from", str(DOCS / "rings.json")]) == 2
    assert "has no figures of bench-timeline" in capsys.readouterr().err
    with pytest.raises(FiguresError, match="no place for figures"):
        page("text", with_cost())
