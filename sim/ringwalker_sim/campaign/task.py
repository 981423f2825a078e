"""What a task is, what came of it, and how it is carried out wherever it is."""

import importlib
import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import EXIT_FAILED, ParameterError, RingwalkerError

__all__ = ["Call", "Result", "Say", "Task", "TaskError", "carry_out"]

Say = Callable[[str], None]
"""Shows a line of text about what is being done."""


class TaskError(RingwalkerError):
    """A task failed: the message begins with its key. ``trace`` is the traceback of what nobody expected."""

    def __init__(self, result: "Result"):
        super().__init__(f"{result.key}: {result.error}")
        self.exit_code = result.exit_code
        self.trace = result.trace


@dataclass(frozen=True)
class Call:
    """A call of ``function``, ``"package.module:name"``, which every machine can import: ``function(say,
    **arguments)``.

    The arguments, and what the function returns, are what JSON can hold. ``say`` is a :data:`Say`. The
    function is called in any thread, and again after a process has died in the middle of it.
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """All of it as text, the same for like calls."""
        return json.dumps([self.function, self.arguments], sort_keys=True)

    def find(self) -> Callable[..., Any]:
        """The function. Errors: :class:`ParameterError` when there is none of this name."""
        module, _colon, name = self.function.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ParameterError(f"{self.function}: cannot be imported: {error}") from None


@dataclass(frozen=True)
class Task(Call):
    """A call with a ``key``, which no other task of the campaign has.

    ``prepare`` are calls that are made once on each machine before a task there needs them; like calls of
    several tasks are made once for all.
    """

    key: str = ""
    prepare: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Result:
    """What came of the task ``key``: ``value``, or what went wrong.

    ``error`` is empty where nothing did; ``exit_code`` is what a command ends with, ``trace`` a traceback of
    what nobody expected. ``kills``: the processes that had the task died. ``seconds`` on the clock and the
    host ``where`` are those of the run that gave it.
    """

    key: str
    value: Any = None
    error: str = ""
    exit_code: int = 0
    trace: str = ""
    kills: bool = False
    seconds: float = 0.0
    where: str = ""


def carry_out(call: Call, say: Say) -> dict[str, Any]:
    """Make a call: fields of :class:`Result`, as JSON can hold them. Of exceptions only what is no
    :class:`Exception` passes."""
    began = time.perf_counter()
    found = _carried_out(call, say)
    return {**found, "seconds": round(time.perf_counter() - began, 6)}


def _carried_out(call: Call, say: Say) -> dict[str, Any]:
    try:
        value = call.find()(say, **call.arguments)
        json.dumps(value)
        return {"value": value}
    except RingwalkerError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return {"error": text, "exit_code": EXIT_FAILED, "trace": traceback.format_exc()}
