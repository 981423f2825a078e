"""The suite on this project's hardware: what applies passes, by every ring and face, as in golden models."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.conform.facing import outcome_differences
from ringwalker_sim.conform.session import Session
from ringwalker_sim.conform.suite import FAILED, PASSED, all_checks, select
from ringwalker_sim.conform.targets.cocotb import run_in_cocotb
from ringwalker_sim.conform.targets.local import open_local
from ringwalker_sim.testing.devices import BOTH, SMALL_BLK, TRANSITIONAL
from ringwalker_sim.waves.fst import read_fst_signals


@pytest.mark.slow
@pytest.mark.parametrize("function", TRANSITIONAL)
def test_the_device_passes_all_that_applies_and_does_as_the_golden_model(function: str) -> None:
    both = []
    for engine in ("native", "model"):
        with Session(lambda engine=engine: open_local(engine, TRANSITIONAL[function])) as session:
            both.append(session.run(all_checks()))
    outcomes = both[0]
    assert [f"{item.id}: {item.clause}: {item.text}" for item in outcomes if item.verdict == FAILED] == []
    assert sum(item.verdict == PASSED for item in outcomes) > 200
    assert outcome_differences(*both) == []


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("face", "ring"),
    [("modern", "split"), ("modern", "packed"), ("transitional", "split"), ("legacy", "split")],
)
@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize("engine", ["model", "native"])
def test_every_face_and_ring_passes(engine: str, function: str, face: str, ring: str) -> None:
    config = replace(TRANSITIONAL[function], face=face, ring=ring)
    with Session(lambda: open_local(engine, config)) as session:
        outcomes = session.run(all_checks())
    assert [f"{item.id}: {item.clause}: {item.text}" for item in outcomes if item.verdict == FAILED] == []


@pytest.mark.slow
def test_the_device_passes_under_cocotb() -> None:
    chosen = select(["nothing_is_used_before_driver_ok"])
    outcomes = run_in_cocotb(SMALL_BLK, chosen, seed=3)
    assert [(item.check.name, item.verdict, item.seed) for item in outcomes] == [
        (check.name, PASSED, 3) for check in chosen
    ]


@pytest.mark.slow
def test_waves_are_of_the_one_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "device.toml"
    config.write_text(SMALL_BLK.to_toml())
    words = ["--config", str(config), "reset_clears_status", "--way", "split", "--waves", "check.fst"]
    assert main(["conform", *words]) == 0
    assert read_fst_signals("check.fst")
    assert Path("check.fst").stat().st_size > 1000
