"""Checks of network, console and entropy devices: those in Python pass, and each faulty one is found."""

from collections.abc import Iterator
from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker_sim.conform.check import Check, Way
from ringwalker_sim.conform.checks import (
    console,
    entropy,
    net_config,
    net_filter,
    net_mixture,
    net_parameters,
    net_receive,
    net_steering,
    net_transmit,
)
from ringwalker_sim.conform.media import model_medium
from ringwalker_sim.conform.subject import Timing
from ringwalker_sim.conform.suite import FAILED, PASSED, Device, Outcome, run_checks
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.conform import reference_console, reference_net
from ringwalker_sim.testing.conform.fault import Fault
from ringwalker_sim.testing.conform.net_command_faults import PARAMETER_FAULTS, STEERING_FAULTS
from ringwalker_sim.testing.conform.net_faults import CONFIG_FAULTS, RECEIVE_FAULTS, TRANSMIT_FAULTS
from ringwalker_sim.testing.conform.net_filter_faults import FILTER_FAULTS
from ringwalker_sim.testing.conform.stream_faults import CONSOLE_FAULTS, ENTROPY_FAULTS

REFERENCE_NET = f"{reference_net.__name__}:KIND"
REFERENCE_CONSOLE = f"{reference_console.__name__}:KIND"

NET = (net_config, net_transmit, net_receive, net_filter, net_steering, net_parameters, net_mixture)
CHECKS: dict[str, list[Check]] = {
    function: [item for module in modules for item in vars(module).values() if isinstance(item, Check)]
    for function, modules in (
        ("net", NET),
        (REFERENCE_NET, NET),
        ("console", (console,)),
        (REFERENCE_CONSOLE, (console,)),
        ("rng", (entropy,)),
    )
}
NET_FAULTS = [
    *CONFIG_FAULTS,
    *TRANSMIT_FAULTS,
    *RECEIVE_FAULTS,
    *FILTER_FAULTS,
    *STEERING_FAULTS,
    *PARAMETER_FAULTS,
]
FAULTS = [
    *((REFERENCE_NET, fault) for fault in NET_FAULTS),
    *((REFERENCE_CONSOLE, fault) for fault in CONSOLE_FAULTS),
    *(("rng", fault) for fault in ENTROPY_FAULTS),
]


def config(function: str) -> DeviceConfig:
    identity = Identity(preset="oasis", revision=0)
    return DeviceConfig(function=function, data_width=64, ring="both", face="transitional", identity=identity)


def outcomes(port: Any, checks: list[Check], ways: tuple[Way, ...] = tuple(Way)) -> list[Outcome]:
    async def run() -> list[Outcome]:
        device = await Device.find(port, medium=model_medium(port), timing=Timing(20_000, 2_500))
        return await run_checks(device, checks, ways=ways)

    return port.run(run())


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[Any]:
    with open_engine("model", config(request.param), GuestMemory(16 << 20)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("port", "function"),
    [(name, name) for name in CHECKS],
    ids=["net", "reference_net", "console", "reference_console", "rng"],
    indirect=["port"],
)
@pytest.mark.parametrize(
    "way", [Way.SPLIT, *(pytest.param(way, marks=pytest.mark.slow) for way in (Way.PACKED, Way.LEGACY))]
)
def test_a_device_in_python_passes(port: Any, function: str, way: Way):
    found = outcomes(port, [item for item in CHECKS[function] if way in item.ways], (way,))
    assert {item.id: item.text for item in found if item.verdict == FAILED} == {}
    if function not in ("net", "console"):
        assert {item.id: item.text for item in found if item.verdict != PASSED} == {}
    assert port.memory.allocated == 0


@pytest.mark.parametrize(
    ("port", "function", "fault"),
    [(function, function, fault) for function, fault in FAULTS],
    ids=[fault.name for _function, fault in FAULTS],
    indirect=["port"],
)
def test_a_fault_is_found(port: Any, function: str, fault: Fault):
    fault.patch(port)
    (check,) = [item for item in CHECKS[function] if item.name == fault.check]
    (found,) = outcomes(port, [check], check.ways[:1])
    assert (found.verdict, found.clause) == (FAILED, fault.clause), found.text


def test_every_check_finds_a_fault():
    mine = {item.name for checks in CHECKS.values() for item in checks}
    assert mine - {fault.check for _function, fault in FAULTS} == set()
