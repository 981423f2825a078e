"""Makes the steps of a random check that fails as few as are found to be enough."""

from collections.abc import Generator
from typing import Any

__all__ = ["Shrinking", "resumed", "shrinking"]

_MOST_TRIES = 200

Shrinking = Generator[list[Any], bool, None]
"""Yields steps to try, and is sent whether they fail in the same way."""


def shrinking(steps: list[Any]) -> Shrinking:
    """Try ``steps`` without some of them: half, a quarter and so on down to single ones.

    Every list that fails becomes the one from which more is taken away; the last of them is the result.
    """
    best = steps
    size, tries = max(1, len(best) // 2), 0
    while tries < _MOST_TRIES:
        at, smaller = 0, False
        while at < len(best) and tries < _MOST_TRIES:
            tries += 1
            attempt = best[:at] + best[at + size :]
            if (yield attempt):
                best, smaller = attempt, True
            else:
                at += size
        if size == 1 and not smaller:
            return
        size = max(1, size // 2)


def resumed(attempts: Shrinking, fails: bool) -> list[Any] | None:
    """The next steps to try, None when there are none."""
    try:
        return attempts.send(fails)
    except StopIteration:
        return None
