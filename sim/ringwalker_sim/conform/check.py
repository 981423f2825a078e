"""What a check is: a test of the suite, the clauses that it is about, and when it applies."""

import enum
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .clauses import clauses

if TYPE_CHECKING:
    from .subject import Subject

__all__ = ["ONCE", "RINGS", "WAYS", "Check", "Condition", "Nonconformance", "NotApplicable", "Way", "check"]


class Nonconformance(Exception):
    """The device does what it must not, or not what it must; ``clause`` is the id of what it breaks."""

    def __init__(self, clause: str, text: str):
        super().__init__(text)
        assert clause in clauses(), clause
        self.clause = clause


class NotApplicable(Exception):
    """The check does not apply to the device; the text says why."""


class Way(enum.StrEnum):
    """How the driver uses the device: by which face, with which format of rings."""

    SPLIT = "split"
    """Modern face, split rings."""
    PACKED = "packed"
    """Modern face, packed rings."""
    LEGACY = "legacy"
    """Legacy face; its rings are split."""


ONCE = (Way.SPLIT,)
"""For what has nothing to do with rings, and is of the modern face; a device without split rings is tested by
the other way. What is about split rings says so with a tuple of its own."""

RINGS = (Way.SPLIT, Way.PACKED)
"""For what both formats of rings have."""

WAYS = tuple(Way)
"""For what the legacy face has too."""

Condition = Callable[["Subject"], str | None]
"""Why a check does not apply to a device, or None if it does."""


@dataclass(frozen=True)
class Check:
    """A test of the suite.

    ``does`` says what it does, ``wrong`` what a device would do wrong. ``run(subject)`` passes by returning;
    it raises :class:`Nonconformance` or :class:`NotApplicable`. ``steps(random)``: the steps that a random
    check takes, which ``run(subject, steps)`` gets: any part of them is a valid test, so that a failure can
    be shrunk. ``once``: it has nothing to do with rings, and is of the modern face.
    """

    name: str
    clauses: tuple[str, ...]
    ways: tuple[Way, ...]
    needs: tuple[Condition, ...]
    does: str
    wrong: str
    run: Callable[..., Awaitable[None]]
    steps: Callable[[Any], list[Any]] | None = None
    once: bool = False


_registered: dict[str, Check] = {}
"""All checks of the modules that were imported, by name: no two have the same."""


def check(
    *about: str,
    ways: Sequence[Way] = ONCE,
    needs: Sequence[Condition] = (),
    steps: Callable[[Any], list[Any]] | None = None,
) -> Callable[[Callable[..., Awaitable[None]]], Check]:
    """Make a coroutine a check of the clauses ``about``.

    Its docstring has two paragraphs: what it does, and behind ``Wrong:`` what a faulty device would do.
    Errors: ``ValueError`` for a clause that there is not, a name that is taken or a docstring without them.
    """
    unknown = [clause for clause in about if clause not in clauses()]
    if unknown:
        raise ValueError(f"there is no clause {unknown[0]}")

    def register(function: Callable[..., Awaitable[None]]) -> Check:
        name = function.__name__
        does, _, wrong = (inspect.getdoc(function) or "").partition("\n\nWrong:")
        if not does or not wrong or name in _registered:
            raise ValueError(f"check {name} needs a name of its own and a docstring with 'Wrong:'")
        does, wrong = (" ".join(part.split()) for part in (does, wrong))
        once = ways is ONCE
        made = Check(name, about, tuple(ways), tuple(needs), does, wrong, function, steps, once)
        _registered[name] = made
        return made

    return register
