"""The same checks on two devices: what they have found, and the buffers that each device has used.

Verdicts have to be the same, and what was noted: of every used buffer what was in it, what was written and
the used length, in any order, but for the random bytes of an entropy device. When a device interrupts is not
compared here, since checks provoke what leaves it a choice; each check judges that by itself.
"""

from collections import Counter
from collections.abc import Iterable

from .suite import SKIPPED, Outcome

__all__ = ["outcome_differences"]


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
        counts = [Counter(map(repr, outcome.notes)) for outcome in (one, other)]
        alone = [sorted((counts[n] - counts[1 - n]).elements()) for n in range(2)]
        if any(alone):
            shown = [f"{len(notes)} ({notes[0]:.120})" if notes else "0" for notes in alone]
            lines.append(f"{one.id}: noted on the first alone {shown[0]}, on the second {shown[1]}")
    return lines
