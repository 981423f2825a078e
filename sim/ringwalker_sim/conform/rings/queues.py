"""Rings as the checks need them: they write what they are told to, and show all that the device has written.

:mod:`.split_queue` and :mod:`.packed_queue` are the formats. Ref: virtio 1.4, 2.7 and 2.8.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ringwalker.spec.ring import DESC_ALIGN, DESC_BYTES, DESC_F_NEXT, DESC_F_WRITE

from ...memory import Buffer, GuestMemory

__all__ = ["Offer", "Piece", "Queue", "Used"]


@dataclass(frozen=True)
class Piece:
    """``length`` bytes at ``address``, which the device reads, or writes if ``writable``."""

    address: int
    length: int
    writable: bool = False


@dataclass(eq=False)
class Offer:
    """A buffer that was made available: its ``pieces``, the ``key`` that names it, and its descriptors of the
    ring, ``places``; ``tables`` are the indirect tables that describe it."""

    pieces: list[Piece]
    key: int = 0
    places: list[int] = field(default_factory=list)
    tables: list[Buffer] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Device-writable bytes."""
        return sum(piece.length for piece in self.pieces if piece.writable)


@dataclass(frozen=True)
class Used:
    """A used element: the ``offer`` that it names (None: of none in flight), its ``key`` and ``length``, and
    the ``flags`` of a packed descriptor. ``batched``: with IN_ORDER the element of a later buffer says it."""

    offer: Offer | None
    key: int
    length: int
    flags: int = 0
    batched: bool = False


class Queue(ABC):
    """Queue ``index`` with rings of ``size`` entries in ``memory``. ``in_flight`` are the offers by key.

    ``desc_address``, ``driver_address`` and ``device_address`` are what the registers are to hold.
    """

    desc_address: int
    driver_address: int
    device_address: int

    def __init__(self, memory: GuestMemory, index: int, size: int):
        self.memory = memory
        self.index = index
        self.size = size
        self.event_idx = self.in_order = False
        """Whether these features were negotiated."""
        self.in_flight: dict[int, Offer] = {}
        self.order: list[Offer] = []
        """All offers in the order in which they were made available, since the queue was set up."""
        self.areas: tuple[Buffer, ...] = ()

    # --- the driver's side ---------------------------------------------------------------------------------

    @abstractmethod
    def offer(
        self,
        pieces: Sequence[Piece],
        *,
        indirect: int = 0,
        places: Sequence[int] | None = None,
        table_flags: int = 0,
    ) -> Offer:
        """Describe a buffer. The device sees it with :meth:`publish`.

        ``indirect``: so many of the last pieces are in an indirect table; in a packed ring all are.
        ``places`` are the descriptors of a split ring to use, any free ones by default. ``table_flags`` are
        set in the descriptor that refers to the table.
        """

    @abstractmethod
    def reset(self) -> None:
        """Empty the rings, as when the queue is set up."""

    @abstractmethod
    def publish(self, count: int | None = None) -> None:
        """Make the oldest ``count`` buffers available that are not yet, by default all."""

    @property
    @abstractmethod
    def vacant(self) -> int:
        """Descriptors of the ring that describe nothing."""

    @property
    @abstractmethod
    def shown(self) -> int:
        """What a notification with data says of the queue. Ref: virtio 1.4, 2.9."""

    @abstractmethod
    def suppress(self, on: bool) -> None:
        """Ask for no used buffer notifications, or for all, by flags."""

    @abstractmethod
    def ask_after(self, count: int, span: int = 1) -> None:
        """With EVENT_IDX: ask for a notification once ``count`` more buffers are used (0: never for now),
        each of ``span`` descriptors of the ring."""

    # --- the device's side ---------------------------------------------------------------------------------

    @abstractmethod
    def take(self) -> list[Used]:
        """The used elements since the last call, in order."""

    def _used(self, key: int, length: int, flags: int = 0) -> list[Used]:
        """What a used element says is used: its buffer, and with ``in_order`` those before it."""
        offer = self.in_flight.get(key)
        if offer is None:
            return [Used(None, key, length, flags)]
        skipped: list[Used] = []
        if self.in_order:
            older = self.order[: self.order.index(offer)]
            skipped = [Used(item, item.key, item.room, batched=True) for item in older if self._is_out(item)]
        for item in (*(used.offer for used in skipped), offer):
            assert item is not None
            del self.in_flight[item.key]
            for table in item.tables:
                table.free()
            item.tables.clear()
        return [*skipped, Used(offer, key, length, flags)]

    def seen(self, used: Used, content: bool = True) -> tuple[int, bytes, int, int, bytes]:
        """What can be seen of a used buffer: the queue, what was in it, its room, the used length, and with
        ``content`` what was written."""
        assert used.offer is not None
        read, written = bytearray(), bytearray()
        for piece in used.offer.pieces:
            (written if piece.writable else read).extend(self.memory.read(piece.address, piece.length))
        shown = bytes(written[: used.length]) if content else b""
        return self.index, bytes(read), used.offer.room, used.length, shown

    def _is_out(self, offer: Offer) -> bool:
        return self.in_flight.get(offer.key) is offer

    @property
    @abstractmethod
    def waiting(self) -> bool:
        """Whether :meth:`take` would return something."""

    @property
    @abstractmethod
    def wants_kick(self) -> bool:
        """Whether the device wants a notification of what :meth:`publish` made available last."""

    def own_areas(self) -> dict[str, np.ndarray]:
        """Views of what only the driver may write, by name: descriptors of a split ring, available ring,
        indirect tables of what is in flight."""
        tables = {
            f"indirect table of buffer {offer.key}": table.array
            for offer in self.in_flight.values()
            for table in offer.tables
        }
        return tables | self._ring_areas()

    def snapshot(self) -> dict[str, np.ndarray]:
        """A copy of what :meth:`own_areas` views."""
        return {name: area.copy() for name, area in self.own_areas().items()}

    @abstractmethod
    def _ring_areas(self) -> dict[str, np.ndarray]:
        """Views of the areas of the ring that only the driver may write."""

    def free(self) -> None:
        """Free all memory."""
        self._forget()
        for area in self.areas:
            area.free()
        self.areas = ()

    def _forget(self) -> None:
        """No buffer is in flight any more."""
        for offer in self.in_flight.values():
            for table in offer.tables:
                table.free()
        self.in_flight.clear()
        self.order.clear()

    def _table(self, pieces: Sequence[Piece], struct: Any, chained: bool) -> Buffer:
        """An indirect table."""
        table = self.memory.allocate(len(pieces) * DESC_BYTES, DESC_ALIGN)
        rows = self.memory.struct_view(table.address, struct, len(pieces))
        for at, piece in enumerate(pieces):
            more = chained and at + 1 < len(pieces)
            rows[at]["addr"], rows[at]["len"] = piece.address, piece.length
            rows[at]["flags"] = (DESC_F_WRITE if piece.writable else 0) | (DESC_F_NEXT if more else 0)
            if chained:
                rows[at]["next"] = at + 1 if more else 0
        return table
