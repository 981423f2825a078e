"""Which model an engine gets."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.cli.main import main
from ringwalker_sim.engine.native import models
from ringwalker_sim.engine.native.changes import NotUnderstood, library
from ringwalker_sim.engine.native.engine import ProtocolError
from ringwalker_sim.engine.native.exercise import DeviceExercise
from ringwalker_sim.guest.errors import RequestTimeout

PLAIN, CHUNKED = Path("plain"), Path("chunked")


@pytest.fixture
def built(monkeypatch):
    """What was asked to be built, and whether a change-driven model can be."""
    state = SimpleNamespace(asked=[], quick=[], reason=None)

    def change_driven(*_arguments, **_options) -> Path:
        state.asked.append(CHUNKED)
        if state.reason:
            raise NotUnderstood(state.reason)
        return CHUNKED

    def plain(*_arguments, quick: bool, **_options) -> Path:
        state.asked.append(PLAIN)
        state.quick.append(quick)
        return PLAIN

    monkeypatch.setattr(library, "change_driven_library", change_driven)
    monkeypatch.setattr(models, "build_library", plain)
    return state


def chosen(plain=False, waves=False) -> Path:
    return models.model_library(
        DeviceConfig(), "", [], plain=plain, waves=waves, sanitize=False, progress=None
    )


def test_it_is_change_driven_unless_it_is_to_be_plain_or_has_waves(built):
    assert chosen() == CHUNKED
    assert chosen(plain=True) == chosen(waves=True) == PLAIN
    assert built.asked == [CHUNKED, PLAIN, PLAIN]


def test_it_is_plain_when_the_code_is_not_understood_and_a_line_says_so(built, capsys):
    built.reason = "the function VL_NEW"
    assert chosen() == PLAIN
    error = capsys.readouterr().err
    assert "the plain model is used" in error
    assert "the function VL_NEW" in error
    assert error.count("\n") == 1


def test_the_environment_and_the_option_ask_for_plain_models(monkeypatch):
    monkeypatch.delenv(models.MODEL_VARIABLE, raising=False)
    assert not models.plain_by_default()
    with pytest.raises(SystemExit):
        main(["bench", "--plain-model", "--help"])
    assert models.plain_by_default()


def test_plain_models_are_compiled_fast_where_the_environment_says_so(built, monkeypatch):
    for value in ("quick", "plain", "changes"):
        monkeypatch.setenv(models.MODEL_VARIABLE, value)
        assert models.plain_by_default() == (value != "changes")
        assert chosen(plain=True) == PLAIN
    assert built.quick == [True, False, False]


@pytest.mark.parametrize("function", ["blk", "net", "console", "rng"])
def test_every_function_has_an_exercise(function):
    exercises = [
        DeviceExercise(DeviceConfig.from_dict({"function": function, "data_width": w})) for w in (64, 256)
    ]
    assert "OpenTask" not in exercises[0].key
    assert (
        exercises[0].key
        == DeviceExercise(DeviceConfig.from_dict({"function": function, "data_width": 64})).key
    )


class _Stub:
    """An engine's port in which a job ends as it is told to."""

    def __init__(self, error: Exception | None, violations: list[str]):
        self.engine = SimpleNamespace(violations=violations, library=None, handle=lambda: 0)
        self._error = error

    def run(self, coroutine) -> None:
        coroutine.close()
        if self._error:
            raise self._error


def _check(monkeypatch, error, violations):
    exercise = DeviceExercise(DeviceConfig.from_dict({"function": "rng", "data_width": 64}))
    stub = _Stub(error, violations)
    monkeypatch.setattr(exercise, "_engine", lambda *_arguments, **_options: nullcontext(stub))
    exercise.check(Path())


def test_a_model_that_differs_is_refused(monkeypatch):
    text = "cycle 7: the model's x is not what the plain model makes of it"
    with pytest.raises(NotUnderstood, match="cycle 7: the model's x"):
        _check(monkeypatch, ProtocolError(text), [text])


def test_a_device_that_fails_has_a_model_all_the_same(monkeypatch):
    _check(monkeypatch, RequestTimeout("nothing ended"), [])
    _check(monkeypatch, ProtocolError("valid was withdrawn"), ["valid was withdrawn"])
    _check(monkeypatch, None, [])
