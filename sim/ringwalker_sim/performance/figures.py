"""Reads figures that were written as JSON: by this version, by an earlier one, or by something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RingwalkerError

__all__ = ["FiguresError", "read_all_figures", "read_figures"]

_NOT_THEIRS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What code that works with figures raises for something else, whatever it is."""


class FiguresError(RingwalkerError, ValueError):
    """A file that does not have the figures that it must have; the message names it."""


def read_figures(
    path: str | Path, key: str, command: str, uses: Callable[[list[dict[str, Any]]], object]
) -> list[dict[str, Any]]:
    """The figures under ``key`` of a file that ``command`` has written with ``--json`` or ``--docs``.

    ``uses(figures)`` does all that is going to be done with them. Errors: :class:`FiguresError`, also for a
    file that cannot be read and for one without any figures.
    """
    try:
        figures = json.loads(Path(path).read_text())[key]
        uses(figures)
    except OSError as error:
        raise FiguresError(f"{path}: {error.strerror}") from None
    except _NOT_THEIRS:
        raise FiguresError(f"{path}: is not what 'ringwalker {command}' has written") from None
    if not isinstance(figures, list) or not figures:
        raise FiguresError(f"{path}: there are no figures in it")
    return figures


def read_all_figures(path: str | Path, key: str, command: str) -> dict[str, Any]:
    """All that ``command`` has written to a file for a page of its own; ``key`` is always there.

    Errors: :class:`FiguresError`.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FiguresError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise FiguresError(f"{path}: is no JSON: {error}") from None
    if not isinstance(content, dict) or key not in content:
        raise FiguresError(f"{path}: has no figures of {command} --docs")
    return content
