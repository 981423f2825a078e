"""The comparison of the engines, and the page made of it."""

import json
import sys
from pathlib import Path

import pytest

from ringwalker_sim.cli import bench_engines
from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance import Case, engine_page, engine_speed, league
from ringwalker_sim.performance.measure import speed
from ringwalker_sim.performance.two_devices import two_devices
from ringwalker_sim.testing.devices import SMALL_NET

DOCS = Path(__file__).parents[2] / "docs"
SMALL = Case(
    "net", "tx", data_width=64, requests=64, depth=32, queue_size=64, read_tags=32, ring_tags=8, chains=32
)
LEAGUE = {
    "load": "4,096 byte reads, 64 at once",
    "recorded": 50_000,
    "begin": 2_000,
    "rows": [
        {"name": "one", "cores": 1, "cycles": 48_000, "cpu_s": 0.5, "wall_s": 0.6, "different": 0},
        {"name": "other", "cores": 1, "missing": "not installed (apt-get install other)"},
    ],
}
TWO = {"what": "4 KiB reads", "requests": 8, "alone": 100.0, "both": 180.0, "pinned": 195.0}


def test_the_page_is_made_of_the_figures():
    figures = json.loads((DOCS / "engines.json").read_text())
    assert (DOCS / "engines.md").read_text() == engine_page.page(figures), (
        "ringwalker bench-engines --docs docs"
    )
    assert [row["what"] for row in figures["native"]] == [what for what, _goal, _case in engine_speed.CASES]
    assert figures["ratio"] > 1


def test_goals_take_the_slower_way():
    rows = [
        {"what": what, "requests": 1000 * n, "cycles": 10**6 * n, "cpu_s": 2.0, "plain_cpu_s": 2.0 * n}
        for n, (what, _goal, _case) in enumerate(engine_speed.CASES, 1)
    ]
    goals = engine_page._goals({"native": rows, "ratio": 70.5, "two_devices": TWO})
    assert [row[2] for row in goals] == [1, 2, 3, 4, 5, 70.5, 1.95, 5e5, 500, 2000]
    alone = engine_page._goals({"native": rows, "ratio": 70.5, "two_devices": None})
    assert len(alone) == len(goals) - 1


@pytest.mark.parametrize(
    ("install", "icarus"),
    [
        (None, "| cocotb with Icarus Verilog | 32 | 800 | 40.00 | 20 |"),
        ("buy it", "| cocotb with Icarus Verilog | not installed (buy it) |"),
    ],
)
def test_documents_are_written(tmp_path, monkeypatch, install, icarus):
    def run_on_engine(engine, config, job, simulator="verilator", **_options):
        seconds = {"native": 0.1, "verilator": 8.0, "icarus": 40.0}[
            simulator if engine == "cocotb" else engine
        ]
        requests = job.task.workload.requests
        row = {"requests": requests, "bytes": 8192, "cycles": 800, "wall_s": 99.0, "cpu_s": seconds}
        return {"engine": engine, "errors": 0, **row}

    def fast(case, status, reference=False):
        return {"requests": case.requests, "cycles": 70, "wall_s": 3.0, "cpu_s": 4.0 if reference else 2.0}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_engines, "run_on_engine", run_on_engine)
    monkeypatch.setattr(bench_engines, "verdict", lambda row: 0)
    monkeypatch.setattr(sys.modules["ringwalker_sim.performance.measure"], "speed", fast)
    monkeypatch.setattr(engine_speed, "league_figures", lambda status: LEAGUE)
    monkeypatch.setattr(engine_speed, "two_at_once", lambda status: TWO)
    monkeypatch.setattr(league, "no_icarus", lambda: install)
    assert cli.main(["bench-engines", "--docs", str(tmp_path), "--requests", "50"]) == 0
    figures = json.loads((tmp_path / "engines.json").read_text())
    assert figures["ratio"] == pytest.approx(80)
    assert [row["plain_cpu_s"] for row in figures["native"]] == [4.0] * len(engine_speed.CASES)
    text = (tmp_path / "engines.md").read_text()
    for part in (
        "**80 times**",
        "**1.80 times**",
        "(1.95 times)",
        "50,000 cycles",
        "| one ",
        "not installed (apt-get",
        icarus,
    ):
        assert part in text
    figures["league"] = figures["two_devices"] = None
    assert engine_page.page(figures).count("Not measured.") == 2


def test_a_case_is_timed():
    begun = []
    row = speed(SMALL, begins=lambda: begun.append(True))
    assert SMALL.config == SMALL_NET
    assert (row["requests"], begun) == (64, [True])
    assert row["cycles"] > 64
    assert row["wall_s"] > 0


@pytest.mark.slow
def test_two_devices_are_simulated_at_once():
    found = two_devices(SMALL, 1)
    assert found is None or all(found[name] > 0 for name in ("alone", "both", "pinned"))


def test_one_core_has_no_two_devices(monkeypatch):
    monkeypatch.setattr("ringwalker_sim.performance.two_devices.cores", lambda: 1)
    assert two_devices(SMALL, 1) is None


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
