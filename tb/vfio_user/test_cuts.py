"""Random cuts of a served disk under load: :mod:`ringwalker_sim.testing.cuts`, as a process."""

import json
import subprocess
import sys

import pytest

from ringwalker_sim.testing.cuts import KINDS


@pytest.mark.parametrize(
    "cuts", [8, pytest.param(20, marks=pytest.mark.slow), pytest.param(500, marks=pytest.mark.campaign)]
)
def test_no_cut_hangs_or_loses_what_was_acknowledged(cuts: int) -> None:
    command = [sys.executable, "-m", "ringwalker_sim.testing.cuts", "--cuts", str(cuts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts[kind] for kind in KINDS) == cuts, "each kind of cut is among them"
    assert counts["requests"] > 10 * cuts
    assert counts["refused"] > 0
