"""Why some bits of the device do not toggle, whatever cases do: a reason for each hole in the coverage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["EXPLAINED", "Explanation", "explained", "judge"]


@dataclass(frozen=True)
class Explanation:
    """Bits ``lowest`` to ``highest`` of the signals that ``places`` name do not toggle, and ``why``.

    A place is instances and a name joined by ``.``, with ``*``.
    """

    places: tuple[str, ...]
    why: str
    lowest: int = 0
    highest: int = 1 << 16

    def covers(self, hole: Mapping[str, Any]) -> bool:
        """Whether it is about all bits of a hole of the figures."""
        inside = self.lowest <= hole["lowest"] and hole["highest"] <= self.highest
        return inside and any(fnmatchcase(hole["place"], place) for place in self.places)


EXPLAINED: tuple[Explanation, ...] = (
    Explanation(("core.walker.*completer_id",), "It is the host that answers, and it has one number."),
    Explanation(("core.walker.*requester_id",), "It is the device that asks, and it has one number."),
    Explanation(
        ("core.walker.*header__target_id",),
        "Only requests of configurations have a target; the walker has none.",
    ),
    Explanation(
        ("core.walker.*__traffic_class", "core.walker.*__attributes"),
        "The device asks without them, and completions have those of their request.",
    ),
    Explanation(
        ("core.walker.*__queue", "core.notify.doorbells__payload__queue"),
        "A queue has a number of 10 bits; the device has 4, and no doorbell of another is passed on.",
        2,
        9,
    ),
)


def explained(hole: Mapping[str, Any], table: Sequence[Explanation] = EXPLAINED) -> Explanation | None:
    """The first explanation of a hole."""
    return next((item for item in table if item.covers(hole)), None)


def judge(
    holes: Iterable[Mapping[str, Any]], table: Sequence[Explanation] = EXPLAINED
) -> tuple[list[str], list[Explanation]]:
    """The places of holes that nothing explains, and explanations of nothing."""
    unexplained, used = [], set[int]()
    for hole in holes:
        found = explained(hole, table)
        if found is None:
            unexplained.append(hole["place"])
        else:
            used.add(id(found))
    return unexplained, [item for item in table if id(item) not in used]
