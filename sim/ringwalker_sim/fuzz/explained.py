"""Why some bits of the device do not toggle, whatever cases do: a reason for each hole in the coverage.

What a bit that is explained makes constant needs no explanation of its own: that is found out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from .coverage import Point
from .fixed import Fixed
from .netlist import UNKNOWN, ZERO, Netlist

__all__ = ["Explanation", "Judgement", "judge"]


@dataclass(frozen=True)
class Explanation:
    """Bits ``lowest`` to ``highest`` of the signals that ``places`` name do not toggle, and ``why``.

    A place is instances and a name joined by ``.``, with ``*``. ``way``: they do not ``rise`` or ``fall``;
    by itself neither. ``but`` are bits in between that do, and ``unless`` signals that are not meant.
    ``value`` is what they are all the time.
    """

    places: tuple[str, ...]
    why: str
    lowest: int = 0
    highest: int = 1 << 16
    way: str = ""
    but: tuple[int, ...] = ()
    unless: tuple[str, ...] = ()
    value: int = ZERO

    def covers(self, point: Point) -> bool:
        """Whether it is about a point, by any of its names."""
        places = (*point.places, *point.written)
        about = any(
            self.lowest <= bit <= self.highest and bit not in self.but and _matches(place, self.places)
            for place, bit in places
        )
        return about and not any(_matches(place, self.unless) for place, _bit in places)


def _matches(place: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(place, pattern) for pattern in patterns)


@dataclass
class Judgement:
    """What a table of explanations says of what has not toggled.

    ``direct`` and ``following`` have for each explanation how many points it is about, and how many follow.
    ``wrong`` are places of points that it says do not toggle, and which did. ``rows`` is how many points
    besides are in rows of memories, and have moved in other rows. ``open`` are those points that nothing
    explains, and how many of their two ways are missing.
    """

    direct: list[int]
    following: list[int]
    wrong: list[str] = field(default_factory=list)
    rows: int = 0
    open: list[tuple[Point, int]] = field(default_factory=list)


_WAYS = ("fall", "rise")


def judge(
    points: Sequence[Point],
    toggled: np.ndarray,
    netlist: Netlist,
    free: Fixed,
    table: Sequence[Explanation],
) -> Judgement:
    """Look for an explanation of each way of a point that was not counted in ``toggled``.

    ``free`` is what is constant by itself. From a bit that is explained and has not moved it follows what is
    constant besides.
    """
    result = Judgement([0] * len(table), [0] * len(table))
    seen = [point.toggled(toggled) for point in points]
    others: dict[int, tuple[bool, bool]] = {}
    """How nets have moved, in any row if they are in memories."""
    for point, (fallen, risen) in zip(points, seen, strict=True):
        before = others.get(point.net, (False, False))
        others[point.net] = before[0] or fallen, before[1] or risen
    about: dict[int, int] = {}
    """The explanation of nets that never move."""
    left: list[tuple[Point, tuple[bool, bool]]] = []
    for point, moved in zip(points, seen, strict=True):
        number = _explanation(point, table)
        if number is None:
            left.append((point, moved))
            continue
        ways = [way for way in _WAYS if table[number].way in ("", way)]
        count = sum(not moved[_WAYS.index(way)] for way in ways)
        result.direct[number] += count
        if count != len(ways):
            result.wrong.append(f"{point.places[0][0]} bit {point.places[0][1]}")
        if table[number].way:
            left.append((point, (moved[0] or "fall" in ways, moved[1] or "rise" in ways)))
        elif not any(moved) and not point.row and _begins(netlist, point.net) != 1 - table[number].value:
            about[point.net] = number
    held = Fixed(netlist, {net: table[number].value for net, number in about.items()}) if about else free
    for point, moved in left:
        missing = moved.count(False)
        if not held.constant(point.net):
            alone = sum(not (own or other) for own, other in zip(moved, others[point.net], strict=True))
            result.rows += missing - alone
            if alone:
                result.open.append((point, alone))
            continue
        if not missing:
            result.wrong.append(f"{point.places[0][0]} bit {point.places[0][1]}")
            continue
        cause = held.reason(point.net, free)
        result.following[about[cause] if cause is not None else 0] += missing
    return result


def _begins(netlist: Netlist, net: int) -> int:
    """What a net is when the device begins, if that is known."""
    return netlist.states[net][0] if net in netlist.states else UNKNOWN


def _explanation(point: Point, table: Sequence[Explanation]) -> int | None:
    """The first explanation that is about any of a point's names."""
    for number, item in enumerate(table):
        if item.covers(point):
            return number
    return None
