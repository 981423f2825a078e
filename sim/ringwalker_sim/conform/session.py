"""Runs checks on a target that may be gone in the middle of one, and is then opened again."""

from collections.abc import Coroutine, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from random import Random
from typing import Any, Self

from ..errors import RingwalkerError
from ..shrink import resumed, shrinking
from .check import Check, Way
from .suite import FAILED, SKIPPED, Device, Outcome
from .targets.target import OpenTarget, Target

__all__ = ["Session"]


class Session:
    """Runs checks on the target of ``open_target``, with random choices of ``seed``.

    After a check that failed the target is opened again if that gives a fresh device, or if the device cannot
    be reset, or is gone: that fails the check which saw it, and no other. Use it as a context manager.
    Errors: those of ``open_target`` when the target is opened first.
    """

    def __init__(self, open_target: OpenTarget, seed: int = 1):
        self._open_target = open_target
        self.seed = seed
        self._stack = ExitStack()
        self.target: Target
        self.device: Device
        """The device under test."""

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_args: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self.target = self._stack.enter_context(self._open_target())
        try:
            self.device = self.target.port.run(self.target.device(self.seed))
        except BaseException:
            self._stack.close()
            raise

    def count(self, chosen: Iterable[Check], ways: Sequence[Way] = tuple(Way)) -> int:
        """How many outcomes :meth:`run` will give."""
        return sum(len(self.device.ways_of(check, ways)) for check in chosen)

    def run(
        self,
        chosen: Iterable[Check],
        ways: Sequence[Way] = tuple(Way),
        *,
        steps: list[Any] | None = None,
        progress: Any = lambda _outcome: None,
        only: Way | None = None,
    ) -> list[Outcome]:
        """Run checks, each by those of ``ways`` that the device has. ``steps``: those of the one check.

        ``progress`` gets each outcome. With ``only``, none is run but those by this one of the ways.
        """
        outcomes: list[Outcome] = []
        lost = ""
        for check in chosen:
            for way in self.device.ways_of(check, ways):
                if only not in (None, way):
                    continue
                if lost:
                    outcome = Outcome(check, way, SKIPPED, lost, seed=self.seed)
                else:
                    outcome, lost = self._one(check, way, steps)
                outcomes.append(outcome)
                progress(outcome)
        return outcomes

    def record(self, check: Check, way: Way, steps: list[Any] | None = None) -> list[Outcome]:
        """Run one check once, and record waves while it runs; nothing is made smaller or opened again."""
        self.target.port.trace(True)
        outcome, _alive = self._attempt(check, way, steps)
        return [outcome]

    def _one(self, check: Check, way: Way, steps: list[Any] | None) -> tuple[Outcome, str]:
        """The outcome of a check, and why none can follow."""
        outcome, alive = self._attempt(check, way, steps)
        if outcome.verdict != FAILED:
            return outcome, ""
        if outcome.steps and steps is None:
            attempts = shrinking(outcome.steps)
            fewer = next(attempts, None)
            while fewer is not None and (alive or not self._reopen()):
                again, alive = self._attempt(check, way, fewer)
                same = again.same_failure(outcome)
                outcome = again if same else outcome
                fewer = resumed(attempts, same)
        if alive and not self.target.own and self._guarded(self.device.sound(), False)[0]:
            return outcome, ""
        return outcome, self._reopen()

    def _attempt(self, check: Check, way: Way, steps: list[Any] | None) -> tuple[Outcome, bool]:
        """The outcome, and whether the target is still there."""
        if steps is None and check.steps is not None:
            steps = check.steps(Random(self.seed))
        made = Outcome(check, way, FAILED, clause=check.clauses[0], seed=self.seed, steps=steps)
        outcome, error = self._guarded(self.device.run(check, way, steps), made)
        if error is not None:
            return replace(made, text=f"the check was broken off: {_said(error)}"), False
        return outcome, True

    def _guarded(self, work: Coroutine[Any, Any, Any], otherwise: Any) -> tuple[Any, Exception | None]:
        """What a coroutine returns, and the error that ended it."""
        try:
            return self.target.port.run(work), None
        except Exception as error:
            return otherwise, error

    def _reopen(self) -> str:
        """Open the target again; why that cannot be done."""
        with suppress(RingwalkerError, OSError):  # It may be gone already.
            self._stack.close()
        try:
            self._open()
        except (RingwalkerError, OSError) as error:
            return f"the device could not be opened again: {_said(error)}"
        return ""


def _said(error: Exception) -> str:
    """What an error says, with its kind where nobody is expected to cause it."""
    expected = isinstance(error, RingwalkerError | OSError)
    return str(error) if expected and str(error) else f"{type(error).__name__}: {error}"
