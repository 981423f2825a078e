"""What all tests share: fixed seeds, a cache in the checkout, and the same current folder for all."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

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
