"""Rules that need no ring, each broken on a device whose host is not the one that it was told of."""

from dataclasses import replace

import pytest

from ringwalker.spec.modern import COMMON
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.fuzz import executor
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.executor import Executor
from ringwalker_sim.fuzz.operations import Operation, Recovery, read, reset, tlp, tlp_shape, wait
from ringwalker_sim.fuzz.spaces import Space
from ringwalker_sim.host import HostParameters

KEY = "rng:packed:modern"
QUIET = read(Space.COMMON, COMMON.device_status.offset, 1)
LONG_READ = Case.parse(f"""device {KEY}
    setup msix
    recovery function
    packed 0x4010 0x20000 4096 AVAIL|NEXT 1
    packed 0x4020 0x30000 64 WRITE|AVAIL 1
    notify 0
    wait 60""").operations


def found(*operations: Operation, host: HostParameters = executor.HOST) -> set[str]:
    """The rules that a case with these operations breaks, which follows one that breaks none."""
    with Executor(KEY, host=host) as device:
        assert device.run(Case(KEY, "msix", (QUIET,))).findings == ()
        outcome = device.run(Case(KEY, "msix", operations, Recovery.FUNCTION))
        return {finding.rule for finding in outcome.findings}


def test_a_read_beyond_what_the_host_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    host, control, operations = executor.HOST, executor._device_control, (*LONG_READ, wait(2000))
    small = replace(host, max_read_request=128)
    assert found(*operations) == found(*operations, host=small) == set()
    monkeypatch.setattr(executor, "_device_control", lambda _host: control(host))
    assert found(*operations, host=small) == {"link"}


def test_an_answer_that_the_host_does_not_wait_for() -> None:
    queued = [tlp(RequestKind.MEMORY_READ.value, Space.COMMON, 0, tlp_shape(14, 15, 15))] * 20
    assert found(*queued) == set()
    assert found(*queued, host=replace(executor.HOST, completion_timeout=16)) == {"answer"}


def test_a_case_that_does_not_end_in_time() -> None:
    assert found(wait(399_000)) == set()
    assert found(wait(401_000)) == {"time"}


def test_a_reset_that_waits_for_what_is_in_flight() -> None:
    assert found(*LONG_READ, reset(Recovery.STATUS, executor.RESET_CYCLES)) == set()
    assert found(*LONG_READ, reset(Recovery.STATUS, 0)) == {"reset"}
