"""What all tests share: fixed seeds, a cache in the checkout, and the same current folder for all."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from ringwalker_sim.testing import SIMULATOR

ROOT = Path(__file__).resolve().parents[1]
SEED = int(os.environ.get("RINGWALKER_SEED", "1"))

os.environ.setdefault("RINGWALKER_CACHE", str(ROOT / ".cache"))
if "RINGWALKER_SEED" in os.environ:
    os.environ.setdefault("COCOTB_RANDOM_SEED", str(SEED))
# What a random test does must not depend on the run: "ci" derives its examples from the test alone.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> str:
    """The seed, so that a run can be repeated."""
    return f"ringwalker: RINGWALKER_SEED={SEED}, cache {os.environ['RINGWALKER_CACHE']}"


@pytest.fixture(autouse=True)
def _reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random numbers and the same folder for every test, wherever pytest was started."""
    random.seed(SEED)
    np.random.seed(SEED)
    monkeypatch.chdir(ROOT)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a bench once more, as a slow test, with the simulator that is not the usual one."""
    if "run_bench" in metafunc.function.__code__.co_names and "_simulator" in metafunc.fixturenames:
        usual = pytest.param("", id=pytest.HIDDEN_PARAM)
        other = pytest.param("other", marks=pytest.mark.slow)
        metafunc.parametrize("_simulator", [usual, other], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test with several parameters, the first ones are enough for the other simulator."""
    seen = set()
    kept = []
    for item in items:
        call = getattr(item, "callspec", None)
        parameters = call.params if call else {}
        if parameters.get("_simulator") == "other":
            function = item.nodeid.partition("[")[0]
            if function in seen:
                continue
            seen.add(function)
        kept.append(item)
    items[:] = kept


@pytest.fixture(autouse=True)
def _simulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if getattr(request, "param", ""):
        monkeypatch.setenv(SIMULATOR, request.param)
