"""The checks on two devices: what is compared, and that the hardware and the golden model do the same."""

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.conform.facing import outcome_differences
from ringwalker_sim.conform.suite import FAILED, Outcome, select
from ringwalker_sim.conform.targets.local import open_local
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.testing.devices import BOTH, TRANSITIONAL

CHECKS = ["queue_sizes", "mixture", "interrupts_*", "reset_clears_status"]


def outcomes(engine: str, function: str, patterns: list[str]) -> list[Outcome]:
    with open_local(engine, TRANSITIONAL[function]) as target:
        return target.run(select(patterns))


def test_two_models_do_the_same_and_a_difference_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    first = outcomes("model", "blk", CHECKS)
    assert sum(len(item.notes) for item in first) > 100
    assert outcome_differences(first, outcomes("model", "blk", CHECKS)) == []
    monkeypatch.setattr(BlkModel, "_execute", lambda *_all: (b"", b"\1"))
    lines = outcome_differences(first, outcomes("model", "blk", CHECKS))
    assert any(line.startswith("mixture[split]: ") for line in lines)


def test_verdicts_are_compared() -> None:
    one = Outcome(
        *[
            getattr(outcomes("model", "rng", ["reset_clears_status"])[0], n)
            for n in ("check", "way", "verdict")
        ]
    )
    other = Outcome(one.check, one.way, FAILED, "it is broken")
    assert outcome_differences([one], [other]) == [f"{one.id}: passed, and failed: it is broken"]
    assert outcome_differences([one], []) == []


def test_devices_of_others_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--against", "model", "--engine", "model"]) == 2
    assert "it is for the built-in devices on engine native" in capsys.readouterr().err


@pytest.mark.slow
def test_the_hardware_and_the_golden_model_do_the_same() -> None:
    patterns = ["core-*", "entropy-*"]
    found = [outcomes(engine, "rng", patterns) for engine in ("native", "model")]
    assert outcome_differences(*found) == []


@pytest.mark.campaign
@pytest.mark.parametrize("function", BOTH)
def test_the_hardware_and_the_golden_model_do_the_same_in_all_checks(function: str) -> None:
    assert outcome_differences(*(outcomes(engine, function, []) for engine in ("native", "model"))) == []
