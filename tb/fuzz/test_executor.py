"""Cases run on devices that other tests build."""

import pytest

from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.executor import Executor
from ringwalker_sim.fuzz.operations import Recovery, expect_memory, read, wait
from ringwalker_sim.fuzz.spaces import Space
from ringwalker_sim.fuzz.target import target

pytestmark = pytest.mark.slow

KEY = "blk:split:transitional"


def test_every_set_up_and_reset_leads_to_good_requests():
    with Executor(KEY) as executor:
        cases = [Case(KEY, name, (wait(20),), kind) for name in target(KEY).setups for kind in Recovery]
        outcomes = executor.run_batch(cases)
        assert [outcome.findings for outcome in outcomes] == [()] * len(cases)
        assert all(100 < outcome.cycles < 3000 for outcome in outcomes)


def test_what_is_expected_in_vain_is_found_where_it_was_expected():
    case = Case(KEY, "msix", (wait(5), expect_memory(0x2_0000, 2, 7, 50), read(Space.COMMON, 0x14, 1)))
    with Executor(KEY) as executor:
        (finding,) = executor.run(case).findings
        assert (finding.rule, finding.operation) == ("expected", 1)
        # The next case begins with a device like new.
        assert executor.run(Case(KEY, "intx", (wait(5),))).findings == ()


def test_a_queue_that_a_legacy_driver_frees_is_not_looked_at_any_more():
    """It was found by a campaign: the look for a notification read used_event of an empty row, at 0x44."""
    lines = """device blk:split:legacy
        setup intx+indirect+event
        recovery status
        descriptor 0x4050 0x36ffd 12 NEXT 6
        descriptor 0x4060 0x3624c 4 NEXT 7
        descriptor 0x4070 0x36250 4096 NEXT 8
        memory 0x4208 2 0x5
        memory 0x4202 2 0x4
        notify 0
        write legacy.queue_pfn 4 0x0"""
    with Executor("blk:split:legacy") as executor:
        assert executor.run(Case.parse(lines)).findings == ()


def test_features_that_a_legacy_driver_changes_on_the_way_are_not_judged():
    """The table is one for the device, which goes by the new features, and was none when the queue began."""
    lines = """device blk:split:legacy
        setup intx
        recovery status
        write legacy.driver_features 4 0xffffffff
        descriptor 0x7b020 0x7af0c 9 NEXT 1
        descriptor 0x8060 0x7b020 48 INDIRECT 0
        memory 0x820a 2 0x6
        memory 0x8202 2 0x5
        notify 1
        settle 800"""
    with Executor("blk:split:legacy") as executor:
        assert executor.run(Case.parse(lines)).findings == ()
