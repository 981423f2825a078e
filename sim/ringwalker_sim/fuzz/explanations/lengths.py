"""How much is read and written."""

from ..explained import Explanation
from .names import CHAINS, LANE, LINES, PACKED, RING, RUNS, SHORT, SPLIT, completions, counts, ports, sent

__all__ = ["LENGTHS", "USED"]

_WRITTEN = (
    f"{LANE}.*__written",
    "core.walker.*replies__payload__written",
    "core.*replies__payload__length",
    f"{LANE}.scatter.replies__payload__length",
)
_UPPER = (f"{PACKED}.used.*upper", f"{PACKED}.used.others", f"{PACKED}.used.writes__payload__data")
_PACKED_READ = (f"{PACKED}.used.collector.read__data",)
_ELEMENT = (
    *(f"{SPLIT}.used.collector.*value", f"{SPLIT}.used.collector.read__data"),
    *(f"{SPLIT}.used.elements", f"{SPLIT}.used.writes__payload__data"),
)
_SIZE = "The disk of this device has 2^19 bytes."
_SECTORS = "A block device writes whole sectors, 20 bytes of a serial number or less, and a status."
_PLACES = ((_WRITTEN, 0), (_UPPER, 0), (_PACKED_READ, 64), (_ELEMENT, 32))
"""Where a used length stands, and from which bit on."""

USED = (
    *(
        Explanation(places, why, begin + lowest, begin + highest)
        for why, lowest, highest in ((_SIZE, 20, 31), (_SECTORS, 5, 8))
        for places, begin in _PLACES
    ),
    Explanation(_ELEMENT, "A split ring's chain has the number of its head, one of 32.", 5, 15),
)

LENGTHS = (
    Explanation(("core.walker.*header__length",), "A packet has at most 512 bytes.", 8, 10),
    Explanation(
        (f"{LANE}.*_reader.port__requests__payload__length", f"{LANE}.scatter.placements*__length"),
        "The same in bytes.",
        10,
        12,
    ),
    Explanation((f"{LANE}.scatter.*__dwords", *counts("payload")), "The same in dwords.", 8, 10),
    Explanation(
        (
            *(f"{LANE}.payload_reader.span_total", f"{LANE}.scatter.span_total"),
            *(
                f"{LANE}.{block}.*{name}"
                for block in ("gather", "scatter")
                for name in (".incoming", ".room")
            ),
        ),
        "The same where a request is cut.",
        10,
        12,
    ),
    Explanation(
        (
            *ports(*LINES),
            *(
                f"{RUNS}.cutter.incoming",
                f"{RUNS}.cutter.room",
                f"{RING}.poll_read__requests__payload__length",
            ),
            *(f"{LANE}.{reader}_reader.span_total" for reader in LINES),
        ),
        "At most 256 bytes of rings and tables are read at once.",
        9,
        11,
    ),
    Explanation(
        (*counts(*LINES), *sent("length", *LINES)),
        "The same in dwords, and one more where a table begins inside of a dword.",
        7,
        10,
    ),
    Explanation(completions("byte_count", *LINES), "The same of what is still to come of them.", 9, 9),
    Explanation(
        (*counts(*SHORT), *sent("length", *SHORT)),
        "These readers ask for two or four bytes: a dword.",
        1,
        10,
    ),
    Explanation(sent("last_be", *SHORT), "The only dword of a read is the first, so it has no last one."),
    Explanation(
        tuple(
            f"{LANE}.{reader}_reader.slots.bank_{bank}"
            for reader in SHORT
            for bank in ("0?[1357]?", "1?[0-7]?")
        ),
        "Of the four dwords of a slot only the first is used.",
    ),
    Explanation(
        tuple(f"{LANE}.{reader}_reader.port__data__payload__data" for reader in SHORT),
        "The same of the answer.",
        32,
        63,
    ),
    Explanation(
        (
            f"{RUNS}.o__payload__count",
            f"{CHAINS}.lines.lines.o__payload__count",
        ),
        "Descriptors fill all beats of what is joined.",
        0,
        2,
    ),
    Explanation((f"{RUNS}.packer.splits",), "So a packet never has bytes for a beat of its own at the end."),
    Explanation((f"{LANE}.*.packer.total",), "Less than two beats are joined to one.", 4, 4),
    Explanation(
        (f"{LANE}.read_window.window",),
        "The mean latency stays below 4,096 cycles: a read is given up 1,000 cycles after the last answer.",
        12,
        14,
    ),
    Explanation((f"{LANE}.read_window.total",), "The same of four times the mean.", 14, 15),
    Explanation(
        (f"{PACKED}.used.writes__payload__header__length",),
        "At most 7 used descriptors are written behind the first.",
        5,
        5,
    ),
    Explanation(
        (f"{LANE}.scatter.overrun",), "No function of this project writes more than there is room for."
    ),
)
