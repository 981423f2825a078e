"""The checks on two devices: what is compared."""

from dataclasses import replace

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.conform.facing import outcome_differences
from ringwalker_sim.conform.suite import FAILED, Outcome, select
from ringwalker_sim.conform.targets.local import open_local
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.testing.devices import TRANSITIONAL

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
    one = outcomes("model", "rng", ["reset_clears_status"])[0]
    other = replace(one, verdict=FAILED, text="it is broken")
    assert outcome_differences([one], [other]) == [f"{one.id}: passed, and failed: it is broken"]
    assert outcome_differences([one], []) == []


def test_sources_of_interrupts_are_compared() -> None:
    (one,) = outcomes("model", "rng", ["notified_when_wanted"])[:1]
    assert one.sources
    lines = outcome_differences([one], [replace(one, sources=frozenset((-1,)))])
    assert lines == [f"{one.id}: interrupts by vector 1, and by INTA"]


def test_devices_of_others_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--against", "model", "--engine", "model"]) == 2
    assert "it is for the built-in devices on engine native" in capsys.readouterr().err
