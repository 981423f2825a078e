"""The long load that coverage is counted with: what it is made of, and that a device carries it."""

import pytest

from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.executor import Executor
from ringwalker_sim.fuzz.load import stretches
from ringwalker_sim.fuzz.operations import Kind

KEY = "rng:packed:modern"
SHORT = 4


@pytest.mark.parametrize("key", ["blk:packed:transitional:counted", "net:split:legacy:counted"])
def test_a_load_is_cases_that_follow_from_its_seed(key: str) -> None:
    made = list(stretches(key, 1, SHORT))
    assert len(made) == SHORT + 1
    assert made == list(stretches(key, 1, SHORT))
    assert made != list(stretches(key, 2, SHORT))
    case, chains = made[0]
    assert Case.parse(case.text()) == case
    assert chains > 0


def test_indices_of_split_rings_wrap() -> None:
    case, chains = next(stretches("rng:split:legacy:counted", 1, 0))
    notices = sum(operation.kind is Kind.NOTIFY for operation in case.operations)
    assert chains > 1 << 16 < notices * 64


def test_a_device_carries_a_load_and_is_well_in_the_end() -> None:
    cases = [case for case, _chains in stretches(KEY, 1, SHORT)]
    with Executor(KEY) as executor:
        assert [executor.run(case).findings for case in cases] == [()] * len(cases)
        # Behind a reset it is not.
        first, *_others, last = cases[0].operations
        found = executor.run(cases[0].with_operations([first, last])).findings
        assert [item.rule for item in found] == ["expected"]
