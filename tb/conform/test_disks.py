"""Checks of block devices: the golden model and reference disks pass, and each faulty one is found."""

import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.blk import BlkFeature
from ringwalker_sim.conform.check import Check, Way
from ringwalker_sim.conform.checks import (
    blk_config,
    blk_data,
    blk_ranges,
    blk_requests,
    blk_zone_states,
    blk_zones,
)
from ringwalker_sim.conform.subject import Timing
from ringwalker_sim.conform.suite import FAILED, PASSED, Device, Outcome, all_checks
from ringwalker_sim.conform.targets.local import disk_of
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.conform.disk_faults import DISK_FAULTS, RANGE_FAULTS
from ringwalker_sim.testing.conform.disk_medium import ReferenceMedium
from ringwalker_sim.testing.conform.fault import Fault
from ringwalker_sim.testing.conform.zone_faults import ZONE_FAULTS

MODULES = (blk_config, blk_data, blk_ranges, blk_requests, blk_zone_states, blk_zones)
MINE = [item for module in MODULES for item in vars(module).values() if isinstance(item, Check)]
QUICK = Timing(patience=20_000, quiet=1_000)
FOLDER = "ringwalker_sim.testing.conform"
MORE, ZONES, AWARE = (
    f"{FOLDER}.{name}"
    for name in ("reference_blk:KIND", "reference_zones:KIND", "reference_zones:HOST_AWARE")
)


def open_port(function: str) -> ModelPort:
    face = "modern" if "zones" in function else "transitional"
    identity = Identity(preset="oasis", revision=0)
    config = DeviceConfig(function=function, face=face, ring="both", identity=identity, data_width=64)
    port = ModelPort(config, GuestMemory(4 << 20), disk_of(config))
    port.disk = port.model.disk
    return port


def run(port: ModelPort, checks: list[Check], ways: tuple[Way, ...]) -> list[Outcome]:
    async def all_of_them() -> list[Outcome]:
        device = await Device.find(port, medium=ReferenceMedium(port), timing=QUICK)
        return [
            await device.run(check, way)
            for check in checks
            for way in check.ways
            if way in ways and way in device.ways
        ]

    return port.run(all_of_them())


def test_disks_pass():
    passed = set()
    for function in ("blk", MORE, ZONES, AWARE):
        found = run(open_port(function), MINE, tuple(Way))
        assert {item.id: item.text for item in found if item.verdict == FAILED} == {}, function
        passed |= {item.check.name for item in found if item.verdict == PASSED}
    for feature in (BlkFeature.RO, BlkFeature.FLUSH):
        port = open_port("blk")
        port.model.features ^= 1 << feature
        port.disk.read_only = feature == BlkFeature.RO
        checks = [blk_requests.writes_to_read_only_disk, blk_requests.writes_without_flush_at_all]
        found = run(port, checks, tuple(Way))
        assert {item.id: item.text for item in found if item.verdict == FAILED} == {}
        passed |= {item.check.name for item in found if item.verdict == PASSED}
    assert {item.name for item in MINE} == passed


FAULTS = [("blk", DISK_FAULTS), (MORE, RANGE_FAULTS), (ZONES, ZONE_FAULTS)]


@pytest.mark.parametrize(
    ("function", "fault"),
    [pytest.param(function, fault, id=fault.name) for function, faults in FAULTS for fault in faults],
)
def test_a_fault_is_found(function: str, fault: Fault):
    port = open_port(function)
    fault.patch(port)
    (check,) = [item for item in all_checks() if item.name == fault.check]
    (found,) = run(port, [check], (fault.way,))
    assert (found.verdict, found.clause) == (FAILED, fault.clause), found.text


def test_every_check_finds_a_fault():
    found = {fault.check for _function, faults in FAULTS for fault in faults}
    assert {item.name for item in MINE} - found == set()
