"""What is recorded in a run: one row an event, the same in C++ and in numpy."""

from enum import IntEnum

import numpy as np

__all__ = ["EVENT", "EventKind", "event_type"]


class EventKind(IntEnum):
    """What happened. Of TLPs ``begin`` is when they got the link, ``end`` when their end has passed it."""

    ADDED = 1
    """The driver has added buffer ``number`` of ``queue``, of ``bytes``. The device knows it as ``id``."""
    SHOWN = 2
    """The driver shows the device what it has added to ``queue``; ``number``: it rings the doorbell."""
    TAKEN = 3
    """The driver has found that buffer ``number`` of ``queue`` is used; ``bytes`` were written."""
    UP_REQUEST = 4
    """The device reads or writes ``bytes`` at ``number``; ``queue`` is the ``RequestKind``, ``id`` a tag."""
    UP_COMPLETION = 5
    """The device answers request ``id`` of the CPU with ``bytes``."""
    UP_MESSAGE = 6
    """A message signalled interrupt at address ``number`` with data ``id``, or, at 0, the level of INTx."""
    DOWN_REQUEST = 7
    """The CPU's request reaches the device; as of UP_REQUEST."""
    DOWN_COMPLETION = 8
    """The host answers read ``id`` of the device with ``bytes``; ``number`` is the byte count, ``lane`` the
    lower address."""
    STORAGE = 9
    """A storage command has its result: ``id`` is the ``StorageOp``, ``number`` the sector."""
    FRAME_OUT = 10
    """The device has sent a frame of ``bytes``."""
    FRAME_IN = 11
    """The device has received a frame of ``bytes``."""
    BYTES_OUT = 12
    """The device has sent ``bytes`` to its terminal."""
    BYTES_IN = 13
    """The device has taken ``bytes`` of its terminal, or of its source of noise."""
    STAGE = 32
    """A stage of a walker: the kind is this and that of the :class:`.StageKind`, ``lane`` the walker's."""


EVENT = (
    ("begin", 64),
    ("end", 64),
    ("number", 64),
    ("kind", 32),
    ("queue", 32),
    ("id", 32),
    ("bytes", 32),
    ("lane", 32),
    ("wire", 32),
)
"""The fields of an event and their bits. Times are cycles, ``wire`` the bytes of a TLP on the link."""

event_type = np.dtype([(name, f"<u{width // 8}") for name, width in EVENT])
"""A row of an array of events."""
