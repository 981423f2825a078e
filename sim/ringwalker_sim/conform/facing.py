"""The same checks on two devices: what they have found, and the buffers that each device has used.

Verdicts have to be the same, and what was noted: of every used buffer what was in it, what was written and
the used length, in any order, but for the random bytes of an entropy device. Of interrupts the sources are
compared: which vectors sent messages, and whether INTA was asserted. How often is left to the device where a
check provokes what leaves it a choice; each check judges that by itself.
"""

from collections import Counter
from collections.abc import Iterable

from .suite import SKIPPED, Outcome

__all__ = ["outcome_differences"]

_MAY_NOTIFY_MORE = ("a_queue_that_was_reset_is_quiet",)
"""Checks in which the first device may interrupt by further vectors. The hardware's walker carries the other
queues of its lane out again when one of them is reset, and notifies of each."""


def outcome_differences(left: Iterable[Outcome], right: Iterable[Outcome]) -> list[str]:
    """What is different, a line for each check. One that was skipped on either device is not compared."""
    others = {outcome.id: outcome for outcome in right}
    lines: list[str] = []
    for one in left:
        other = others.get(one.id)
        if other is None or SKIPPED in (one.verdict, other.verdict):
            continue
        if one.verdict != other.verdict:
            lines.append(f"{one.id}: {one.verdict}, and {other.verdict}: {one.text or other.text}")
            continue
        more = one.sources - other.sources if one.check.name in _MAY_NOTIFY_MORE else frozenset()
        if one.sources - more != other.sources:
            lines.append(f"{one.id}: interrupts by {_shown(one.sources)}, and by {_shown(other.sources)}")
        counts = [Counter(map(repr, outcome.notes)) for outcome in (one, other)]
        alone = [sorted((counts[n] - counts[1 - n]).elements()) for n in range(2)]
        if any(alone):
            shown = [f"{len(notes)} ({notes[0]:.120})" if notes else "0" for notes in alone]
            lines.append(f"{one.id}: noted on the first alone {shown[0]}, on the second {shown[1]}")
    return lines


def _shown(sources: Iterable[int]) -> str:
    return ", ".join("INTA" if item < 0 else f"vector {item}" for item in sorted(sources)) or "nothing"
