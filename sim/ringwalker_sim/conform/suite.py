"""Runs checks on a device: which apply, in a fresh state each, shrunk where one fails."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from ringwalker.spec.features import Feature

from ..errors import ParameterError
from ..guest.errors import VirtioError
from ..guest.loop import StuckError
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.port import Port
from ..shrink import resumed, shrinking
from .check import Check, Nonconformance, NotApplicable, Way
from .checks import MODULES
from .clauses import clauses
from .medium import Medium
from .subject import Subject, Timing

__all__ = ["FAILED", "PASSED", "SKIPPED", "Device", "Outcome", "all_checks", "run_checks", "select"]

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def all_checks() -> list[Check]:
    """All checks, in the order of the modules and in each of the source."""
    return [item for module in MODULES for item in vars(module).values() if isinstance(item, Check)]


def select(patterns: Sequence[str]) -> list[Check]:
    """The checks whose name, or one of whose clauses, matches one of ``patterns`` (``*`` and ``?``).

    No patterns: all. Errors: :class:`ParameterError` for a pattern that matches none.
    """
    if not patterns:
        return all_checks()
    chosen: dict[str, Check] = {}
    for pattern in patterns:
        found = {
            item.name: item
            for item in all_checks()
            if any(fnmatchcase(name, pattern) for name in (item.name, *item.clauses))
        }
        if not found:
            raise ParameterError(f"no check and no clause is called {pattern!r}")
        chosen = chosen | found
    return [item for item in all_checks() if item.name in chosen]


@dataclass(frozen=True)
class Outcome:
    """What a check has found by one ``way``: ``verdict`` is passed, failed or skipped.

    ``text`` says what is wrong, or why it was skipped; ``clause`` is the one that is broken. ``cycles`` of
    the port and ``seconds`` are what it took. ``steps`` are those of a random check that failed, as few as
    were found to be enough; ``seed`` is its seed. ``notes`` are its observations, and ``sources`` those of
    :attr:`.Subject.arrived` that have interrupted.
    """

    check: Check
    way: Way
    verdict: str
    text: str = ""
    clause: str = ""
    cycles: int = 0
    seconds: float = 0.0
    seed: int = 1
    steps: list[Any] | None = None
    notes: list[tuple[str, Any]] = field(default_factory=list)
    sources: frozenset[int] = frozenset()

    @property
    def id(self) -> str:
        """The name with the way, where there is more than one."""
        return f"{self.check.name}[{self.way}]" if len(self.check.ways) > 1 else self.check.name

    def same_failure(self, other: "Outcome") -> bool:
        """Whether both have failed, and break the same clause."""
        return self.verdict == other.verdict == FAILED and self.clause == other.clause

    @property
    def binding(self) -> bool:
        """Whether a failure is one of a MUST, not of a SHOULD."""
        return self.verdict == FAILED and (not self.clause or clauses()[self.clause].binding)


@dataclass
class Device:
    """A device under test: its ``pci`` function on a port, the ``medium`` behind it, and the ``timing``."""

    pci: PciDevice
    medium: Medium | None = None
    timing: Timing = field(default_factory=Timing)
    seed: int = 1
    ways: tuple[Way, ...] = ()

    @classmethod
    async def find(cls, port: Port, number: int = 0, **options: Any) -> "Device":
        """Find virtio function ``number`` of ``port``, and the ways to use it.

        Errors: :class:`ParameterError` when there is none.
        """
        found = [pci for pci in await enumerate_pci(port, assign=len(port.mmio32) > 0) if pci.id.type]
        if number >= len(found):
            raise ParameterError(f"there are {len(found)} virtio functions, and no number {number}")
        device = cls(found[number], **options)
        device.ways = tuple([way for way in Way if await device._has(way)])
        return device

    async def _has(self, way: Way) -> bool:
        subject = Subject(self.pci, way)
        try:
            await subject.find()
        except VirtioError:
            return False
        if way is Way.LEGACY or not subject.offers(Feature.RING_PACKED):
            return way is not Way.PACKED
        # A device that insists on packed rings has one way less; one that refuses all is tested by both.
        return way is Way.PACKED or await self._accepts(way) or not await self._accepts(Way.PACKED)

    async def _accepts(self, way: Way) -> bool:
        """Whether the device accepts the fewest features that a way needs."""
        subject = self.subject(way)
        try:
            await subject.find()
            await subject.reset()
            await subject.negotiate()
            await subject.reset()
        except Nonconformance:
            return False
        return True

    def subject(self, way: Way) -> Subject:
        """The device, for one run of a check."""
        return Subject(self.pci, way, ways=self.ways, seed=self.seed, medium=self.medium, timing=self.timing)

    def ways_of(self, check: Check, ways: Sequence[Way] = tuple(Way)) -> list[Way]:
        """Those of ``ways`` by which a check is run; one that the device does not have where it has none of
        them, so that there is an outcome which says so."""
        possible = check.ways if not check.once or Way.SPLIT in self.ways else (Way.PACKED,)
        wanted = [way for way in possible if way in ways]
        return [way for way in wanted if way in self.ways] or wanted[:1]

    async def run(self, check: Check, way: Way, steps: list[Any] | None = None) -> Outcome:
        """Run a check from a reset; with ``steps`` in place of its own."""
        made = Outcome(check, way, PASSED, seed=self.seed)
        if way not in self.ways:
            return replace(made, verdict=SKIPPED, text=f"there is no way {way} to use the device")
        subject = self.subject(way)
        start, begin = self.pci.port.now(), time.perf_counter()
        if check.steps is not None and steps is None:
            steps = check.steps(Random(self.seed))
        try:
            await subject.find()
            for condition in check.needs:
                if (why := condition(subject)) is not None:
                    raise NotApplicable(why)
            await subject.reset()
            try:
                await (check.run(subject) if steps is None else check.run(subject, steps))
            except (Nonconformance, NotApplicable, VirtioError, StuckError):
                with suppress(Nonconformance, VirtioError, StuckError):
                    await subject.close()
                raise
            await subject.close()
        except NotApplicable as error:
            made = replace(made, verdict=SKIPPED, text=str(error))
        except Nonconformance as error:
            made = replace(made, verdict=FAILED, text=str(error), clause=error.clause, steps=steps)
        except (VirtioError, StuckError) as error:
            made = replace(made, verdict=FAILED, text=str(error), clause=check.clauses[0], steps=steps)
        spent = time.perf_counter() - begin
        return replace(
            made,
            cycles=self.pci.port.now() - start,
            seconds=spent,
            notes=list(subject.notes),
            sources=frozenset(source for source, count in subject.arrived.items() if count),
        )

    async def shrink(self, outcome: Outcome) -> Outcome:
        """The same failure with as few steps as are found to be enough."""
        best = outcome
        attempts = shrinking(best.steps or [])
        steps = next(attempts, None)
        while steps is not None:
            again = await self.run(outcome.check, outcome.way, steps)
            same = again.same_failure(outcome)
            best = again if same else best
            steps = resumed(attempts, same)
        return best

    async def sound(self) -> bool:
        """Whether the device can be reset, so that another check may follow."""
        subject = self.subject(self.ways[0])
        try:
            await subject.find()
            await subject.reset()
        except (Nonconformance, VirtioError, StuckError):
            return False
        return True


async def run_checks(
    device: Device,
    chosen: Iterable[Check],
    progress: Callable[[Outcome], None] = lambda _outcome: None,
    ways: Sequence[Way] = tuple(Way),
) -> list[Outcome]:
    """Run checks on a device, each by all of its ways that the device has; ``progress`` gets each outcome.

    A check that the device has no way for gives one outcome, with why.
    """
    outcomes = []
    for check in chosen:
        for way in device.ways_of(check, ways):
            outcome = await device.run(check, way)
            if outcome.verdict == FAILED and outcome.steps:
                outcome = await device.shrink(outcome)
            outcomes.append(outcome)
            progress(outcome)
    return outcomes
