"""Message interrupts of a guest whose device is behind vfio-user: its own registers, and the eventfds."""

import os

from ringwalker.spec.pci import (
    MSI_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    MsiControl,
    MsixVectorControl,
)

from .client import Client
from .protocol import IrqIndex, Region

__all__ = ["MsiMessages", "MsixTable"]

_ONE_ENABLED = MsiControl.MESSAGES_ENABLED & -MsiControl.MESSAGES_ENABLED
"""The lowest bit of the field."""


class MsixTable:
    """The guest's MSI-X table, which is on this side of the socket, as are its pending bits, and the eventfds
    of its vectors. ``table`` and ``pending`` are the BAR and the offset of either."""

    def __init__(self, client: Client, vectors: int, table: tuple[int, int], pending: tuple[int, int]):
        self.client = client
        self.bar, self.first = table
        self._pending_bar, self._pending_first = pending
        self.entries = bytearray(vectors * MSIX_ENTRY_BYTES)
        self.vectors = vectors
        self.eventfds: dict[int, int] = {}
        self.pending: set[int] = set()

    def holds(self, bar: int, offset: int) -> bool:
        return bar == self.bar and self.first <= offset < self.first + len(self.entries)

    def holds_pending(self, bar: int, offset: int) -> bool:
        """Whether a place is one of the pending bits."""
        place = offset - self._pending_first
        return bar == self._pending_bar and 0 <= place < (self.vectors + 63) // 64 * 8

    def pending_bits(self, offset: int, size: int) -> int:
        """What ``size`` bytes of the pending bits say."""
        bits = sum(1 << vector for vector in self.pending)
        return bits >> 8 * (offset - self._pending_first) & (1 << 8 * size) - 1

    def field(self, vector: int, name: str) -> int:
        row = MSIX_TABLE_ENTRY[name]
        at = vector * MSIX_ENTRY_BYTES + row.offset
        return int.from_bytes(self.entries[at : at + row.size], "little")

    def enable(self, on: bool) -> None:
        if on == bool(self.eventfds):
            return
        if on:
            fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(self.vectors)]
            self.eventfds = {fd: vector for vector, fd in enumerate(fds)}
            self.client.disarm(IrqIndex.INTX)
            self.client.arm(IrqIndex.MSIX, fds)
            return
        self.client.disarm(IrqIndex.MSIX)
        self.close()

    def close(self) -> None:
        for fd in self.eventfds:
            os.close(fd)
        self.eventfds = {}

    def deliverable(self, function_mask: bool) -> list[tuple[int, int]]:
        """Take the messages of all pending vectors that are not masked, as (address, data)."""
        if function_mask:
            return []
        control = {vector: self.field(vector, "vector_control") for vector in sorted(self.pending)}
        ready = [vector for vector, value in control.items() if not value & MsixVectorControl.MASK]
        self.pending.difference_update(ready)
        return [
            (
                self.field(vector, "address_high") << 32 | self.field(vector, "address_low"),
                self.field(vector, "data"),
            )
            for vector in ready
        ]


class MsiMessages:
    """The messages of MSI: eventfds, for the messages that the guest's registers say.

    ``at`` is the offset of the capability, 0 for none.
    """

    def __init__(self, client: Client, at: int):
        self.client = client
        self.at = at
        self.control = at + MSI_CAPABILITY.control.offset if at else -1
        self.eventfds: dict[int, tuple[int, int]] = {}
        """Address and data of the message of each eventfd."""

    def _read(self, name: str) -> int:
        row = MSI_CAPABILITY[name]
        return int.from_bytes(self.client.read(Region.CONFIG, self.at + row.offset, row.size), "little")

    def enable(self, control: int) -> None:
        """The message control register was written."""
        on = bool(control & MsiControl.ENABLE)
        if on == bool(self.eventfds):
            return
        if not on:
            self.client.disarm(IrqIndex.MSI)
            self.close()
            return
        count = 1 << (control & MsiControl.MESSAGES_ENABLED) // _ONE_ENABLED
        address = self._read("address_high") << 32 | self._read("address_low")
        data = self._read("data") & -count
        fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(count)]
        self.eventfds = {fd: (address, data + number) for number, fd in enumerate(fds)}
        self.client.disarm(IrqIndex.INTX)
        self.client.arm(IrqIndex.MSI, fds)

    def close(self) -> None:
        """Close the eventfds."""
        for fd in self.eventfds:
            os.close(fd)
        self.eventfds = {}
