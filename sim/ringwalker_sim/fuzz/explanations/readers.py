"""What each of the readers of the walker does not see."""

from ..explained import Explanation
from .names import CHAINS, LANE, LINES, SHORT, completions, left, sent

__all__ = ["READERS"]

READERS = (
    Explanation(
        tuple(
            f"{LANE}.{reader}_reader.{name}"
            for reader in SHORT
            for name in ("rows*", "row_read__data", "_signature__data", "last_row")
        ),
        "A read of a dword has one row.",
    ),
    Explanation(
        (f"{LANE}.index_reader.span_single",),
        "And its first dword is always its last.",
        value=1,
    ),
    Explanation((f"{LANE}.ordered_reader.span_total",), "Four bytes, at most two bytes into a dword.", 3, 3),
    Explanation(
        tuple(
            f"{LANE}.{reader}_reader.completions.waiting.{name}"
            for reader in SHORT
            for name in ("expected*", "entry")
        ),
        "Each read of these has a dword, from the first on.",
        0,
        0,
        way="fall",
    ),
    Explanation(
        left(*SHORT),
        "After its only completion nothing is left.",
        0,
        0,
    ),
    Explanation(
        left("entry"),
        "Entries come at once; of descriptors multiples of them are left.",
        0,
        1,
    ),
    Explanation(
        left(*LINES),
        "After a completion less than 256 bytes are left.",
        6,
        6,
    ),
    Explanation(
        left("payload"),
        "After a completion less than 512 bytes are left.",
        7,
        7,
    ),
    Explanation(
        (f"{LANE}.index_reader.open__dwords",), "Each read of the index has one dword.", 0, 0, value=1
    ),
    Explanation(
        completions("length", "index", "ordered", "entry", "descriptor"),
        "A completion of these has at most 256 bytes.",
        7,
        7,
    ),
    Explanation(
        completions("length", "ordered"),
        "Their own are shorter, and those with a wrong tag are so as well.",
        6,
        6,
    ),
    Explanation(completions("byte_count", "ordered"), "The same.", 9, 9),
    Explanation(
        (f"{CHAINS}.lines.lines.limit",), "At most 256 bytes of descriptors are read at once.", 9, 12
    ),
    Explanation(
        (*completions("tag", "index"), *sent("tag", "index")),
        "Each reader has tags of its own; this one has 0 to 3.",
        2,
        4,
    ),
    Explanation((*completions("tag", "entry"), *sent("tag", "entry")), "This one has 4 to 7.", 3, 4),
    Explanation(
        (*completions("tag", "descriptor"), *sent("tag", "descriptor")),
        "This one has 8 to 11.",
        2,
        4,
        but=(3,),
    ),
    Explanation(
        (*completions("tag", "ordered"), *sent("tag", "ordered"), f"{LANE}.posted_*__header__tag"),
        "This one has 20 to 23, and writes have none.",
        3,
        3,
    ),
)
