"""Which simulator runs a bench."""

from unittest import SkipTest

import pytest

from ringwalker_sim.testing import SIMULATOR
from ringwalker_sim.testing.runner import _LARGE, _simulator


def test_the_other_simulator_of_a_large_design_is_icarus_up_to_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SIMULATOR, "other")
    assert _simulator(_LARGE) == "icarus"
    with pytest.raises(SkipTest, match=f"{_LARGE + 1} characters"):
        _simulator(_LARGE + 1)


def test_a_large_design_is_run_by_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SIMULATOR, raising=False)
    assert _simulator(_LARGE + 1) == "verilator"


def test_an_unknown_simulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIMULATOR, "spice")
    with pytest.raises(ValueError, match="'spice', but must be icarus, verilator or other"):
        _simulator(1)
