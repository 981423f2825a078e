"""Which tags a reader owns, and how tag space is divided among readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Mux, Value

__all__ = ["LOW_TAGS", "TAGS", "TagRange", "allocate_tags"]

LOW_TAGS = 32
"""How many tags fit in five bits: all that may be used until extended tags are enabled."""

TAGS = 256
"""How many tags fit in eight bits, the extended tag field."""


@dataclass(frozen=True)
class TagRange:
    """The tags of one reader, some below 32 and some above.

    The reader has a slot for each tag. Slots from 0 on have the ``low_count`` tags from ``low`` on; the slots
    after them have the ``high_count`` tags from ``high`` on, and are used only with extended tags.

    Errors: ``ValueError`` for a range that is empty or leaves its half of the tag space.
    Ref: PCI Express Base Specification 3.1, 2.2.6.2 (transaction descriptor, tag field).
    """

    low: int
    low_count: int
    high: int = LOW_TAGS
    high_count: int = 0

    def __post_init__(self):
        if self.low_count < 1 or self.low < 0 or self.low + self.low_count > LOW_TAGS:
            raise ValueError(f"low tags must be 1 or more from 0 to 31, not {self.low_count} from {self.low}")
        if self.high_count < 0 or self.high < LOW_TAGS or self.high + self.high_count > TAGS:
            raise ValueError(f"high tags must be from 32 to 255, not {self.high_count} from {self.high}")

    @property
    def slots(self) -> int:
        """How many tags there are."""
        return self.low_count + self.high_count

    def tag(self, slot: int) -> int:
        """The tag of ``slot``. Errors: ``ValueError`` when there is no such slot."""
        if not 0 <= slot < self.slots:
            raise ValueError(f"slot must be 0 to {self.slots - 1}, not {slot}")
        return self.low + slot if slot < self.low_count else self.high + slot - self.low_count

    def slot(self, tag: int) -> int:
        """The slot of ``tag``. Errors: ``ValueError`` when the tag is not of this range."""
        if self.low <= tag < self.low + self.low_count:
            return tag - self.low
        if self.high <= tag < self.high + self.high_count:
            return tag - self.high + self.low_count
        raise ValueError(f"tag {tag} is not in {self}")

    def overlaps(self, other: "TagRange") -> bool:
        """Whether a tag is in both ranges."""
        mine = {self.tag(k) for k in range(self.slots)}
        return any(other.tag(k) in mine for k in range(other.slots))

    def contains_value(self, tag: Value) -> Value:
        """As hardware: 1 when the 8-bit ``tag`` is of this range."""
        low = (tag >= self.low) & (tag < self.low + self.low_count)
        high = (tag >= self.high) & (tag < self.high + self.high_count)
        return low | high if self.high_count else low

    def slot_value(self, tag: Value) -> Any:
        """As hardware: the slot of the 8-bit ``tag``, which must be of this range."""
        if not self.high_count:
            return (tag - self.low)[:5]
        return Mux(tag[5:8] == 0, (tag - self.low)[:8], (tag - (self.high - self.low_count))[:8])

    def tag_value(self, slot: Value) -> Any:
        """As hardware: the 8-bit tag of ``slot``."""
        low: Any = Cat(slot + self.low, Const(0, 8))[:8]
        if not self.high_count:
            return low
        return Mux(slot < self.low_count, low, Cat(slot + (self.high - self.low_count), Const(0, 8))[:8])


def _shares(wanted: Sequence[int], total: int) -> list[int]:
    """Divide ``total`` in proportion to ``wanted``: each gets at least 1, and at most what it wants."""
    whole = sum(wanted)
    if whole <= total:
        return list(wanted)
    shares = [max(1, total * count // whole) for count in wanted]
    while sum(shares) > total:
        largest = max(range(len(shares)), key=lambda k: shares[k])
        shares[largest] -= 1
    while sum(shares) < total:
        short = max(range(len(shares)), key=lambda k: wanted[k] - shares[k])
        shares[short] += 1
    return shares


def allocate_tags(counts: Sequence[int]) -> list[TagRange]:
    """Disjoint tag ranges for several readers, the k-th with ``counts[k]`` tags in all.

    The 32 low tags are shared in proportion to the counts, at least one each; the rest of each count are high
    tags.

    Errors: ``ValueError`` for no readers, more than 32, a count below 1, or more than 256 tags.
    """
    if not 1 <= len(counts) <= LOW_TAGS:
        raise ValueError(f"counts must be for 1 to {LOW_TAGS} readers, not {len(counts)}")
    if min(counts) < 1:
        raise ValueError(f"counts must all be at least 1, not {list(counts)}")
    if sum(counts) > TAGS:
        raise ValueError(f"counts must add up to at most {TAGS}, not {sum(counts)}")
    low, high, ranges = 0, LOW_TAGS, []
    for share, count in zip(_shares(counts, LOW_TAGS), counts, strict=True):
        ranges.append(TagRange(low, share, high, count - share))
        low += share
        high += count - share
    return ranges
