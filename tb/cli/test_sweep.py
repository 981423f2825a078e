"""The command ``sweep``: what it refuses and writes, and one of which a worker and the whole are killed."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.errors import DataError
from ringwalker_sim.sweep import work

SMALL = [f"--set={item}" for item in ("data_width=64", "device_queues=4", "queue_size=32", "requests=8")]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The cases that were measured. Nothing is simulated."""
    done: list[Any] = []

    def measure(case: Any, say: Any) -> dict[str, Any]:
        done.append(case)
        if case.depth == 2:
            raise DataError("the data differs")
        latency = {"p50": 1, "p99": 2, "max": 3}
        rate = 1e6 * case.depth
        speeds = {
            "rate_per_s": rate,
            "bytes_per_s": rate * case.size,
            "ceiling_per_s": 1e8,
            "efficiency": 0.5,
        }
        return {**case.key, "cycles": 9, "latency_cycles": latency, **speeds}

    monkeypatch.setattr(work, "measure", measure)
    monkeypatch.setattr("ringwalker_sim.engine.native.models.build_model", lambda *_args, **_options: None)
    monkeypatch.setattr(
        work, "measure_area", lambda _say, config, target: {"lut": 100 if config["ring"] == "split" else 90}
    )
    return done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--set: nothing is"),
        (["--set", "speed=1"], "speed is no key; there are function"),
        (["--set", "ring=round"], "it must be one of split, packed"),
        (["--set", "depth=1", "--x", "depth"], "--x: it is for --plot"),
        (["--set", "depth=1", "--plot", "a.svg"], "no key has more than one value"),
        (["--set", "depth=1,2", "--plot", "a.gif"], "must end with .svg or .png"),
        (["--set", "depth=1,2", "--plot", "a.svg", "--x", "size"], "none of the keys that vary: depth"),
        (["--set", "depth=1", "--csv", "absent/a.csv"], "there is no folder absent"),
        (["--set", "depth=1", "--scheduler", "nowhere"], "missing port number"),
        (["--set", "depth=1", "--workers", "1", "--scheduler", "a:1"], "are not started here"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *words]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


def test_all_files_are_written_and_the_tables_shown(
    played: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["--csv", "a.csv", "--parquet", "a.parquet", "--json", "a.json", "--plot", "a.svg"]
    words = ["--set", "ring=split,packed", "--set", "depth=1,4", "--area", "ecp5", "--workers", "1"]
    assert main(["sweep", *words, *outputs]) == 0
    shown = capsys.readouterr().out
    assert "4 cases" in shown
    assert "devices that no other one beats" in shown
    assert len(played) == 4
    rows = list(csv.DictReader(io.StringIO(Path("a.csv").read_text())))
    assert [(row["ring"], row["depth"], row["area_lut"]) for row in rows] == [
        ("split", "1", "100"),
        ("split", "4", "100"),
        ("packed", "1", "90"),
        ("packed", "4", "90"),
    ]
    content = json.loads(Path("a.json").read_text())
    assert content["set"] == {"ring": ["split", "packed"], "depth": [1, 4]}
    assert len(content["rows"]) == 4
    assert Path("a.parquet").read_bytes()[:4] == b"PAR1"
    drawn = Path("a.svg").read_text()
    assert all(f"<!-- {text} -->" in drawn for text in ("ring split", "ring packed", "requests in flight"))


def test_a_case_that_fails_is_named_and_the_others_are_measured(
    played: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "--set", "depth=1,2,4", "--workers", "1", "--campaign", "c", "--csv", "-"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert len(list(csv.DictReader(io.StringIO(shown.out)))) == 2
    assert "--depth 2: the data differs" in shown.err
    assert main(words) == 1
    assert [case.depth for case in played] == [1, 2, 4, 2]
    assert main(["sweep", "--set", "depth=1,2", "--workers", "1", "--campaign", "c"]) == 2
    assert "c: is of another campaign: set is" in capsys.readouterr().err


def test_combinations_that_cannot_be_are_counted(
    played: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--set", "function=blk,net", "--set", "direction=read,tx", "--workers", "1"]) == 0
    assert "2 of 4 combinations cannot be: direction is 'tx'" in capsys.readouterr().err
    assert len(played) == 2


def test_the_keys_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--keys"]) == 0
    shown = capsys.readouterr().out
    assert "latency_ns = 550" in shown
    assert "pci.msi" in shown


def _start(folder: Path, words: list[str]) -> "subprocess.Popen[str]":
    path = os.pathsep.join(item for item in sys.path if item)
    return subprocess.Popen(
        [sys.executable, "-m", "ringwalker_sim.cli.main", "sweep", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _workers(number: int) -> list[int]:
    """Processes that the process ``number`` has started for tasks."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == number and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


@pytest.mark.slow
def test_a_sweep_of_48_cases_is_complete_after_a_worker_and_the_whole_were_killed(tmp_path: Path) -> None:
    grid = [
        *("--set=direction=read,write", "--set=size=512,4k", "--set=depth=1,4,8"),
        *("--set=latency_ns=300,800", "--set=link=gen2x4,gen3x8"),
    ]
    words = [*SMALL, *grid, "--workers", "2", "--campaign", "c", "--csv", "swept.csv"]
    results = tmp_path / "c" / "results.jsonl"

    def wait_for(lines: int) -> None:
        began = time.monotonic()
        while not results.exists() or results.read_text().count("\n") < lines:
            assert process.poll() is None
            assert time.monotonic() - began < 300
            time.sleep(0.02)

    process = _start(tmp_path, words)
    wait_for(6)
    os.kill(_workers(process.pid)[0], signal.SIGKILL)
    wait_for(20)
    process.kill()
    process.communicate()
    kept = results.read_bytes()
    assert kept.count(b"\n") < 48
    process = _start(tmp_path, words)
    _output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert results.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert main(["sweep", *SMALL, *grid, "--workers", "1", "--csv", "alone.csv"]) == 0
    assert Path("swept.csv").read_text() == Path("alone.csv").read_text()
    assert Path("alone.csv").read_text().count("\n") == 49
