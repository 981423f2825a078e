"""Checks of rings: the golden model and reference disks pass, and each faulty one is found."""

from collections.abc import Callable
from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.features import Feature
from ringwalker_sim.conform.check import Check, Way
from ringwalker_sim.conform.checks import (
    ring_events,
    ring_framing,
    ring_indirect,
    ring_mixture,
    ring_notify,
    ring_order,
    ring_sizes,
)
from ringwalker_sim.conform.rings.split_queue import SplitQueue
from ringwalker_sim.conform.subject import Timing
from ringwalker_sim.conform.suite import FAILED, PASSED, SKIPPED, Device, Outcome, all_checks, run_checks
from ringwalker_sim.conform.targets.local import disk_of, medium_of
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.conform.chain_faults import CHAIN_FAULTS
from ringwalker_sim.testing.conform.fault import Fault, around
from ringwalker_sim.testing.conform.ring_faults import RING_FAULTS
from ringwalker_sim.testing.conform.ring_patch import rings

MODULES = (ring_events, ring_framing, ring_indirect, ring_mixture, ring_notify, ring_order, ring_sizes)
MINE = [item for module in MODULES for item in vars(module).values() if isinstance(item, Check)]
REFERENCE = "ringwalker_sim.testing.conform.reference_blk:KIND"
QUICK = Timing(patience=20_000, quiet=1_000, long=0)
"""For a device that answers within some hundred cycles, and without the checks of 65,536 buffers."""

FAULTS = [*RING_FAULTS, *CHAIN_FAULTS]
LONG = "indices_wrap"
START = 65_000


def open_port(function: str, face: str = "transitional") -> ModelPort:
    identity = Identity(preset="oasis", revision=0)
    config = DeviceConfig(function=function, face=face, ring="both", identity=identity, data_width=64)
    return ModelPort(config, GuestMemory(4 << 20), disk_of(config))


def outcomes(
    port: ModelPort, checks: list[Check], ways: tuple[Way, ...] = tuple(Way), timing: Timing = QUICK
) -> list[Outcome]:
    async def run() -> list[Outcome]:
        device = await Device.find(port, medium=medium_of(port), timing=timing)
        return await run_checks(device, checks, ways=ways)

    return port.run(run())


def one_outcome(port: ModelPort, check: Check, way: Way) -> Outcome:
    async def run() -> Outcome:
        device = await Device.find(port, medium=medium_of(port), timing=QUICK)
        return await device.run(check, way)

    return port.run(run())


@pytest.mark.parametrize("function", [REFERENCE, pytest.param("rng", marks=pytest.mark.slow)])
def test_devices_pass(function: str):
    port = open_port(function)
    port.model.features |= 1 << Feature.NOTIFICATION_DATA | 1 << Feature.NOTIF_CONFIG_DATA
    found = outcomes(port, [item for item in MINE if item.name != LONG])
    assert {item.id: item.text for item in found if item.verdict == FAILED} == {}
    skipped = {item.check.name for item in found if item.verdict == SKIPPED}
    assert skipped <= ({"many_queues"} if function == "rng" else set())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault):
    port = open_port(REFERENCE)
    fault.patch(port)
    (check,) = [item for item in all_checks() if item.name == fault.check]
    found = one_outcome(port, check, fault.way)
    assert (found.verdict, found.clause) == (FAILED, fault.clause), found.text


def test_every_check_finds_a_fault():
    assert {item.name for item in MINE} - {fault.check for fault in FAULTS} == {LONG}


def test_a_failure_of_a_mixture_is_shrunk():
    port = open_port(REFERENCE)
    (fault,) = [item for item in FAULTS if item.name == "a lost buffer"]
    fault.patch(port)
    (found,) = outcomes(port, [ring_mixture.mixture], (Way.PACKED,))
    assert found.steps is not None
    assert [step[0] for step in found.steps] == ["offer"]


def begin_before_the_wrap(port: ModelPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split rings begin some hundred buffers before their indices wrap, for device and driver."""
    reset = SplitQueue.reset

    def reset_near(queue: SplitQueue) -> None:
        reset(queue)
        queue.avail_idx = queue.last_used = START
        queue.avail[0]["idx"] = queue.used[0]["idx"] = START

    def begin(_port: ModelPort, ring: Any) -> None:
        ring.last_avail = ring.used = ring._before = START

    monkeypatch.setattr(SplitQueue, "reset", reset_near)
    rings(begin)(port)


def wraps_early(port: ModelPort) -> None:
    port.rings.written_index = lambda index: 0 if index == 0xFFFF else index


def forgets_events(_port: ModelPort, ring: Any) -> None:
    def wants(method: Callable[[], bool]) -> bool:
        return method() and ring._before < ring.used

    around(ring, "wants_interrupt", wants)


def nothing_wrong(_port: ModelPort) -> None:
    pass


@pytest.mark.parametrize(
    ("patch", "clause"),
    [(nothing_wrong, ""), (wraps_early, "core-10.01"), (rings(forgets_events), "core-09.05")],
    ids=["no fault", "an index that wraps early", "an event lost at the wrap of the index"],
)
def test_indices_that_wrap(patch: Callable[[ModelPort], None], clause: str, monkeypatch: pytest.MonkeyPatch):
    port = open_port("rng")
    begin_before_the_wrap(port, monkeypatch)
    patch(port)
    timing = Timing(patience=20_000, quiet=1_000, long=100)
    (found,) = outcomes(port, [ring_sizes.indices_wrap], (Way.SPLIT,), timing)
    assert (found.verdict, found.clause) == (FAILED if clause else PASSED, clause), found.text
