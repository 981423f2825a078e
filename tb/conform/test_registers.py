"""Checks of registers, status, features, PCI, interrupts and the legacy face: each faulty device is found."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker_sim.conform.check import Check, Way
from ringwalker_sim.conform.checks import (
    access_window,
    common_config,
    device_config,
    device_status,
    failures,
    features,
    intx,
    legacy_face,
    msix,
    pci_function,
    queue_reset,
    suspension,
    virtio_capabilities,
)
from ringwalker_sim.conform.subject import Timing
from ringwalker_sim.conform.suite import FAILED, Outcome, all_checks
from ringwalker_sim.conform.targets.local import open_local
from ringwalker_sim.testing.conform.fault import Fault
from ringwalker_sim.testing.conform.interrupt_faults import INTERRUPT_FAULTS
from ringwalker_sim.testing.conform.pci_faults import (
    CAPABILITY_FAULTS,
    FUNCTION_FAULTS,
    TRANSITIONAL_FAULTS,
)
from ringwalker_sim.testing.conform.queue_faults import (
    LEGACY_FAULTS,
    LEGACY_NET_FAULTS,
    QUEUE_NET_FAULTS,
    RESET_FAULTS,
    SUSPEND_FAULTS,
)
from ringwalker_sim.testing.conform.register_faults import (
    CONFIG_FAULTS,
    FEATURE_FAULTS,
    NET_FAULTS,
    QUEUE_FAULTS,
    STATUS_FAULTS,
)

MODULES = (
    pci_function,
    virtio_capabilities,
    access_window,
    device_status,
    features,
    common_config,
    device_config,
    msix,
    intx,
    queue_reset,
    suspension,
    failures,
    legacy_face,
)
MINE = [item for module in MODULES for item in vars(module).values() if isinstance(item, Check)]
DEVICES = {
    "blk": (
        *FUNCTION_FAULTS,
        *TRANSITIONAL_FAULTS,
        *CAPABILITY_FAULTS,
        *STATUS_FAULTS,
        *FEATURE_FAULTS,
        *QUEUE_FAULTS,
        *CONFIG_FAULTS,
        *INTERRUPT_FAULTS,
        *RESET_FAULTS,
        *SUSPEND_FAULTS,
        *LEGACY_FAULTS,
    ),
    "net": (*NET_FAULTS, *QUEUE_NET_FAULTS, *LEGACY_NET_FAULTS),
}
FAULTS = [pytest.param(name, fault, id=fault.name) for name, faults in DEVICES.items() for fault in faults]


def outcomes(config: DeviceConfig, checks: list[Check], patch: Any = None) -> list[Outcome]:
    """Run checks on the model of a device, which ``patch(port)`` makes a faulty one."""
    with open_local("model", config) as target:
        if patch is not None:
            patch(target.port)
        target.timing = Timing(patience=30_000)
        return target.run(checks)


def device(name: str, face: str = "modern") -> DeviceConfig:
    return DeviceConfig(
        function=name, face=face, ring="both", suspend=True, identity=Identity("oasis"), data_width=64
    )


@pytest.mark.parametrize(
    ("name", "face"), [("blk", "transitional"), ("net", "modern"), ("console", "modern"), ("rng", "modern")]
)
def test_the_model_passes(name: str, face: str):
    found = outcomes(device(name, face), MINE)
    assert {item.id: item.text for item in found if item.verdict == FAILED} == {}


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_is_found(name: str, fault: Fault):
    (check,) = [item for item in all_checks() if item.name == fault.check]
    legacy = check.ways == (Way.LEGACY,)
    found = outcomes(device(name, "transitional" if legacy else "modern"), [check], fault.patch)
    failed = [item for item in found if item.verdict == FAILED]
    assert [item.clause for item in failed[:1]] == [fault.clause], [item.text for item in found]


def test_every_check_finds_a_fault():
    found = {fault.check for faults in DEVICES.values() for fault in faults}
    assert {item.name for item in MINE} - found == set()
