"""What the probes of a device show of a lane in a cycle, as words of 32 bits."""

from enum import IntEnum

__all__ = ["ITEM_WORDS", "LANE_WORDS", "StageKind"]


class StageKind(IntEnum):
    """The stages in the order of the table; the numbers are those of the flags."""

    DOORBELL = 0
    """A notification of ``queue`` reaches the walker."""
    VISIT = 1
    """The scheduler sends the walker to ``queue``."""
    INDEX = 2
    """The available index of ``queue``, ``id``, is known (split)."""
    POLL = 3
    """The first of the descriptors of a read have come (packed)."""
    HEAD = 4
    """The chain ``id`` begins; ``number`` is its span, and twice that plus 1 of a guess."""
    CONFIRM = 5
    """The last guess is a chain."""
    WITHDRAW = 6
    """The last guess is none."""
    CHAIN = 7
    """All descriptors of chain ``id`` were read; ``number`` is how many bytes can be read of it."""
    DISPATCH = 8
    """The function takes a chain; ``number`` is how many bytes it can write."""
    PAYLOAD = 9
    """The function has the last byte that can be read of a chain."""
    ANSWER = 10
    """The function has given the last of its answer to a chain."""
    COMPLETE = 11
    """The last payload of chain ``id`` has left; ``number`` bytes were written."""
    USED = 12
    """The used index of ``queue``, ``id``, was written (split)."""
    USED_PACKED = 13
    """Used descriptors of ``queue`` were written, ``id`` of them in all, modulo 2^16 (packed)."""
    LOOK = 14
    """The driver's wish about ``queue`` is looked up; its vector is ``id``."""
    INTERRUPT = 15
    """The used buffer notification of vector ``id`` leaves the walker."""
    FLUSH = 16
    """All chains of the walker are forgotten."""
    CLEAR = 17
    """The positions of ``queue`` begin at 0."""


ITEM_WORDS = 2
"""Words of an item: queue and id, then a number."""

LANE_WORDS = 1 + ITEM_WORDS * len(StageKind)
"""Words of a lane: flags, then an item for each kind."""
