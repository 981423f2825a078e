"""Why some bits of the device do not toggle, whatever cases do: a reason for each hole in the coverage.

What a bit that is explained makes constant needs no explanation of its own: that is found out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from .coverage import Point
from .fixed import Fixed
from .netlist import ONE, ZERO, Netlist

__all__ = ["EXPLAINED", "Explanation", "Judgement", "judge"]


@dataclass(frozen=True)
class Explanation:
    """Bits ``lowest`` to ``highest`` of the signals that ``places`` name do not toggle, and ``why``.

    A place is instances and a name joined by ``.``, with ``*``. ``way``: they do not ``rise`` or ``fall``;
    by itself neither. ``but`` are bits in between that do.
    """

    places: tuple[str, ...]
    why: str
    lowest: int = 0
    highest: int = 1 << 16
    way: str = ""
    but: tuple[int, ...] = ()

    def covers(self, place: str, bit: int) -> bool:
        """Whether it is about a bit of a signal."""
        inside = self.lowest <= bit <= self.highest and bit not in self.but
        return inside and any(fnmatchcase(place, pattern) for pattern in self.places)


_CHAINS_BY_SLOT = ("core.walker.lane0.descriptors.owners*",)
_LINES = "core.walker.lane0.descriptors.lines"
_ASKED = (f"{_LINES}.lines.in_flight.fifo.storage*", f"{_LINES}.lines.context", f"{_LINES}.i1__payload")
_WAITING = (f"{_LINES}.waiting.fifo.storage*", "core.walker.lane0.descriptors.o__payload")
_POSITIONS = tuple(
    f"core.walker.lane0.ring.packed.{name}"
    for name in ("used.collector.places*", "notification.latest*", "used.collector.here")
)
_SMALL_READS = tuple(
    f"core.walker.lane0.{reader}_reader.slots.bank_{bank}"
    for reader in ("index", "ordered")
    for bank in ("0?[1357]?", "1?[0-7]?")
)
_FINISHED = ("core.walker.lane0.scatter.finished.fifo.storage*", "core.walker.lane0.completed__payload")

EXPLAINED: tuple[Explanation, ...] = (
    Explanation(("core.walker.*completer_id",), "It is the host that answers, and it has one number."),
    Explanation(
        ("core.walker.*requester_id",), "The device has one number, of which this is the lower half.", 0, 7
    ),
    Explanation(("core.walker.*requester_id",), "The device is on bus 1.", 9, 15),
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
        3,
        9,
    ),
    Explanation(("core.walker.*row__size",), "No queue of this device has more than 32 entries.", 6, 15),
    Explanation(
        ("core.walker.*_table__index", "core.walker.clear__index", "core.walker.restore__index"),
        "The same of the rows of tables by queue.",
        3,
        9,
    ),
    Explanation(
        (
            *("core.walker.*__span", "core.walker.*__limit"),
            *("core.walker.*__readable_segments", "core.walker.*__writable_segments"),
        ),
        "No ring has more than 32 entries, and a chain that is longer is refused.",
        6,
        15,
    ),
    Explanation(("core.walker.*header__tag",), "All reads in flight together have fewer than 32 tags.", 5, 7),
    Explanation(
        ("core.walker.*header__kind",), "The walker sends memory reads and memory writes only.", 1, 3
    ),
    Explanation(("core.walker.*header__address",), "The address of a packet is that of a dword.", 0, 1),
    Explanation(("core.walker.*header__byte_count",), "The device reads at most 512 bytes at once.", 10, 12),
    Explanation(
        ("core.walker.*replies__payload__written", "core.walker.lane0.*__written"),
        "The disk of this device has 2^19 bytes.",
        20,
        31,
    ),
    Explanation(
        ("core.walker.features",),
        "Features that the device does not offer are not accepted.",
        but=(2, 6, 9, 12, 24, 27, 28, 29, 32, 34, 35, 38, 40),
    ),
    Explanation(("core.*row__desc",), "The area begins at a multiple of 16.", 0, 3),
    Explanation(("core.*row__driver",), "The area begins at a multiple of 2.", 0, 0),
    Explanation(("core.*row__device",), "The area begins at a multiple of 4.", 0, 1),
    Explanation(
        ("core.walker.reads__payload__data", "core.walker.lane0.payload_requests.*__data"),
        "A read carries no data.",
    ),
    Explanation(("core.*row__reserved",), "A queue is being reset, or not: one bit of a field of 16.", 1, 15),
    Explanation(
        ("core.walker.*__first_readable", "core.walker.*__first_writable"),
        "There is room for 80 segments of chains.",
        7,
        15,
    ),
    *(
        Explanation(_CHAINS_BY_SLOT, why, low, high)
        for low, high, why in (
            (3, 9, "The number of the queue."),
            (32, 41, "How many of 32 entries the chain takes."),
            (47, 57, "Its place among 32."),
            (64, 73, "The size of the queue."),
        )
    ),
    Explanation(("core.walker.lane0.descriptors.totals",), "The last segment of 80.", 135, 143),
    *(
        Explanation(_FINISHED, why, low, high)
        for low, high, why in (
            (3, 9, "The number of the queue."),
            (32, 41, "How many of 32 entries the chain takes."),
            (62, 73, "What was written, of a disk of 2^19 bytes."),
        )
    ),
    *(
        Explanation(("core.walker.lane0.scatter.headers.fifo.storage*",), why, low, high)
        for low, high, why in (
            (52, 63, "How much data comes, of a disk of 2^19 bytes."),
            (84, 95, "How much has been written."),
        )
    ),
    Explanation((*_ASKED, *_WAITING), "One of 8 chains that are walked at once.", 3, 6),
    Explanation(_POSITIONS, "The place in a ring of no more than 32 entries.", 5, 14),
    Explanation(("core.walker.lane0.scatter.owners.fifo.storage*",), "The number of the queue.", 3, 9),
    Explanation(
        ("core.walker.lane0.scatter.owners.fifo.storage*",),
        "How many of 32 entries the chain takes.",
        32,
        41,
    ),
    Explanation(("core.walker.lane0.dispatch.function.fifo.storage*",), "The number of the queue.", 3, 9),
    Explanation(("core.faces.isr__responses__payload",), "The ISR status has two bits.", 2, 31),
    Explanation(
        _SMALL_READS, "These readers ask for two or four bytes: the first dword of the four of a slot."
    ),
    Explanation(("core.*row__enable",), "A queue is enabled, or not: one bit of a field of 16.", 1, 15),
)


@dataclass
class Judgement:
    """What a table of explanations says of what has not toggled.

    ``direct`` and ``following`` have for each explanation how many points it is about, and how many follow.
    ``wrong`` are places of points that it says do not toggle, and which did. ``open`` are those points that
    nothing explains, and how many of their two ways are missing.
    """

    direct: list[int]
    following: list[int]
    wrong: list[str] = field(default_factory=list)
    open: list[tuple[Point, int]] = field(default_factory=list)


_WAYS = ("fall", "rise")


def judge(
    points: Sequence[Point],
    toggled: np.ndarray,
    netlist: Netlist,
    free: Fixed,
    table: Sequence[Explanation] | None = None,
) -> Judgement:
    """Look for an explanation of each way of a point that was not counted in ``toggled``.

    ``free`` is what is constant by itself. From a bit that is explained and has not moved it follows what is
    constant besides.
    """
    table = EXPLAINED if table is None else table
    result = Judgement([0] * len(table), [0] * len(table))
    seen = [point.toggled(toggled) for point in points]
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
        if not any(moved) and not point.row and netlist.states.get(point.net, (ZERO, 0))[0] != ONE:
            about[point.net] = number
        if table[number].way:
            left.append((point, (moved[0] or "fall" in ways, moved[1] or "rise" in ways)))
    held = Fixed(netlist, dict.fromkeys(about, ZERO)) if about else free
    for point, moved in left:
        missing = moved.count(False)
        if not held.constant(point.net):
            if missing:
                result.open.append((point, missing))
            continue
        if not missing:
            result.wrong.append(f"{point.places[0][0]} bit {point.places[0][1]}")
            continue
        cause = held.reason(point.net, free)
        result.following[about[cause] if cause is not None else 0] += missing
    return result


def _explanation(point: Point, table: Sequence[Explanation]) -> int | None:
    """The first explanation that is about any of a point's names."""
    for number, item in enumerate(table):
        if any(item.covers(place, bit) for place, bit in point.places):
            return number
    return None
