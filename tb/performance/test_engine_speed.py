"""The comparison of the engines, and the page made of it."""

import json
from pathlib import Path

import pytest

from ringwalker_sim.cli import bench_engines
from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance import Case, engine_speed

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_made_of_the_figures():
    figures = json.loads((DOCS / "engines.json").read_text())
    assert (DOCS / "engines.md").read_text() == engine_speed.page(figures), (
        "ringwalker bench-engines --docs docs"
    )
    assert [row["what"] for row in figures["native"]] == [what for what, _goal, _case in engine_speed._CASES]
    assert figures["ratio"] > 1


def test_goals_take_the_slower_way():
    rows = [
        {"what": what, "requests": 1000 * n, "cycles": 10**6 * n, "cpu_s": 2.0, "plain_cpu_s": 2.0 * n}
        for n, (what, _goal, _case) in enumerate(engine_speed._CASES, 1)
    ]
    reached = [row[2] for row in engine_speed._goals({"native": rows, "ratio": 70.5})]
    assert reached == [1, 2, 3, 4, 5, 70.5, 5e5, 500, 2000]


def test_documents_are_written(tmp_path, monkeypatch):
    def run_on_engine(engine, config, job, **_options):
        rate = {"native": 8000.0, "cocotb": 100.0}[engine]
        row = {"requests": 2, "bytes": 8192, "cycles": 800, "wall_s": 800 / rate, "cycles_per_second": rate}
        return {"engine": engine, "errors": 0, **row}

    small = Case(
        "net", "tx", data_width=64, requests=64, depth=32, queue_size=64, read_tags=32, ring_tags=8, chains=32
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_engines, "run_on_engine", run_on_engine)
    monkeypatch.setattr(bench_engines, "verdict", lambda row: 0)
    monkeypatch.setattr(
        engine_speed, "_CASES", [(what, 1.0, small) for what, _goal, _case in engine_speed._CASES]
    )
    assert cli.main(["bench-engines", "--docs", str(tmp_path), "--requests", "2"]) == 0
    figures = json.loads((tmp_path / "engines.json").read_text())
    assert figures["ratio"] == 80
    assert all(
        row["requests"] == 64 and row["cycles"] > 64 and row["wall_s"] > 0 for row in figures["native"]
    )
    assert "**80 times**" in (tmp_path / "engines.md").read_text()


def test_the_page_is_about_the_usual_device(tmp_path, capsys):
    assert cli.main(["bench-engines", "--docs", str(tmp_path), "--data-width", "64"]) == 2
    assert "--docs: the page is about the usual device" in capsys.readouterr().err


def test_a_missing_folder_is_named(tmp_path, capsys):
    assert cli.main(["bench-engines", "--docs", str(tmp_path / "none")]) == 2
    assert "none: is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["model name\t: Quick 3000\n", ""])
def test_the_machine_is_said(monkeypatch, text):
    monkeypatch.setattr(engine_speed, "_lines", lambda path: text.splitlines())
    assert "cores (" in engine_speed.machine()
    assert ("Quick 3000" in engine_speed.machine()) == bool(text)
