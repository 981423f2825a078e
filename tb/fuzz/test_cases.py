"""20,000 hostile cases break no rule, on devices that other tests build as well: a minute, once they are."""

import pytest

from ringwalker_sim.fuzz.batch import FAST, run_batch

DEVICES = (
    *("blk:split:modern", "net:split:modern", "console:split:modern", "console:packed:modern"),
    *("rng:split:modern", "rng:packed:modern"),
)
CASES = 20_000
SEED = 20


@pytest.mark.campaign
@pytest.mark.parametrize("device", DEVICES)
def test_no_rule_is_broken(device: str) -> None:
    count = -(-CASES // len(DEVICES))
    result = run_batch(lambda _text: None, device, SEED, 0, count, [], FAST)
    assert result["cases"] == count
    for finding in result["findings"]:
        text = "\n".join(finding["cases"])
        pytest.fail(f"case {finding['number']}: {finding['rule']}: {finding['text']}\n{text}")
