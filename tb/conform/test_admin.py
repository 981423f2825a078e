"""Checks of administration queues: a reference device passes, and each faulty one is found."""

import pytest

from ringwalker.spec.admin import AdminOpcode
from ringwalker.spec.net import NetFeature
from ringwalker_sim.conform.check import Check, Way
from ringwalker_sim.conform.checks import (
    admin_capabilities,
    device_mode,
    device_parts,
    flow_filter,
    flow_steering,
    ipsec,
    resource_objects,
)
from ringwalker_sim.conform.media import model_medium
from ringwalker_sim.conform.subject import Timing
from ringwalker_sim.conform.suite import FAILED, PASSED, SKIPPED, Device, Outcome, all_checks, run_checks
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.conform.admin_faults import CAPABILITY_FAULTS, OBJECT_FAULTS
from ringwalker_sim.testing.conform.admin_port import AdminPort
from ringwalker_sim.testing.conform.fault import Fault
from ringwalker_sim.testing.conform.flow_faults import FLOW_FAULTS, IPSEC_FAULTS, STEERING_FAULTS
from ringwalker_sim.testing.conform.member_faults import MODE_FAULTS, PART_FAULTS

MODULES = (
    admin_capabilities,
    resource_objects,
    device_parts,
    device_mode,
    flow_filter,
    flow_steering,
    ipsec,
)
MINE = [item for module in MODULES for item in vars(module).values() if isinstance(item, Check)]
FAULTS = [
    *CAPABILITY_FAULTS,
    *OBJECT_FAULTS,
    *PART_FAULTS,
    *MODE_FAULTS,
    *FLOW_FAULTS,
    *STEERING_FAULTS,
    *IPSEC_FAULTS,
]


def outcomes(port: AdminPort, checks: list[Check], way: Way = Way.SPLIT) -> list[Outcome]:
    async def run() -> list[Outcome]:
        device = await Device.find(port, medium=model_medium(port), timing=Timing(patience=30_000))
        return await run_checks(device, checks, ways=(way,))

    return port.run(run())


def reference() -> AdminPort:
    return AdminPort(GuestMemory(16 << 20))


def test_the_reference_device_passes():
    found = outcomes(reference(), MINE)
    assert {item.id: item.text for item in found if item.verdict != PASSED} == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault):
    port = reference()
    fault.patch(port)
    (check,) = [item for item in all_checks() if item.name == fault.check]
    (found,) = outcomes(port, [check])
    assert (found.verdict, found.clause) == (FAILED, fault.clause), found.text


def test_every_check_finds_a_fault():
    assert {item.name for item in MINE} - {fault.check for fault in FAULTS} == set()


def test_a_device_without_the_commands_is_skipped():
    port = reference()
    for handlers in port.model.admin.handlers.values():
        for opcode in set(handlers) & set(AdminOpcode):
            del handlers[opcode]
    port.model.features &= ~(1 << NetFeature.IPSEC)
    found = outcomes(port, MINE)
    verdicts = {item.check.name: item.verdict for item in found}
    assert verdicts.pop("administration_queues_are_behind_the_others") == PASSED
    assert set(verdicts.values()) == {SKIPPED}
