"""The simulation's half of a function is found through its kind, and what is missing is said in one line."""

import argparse
import sys
from pathlib import Path

import pytest

from ringwalker.checks import ConfigError
from ringwalker.config import DeviceConfig
from ringwalker_sim.cli.main import main
from ringwalker_sim.function.simulation import (
    FunctionError,
    FunctionSimulation,
    built_in_functions,
    device_type_of,
    simulation_of,
)
from ringwalker_sim.golden.build import model_of
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory

KIND = """
from ringwalker.function.kind import FunctionKind
from ringwalker_sim.function.simulation import FunctionSimulation

def component(config):
    raise NotImplementedError

KIND = FunctionKind(name="own", device_type=42, component=component, simulation={simulation!r})
HALF = FunctionSimulation(driver=print)
WRONG = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a function whose record of the simulation is at the place that the test gives."""
    (tmp_path / "own_function.py").write_text(KIND.format(simulation=request.param))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_function", raising=False)
    return "own_function:KIND"


@pytest.mark.parametrize("function", built_in_functions())
def test_our_functions_have_every_part(function: str) -> None:
    half = simulation_of(function)
    assert half.model is not None
    assert half.linux_module == f"virtio_{function}"
    assert half.run is not None
    assert (half.open_disk is not None) == (function == "blk")
    config = DeviceConfig(function=function)
    model = model_of(config, SoftwarePort(GuestMemory(1 << 16)).schedule)
    assert model.device_type == device_type_of(function)
    assert (model.queue_count, model.queue_size) == (config.queues, config.queue_size)


@pytest.mark.parametrize("own", ["own_function:HALF"], indirect=True)
def test_a_function_of_somebody_else_is_found(own: str) -> None:
    half = simulation_of(own)
    assert isinstance(half, FunctionSimulation)
    assert half.run is None
    assert device_type_of(own) == 42


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (None, r"own_function:KIND has no simulation: its FunctionKind needs simulation="),
        ("own_function:MISSING", r"its simulation own_function:MISSING cannot be had: .*MISSING"),
        ("no_such_module:HALF", r"its simulation no_such_module:HALF cannot be had: No module named"),
        ("own_function:WRONG", r"own_function:WRONG is not a FunctionSimulation"),
    ],
    indirect=["own"],
)
def test_what_is_missing_is_said(own: str, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        simulation_of(own)


def test_a_function_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="function is 'tape'"):
        simulation_of("tape")


@pytest.mark.parametrize("words", [["run", "--function"], ["run"]])
@pytest.mark.parametrize("own", ["own_function:HALF"], indirect=True)
def test_a_function_without_a_run_cannot_be_run(
    own: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, own]) == 2
    assert capsys.readouterr().err == (
        "ringwalker: function own_function:KIND cannot be run: its FunctionSimulation has no "
        "run=RunCommand(...)\n"
    )


def test_records_of_our_functions_add_their_options_to_any_parser() -> None:
    for function in built_in_functions():
        command = simulation_of(function).run
        assert command is not None
        parser = argparse.ArgumentParser()
        command.add_options(parser)
        assert parser.parse_args([])
