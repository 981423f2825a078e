"""The registers of MSI as the guest sees them. Ref: PCI 3.0, 6.8.1."""

from collections.abc import Sequence

from ringwalker.pci.structure import Structure

__all__ = ["MsiRegisters"]


def _laid_over(data: bytes, offset: int, over: bytes, place: int) -> bytes:
    """``data``, which stands at ``offset``, with those bytes of ``over`` that stand at ``place`` in it."""
    first, last = max(offset, place), min(offset + len(data), place + len(over))
    if first >= last:
        return data
    return data[: first - offset] + over[first - place : last - place] + data[last - offset :]


class MsiRegisters:
    """Address, data and mask of the MSI ``capability``: the guest's are not those that the device has.

    The guest's are kept here. The device has ``address``, the number of a message as its data, and a mask
    that holds back also what nobody listens to, so that it stays pending.
    """

    def __init__(self, capability: Structure, address: int):
        table = capability.table
        self.capability = capability
        self.place = capability.offset + table.address_low.offset
        """Offset of the first of these registers in configuration space."""
        self._end = capability.offset + table.pending.offset
        self._address = address
        self._heard = 0
        self._guest: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """The device was reset: all of the guest's are 0. Who listens stays."""
        self._guest = dict.fromkeys(("address_low", "address_high", "data", "mask"), 0)

    def listen(self, first: int, armed: Sequence[bool]) -> None:
        """Whether somebody listens to each message from ``first`` on."""
        for message, wanted in enumerate(armed, first):
            self._heard = self._heard & ~(1 << message) | wanted << message

    def concerns(self, offset: int, size: int) -> bool:
        """Whether an access reaches the capability, as far as software writes it."""
        return offset < self._end and offset + size > self.capability.offset

    def _bytes(self, values: dict[str, int]) -> bytes:
        result = bytearray(self._end - self.place)
        for name, value in values.items():
            row = self.capability.table[name]
            at = self.capability.offset + row.offset - self.place
            result[at : at + row.size] = value.to_bytes(row.size, "little")
        return bytes(result)

    def of_device(self) -> bytes:
        """What the device has from ``place`` on."""
        unheard = ~self._heard & self.capability.writable["mask"]
        low, high = self._address & 0xFFFF_FFFF, self._address >> 32
        return self._bytes({"address_low": low, "address_high": high, "mask": self._guest["mask"] | unheard})

    def read(self, offset: int, data: bytes) -> bytes:
        """What the guest reads where the device has ``data``."""
        return _laid_over(data, offset, self._bytes(self._guest), self.place)

    def write(self, offset: int, data: bytes) -> bytes:
        """The guest writes ``data``; what the device is to get in its place."""
        raw = _laid_over(self._bytes(self._guest), self.place, data, offset)
        for name in self._guest:
            row = self.capability.table[name]
            at = self.capability.offset + row.offset - self.place
            value = int.from_bytes(raw[at : at + row.size], "little")
            self._guest[name] = value & self.capability.writable[name]
        return _laid_over(data, offset, self.of_device(), self.place)
