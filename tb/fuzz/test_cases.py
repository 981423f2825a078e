"""20,000 hostile cases break no rule, on two models that other tests build as well: 25 seconds."""

import pytest

from ringwalker_sim.fuzz.batch import FAST, run_batch

CASES = {"rng:packed:modern": 14_000, "rng:split:modern": 3_000, "blk:split:modern": 3_000}
SEED = 20


@pytest.mark.parametrize(("device", "count"), CASES.items())
def test_no_rule_is_broken(device: str, count: int) -> None:
    result = run_batch(lambda _text: None, device, SEED, 0, count, [], FAST)
    assert result["cases"] == count
    for finding in result["findings"]:
        text = "\n".join(finding["cases"])
        pytest.fail(f"case {finding['number']}: {finding['rule']}: {finding['text']}\n{text}")
