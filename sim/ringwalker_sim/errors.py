"""The base of all errors that a person can cause, those that several parts share, and the exit codes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringwalker.errors import RingwalkerError
from ringwalker.outputs import OutputError

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "DataError",
    "OutputError",
    "ParameterError",
    "RingwalkerError",
    "exit_code_of",
    "named_in_errors",
    "noted",
]

EXIT_FAILED = 1
"""Something was done and is wrong: data that differs, a request that failed, a device that broke a rule."""

EXIT_USAGE = 2
"""It could not be begun (a bad option, configuration or image), or an output could not be written."""

EXIT_INTERRUPTED = 130
"""Ctrl-C, or a signal that asks the process to end."""


class ParameterError(RingwalkerError, ValueError):
    """A value that a parameter cannot have; the message names both and says what would do."""


class DataError(RingwalkerError):
    """Data came back that is not what was written; the message says where."""

    exit_code = EXIT_FAILED


def exit_code_of(work: Callable[[], int]) -> int:
    """The exit code of a program whose result is ``work()``: an error, and Ctrl-C, is a line and a code."""
    try:
        return work()
    except RingwalkerError as error:
        print(f"ringwalker: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ringwalker: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


@contextmanager
def noted(unwritten: list[str]) -> Iterator[None]:
    """An ``OutputError`` ends the block and is added to ``unwritten``, no more: what was measured is still
    shown, and other outputs are still written.
    """
    try:
        yield
    except OutputError as error:
        unwritten.append(str(error))


@contextmanager
def named_in_errors(name: str | Path) -> Iterator[None]:
    """What the operating system refuses inside the block is about the file ``name``, if it does not say of
    which: a read of a file that is open does not.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(name)
        raise
