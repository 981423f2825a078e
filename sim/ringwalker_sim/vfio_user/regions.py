"""The regions of a vfio-user device, configuration space and BARs, as requests to the engine's device."""

import errno
import logging
from collections.abc import Iterable, Iterator, Sequence

from ringwalker.pci.capabilities import Bar, expansion_rom, layout
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    EXTENDED_CONFIG_SPACE_BYTES,
    HEADER,
    Command,
    ExpansionRom,
)
from ringwalker.spec.pcie import DeviceControl
from ringwalker.spec.tlp import MAX_LENGTH_DWORDS, RequestKind

from ..engine.native.peer_layout import BARS
from ..engine.native.served import CWindow, ServedEngine
from .bodies import RegionAccess
from .msi_registers import MsiRegisters
from .protocol import Region

__all__ = ["Regions"]

log = logging.getLogger("ringwalker.vfio_user")

_DWORD = 4
_READ_BYTES = 4 * MAX_LENGTH_DWORDS
_WRITE_BYTES = 128
"""Bytes of payload that every device accepts."""

_PLACE_BYTES = 1 << 28
_PLACES = range(_PLACE_BYTES, 16 * _PLACE_BYTES, _PLACE_BYTES)
"""Where a BAR can be that the guest has not put anywhere: more places than there are BARs."""

_MSI_PLACE = 0x1000
"""Where in the window of messages those of MSI are; those of MSI-X are at its beginning."""

_COMMAND = HEADER["command"].offset
_BARS = range(HEADER["bar0"].offset, HEADER["bar5"].offset + _DWORD, _DWORD)


def _pieces(start: int, count: int, limit: int) -> Iterator[tuple[int, int]]:
    """The (start, length) pieces of a range; none crosses a multiple of ``limit``."""
    end = start + count
    while start < end:
        stop = min(end, start - start % limit + limit)
        yield start, stop - start
        start = stop


def _dword(value: int) -> bytes:
    return value.to_bytes(_DWORD, "little")


class Regions:
    """Reads and writes of the regions of the device that ``engine`` simulates.

    An access to a BAR uses the address in the device's register. While the BAR is not decoded, reads give all
    ones and writes are dropped. Writes of BARs are posted; other accesses are complete when the method
    returns. ``accesses`` counts them by kind. The guest's messages of MSI stay here; those of the device go
    to ``msi_address``.

    ``windows`` are the BARs that the device is known to decode in memory space, for whoever makes requests of
    their accesses elsewhere. ``begun`` is the ticket of a request for the next read, 0 for none.

    Errors: ``OSError`` (EINVAL) for an access that is not inside its region.
    """

    def __init__(self, engine: ServedEngine):
        self._engine = engine
        self._layout = layout(engine.config)
        self._bars: dict[int, Bar] = {bar.index: bar for bar in self._layout.bars}
        self._rom = next(iter(expansion_rom(engine.config)), None)
        self.msi_address = engine.host.msi_window[0] + _MSI_PLACE
        self._msi = MsiRegisters(self._layout["msi"], self.msi_address) if engine.config.pci.msi else None
        self._command = 0
        self._addresses: dict[int, int] = {}
        self.windows = (CWindow * BARS)()
        self.begun = 0
        self.accesses = dict.fromkeys(("config_reads", "config_writes", "bar_reads", "bar_writes"), 0)

    def size(self, region: int) -> int:
        """Bytes in a region, 0 if it is absent. Configuration space is extended if anything is there."""
        if region == Region.CONFIG:
            return EXTENDED_CONFIG_SPACE_BYTES if self._layout.extended else CONFIG_SPACE_BYTES
        if region == Region.ROM:
            return self._rom.size if self._rom else 0
        return self._bars[region].size if region in self._bars else 0

    def reset(self) -> None:
        """The device was reset."""
        self._forget()
        if self._msi:
            self._msi.forget()

    def listen(self, first: int, armed: Sequence[bool]) -> None:
        """Whether the peer listens to each message of MSI from ``first`` on; others stay pending."""
        if self._msi:
            self._msi.listen(first, armed)
            self._write(RequestKind.CONFIG_WRITE_0, self._msi.place, self._msi.of_device(), _DWORD)

    def _forget(self) -> None:
        """Forget the addresses of BARs and the request that was begun."""
        self._addresses = {}
        self.begun = 0
        for window in self.windows:
            window.size = 0

    def _check(self, access: RegionAccess) -> None:
        size = self.size(access.region)
        if access.offset + access.count > size:
            raise OSError(
                errno.EINVAL,
                f"{access.count} bytes at {access.offset:#x} are not inside region {access.region}, "
                f"which has {size:#x}",
            )

    def read(self, access: RegionAccess) -> bytes:
        """Read bytes of a region; all ones where the device does not decode them."""
        self._check(access)
        if access.region == Region.CONFIG:
            self.accesses["config_reads"] += 1
            data = self._read(RequestKind.CONFIG_READ_0, access.offset, access.count, _DWORD)
            return self._msi.read(access.offset, data) if self._msi else data
        self.accesses["bar_reads"] += 1
        if access.region == Region.ROM:
            return self._read_rom(access)
        bar = self._bars.get(access.region)
        if bar is None:
            return b""
        if self.begun:
            ticket, self.begun = self.begun, 0
            return self._engine.read_bytes(ticket, access.count)
        address = self._address(bar) + access.offset
        if bar.io:
            return self._read(RequestKind.IO_READ, address, access.count, _DWORD)
        return self._read(RequestKind.MEMORY_READ, address, access.count, _READ_BYTES)

    def _read_rom(self, access: RegionAccess) -> bytes:
        """Read the expansion ROM, which nobody need have enabled; its registers are as before afterwards."""
        if self._rom is None:
            return b""
        address = (1 << 32) - self._rom.size
        place, command = HEADER.expansion_rom.offset, Command.MEMORY_ENABLE.to_bytes(2, "little")
        enabled = (address | ExpansionRom.ENABLE).to_bytes(_DWORD, "little")
        saved = [
            (at, self._read(RequestKind.CONFIG_READ_0, at, size, _DWORD))
            for at, size in ((_COMMAND, 2), (place, _DWORD))
        ]
        merged = bytes(old | new for old, new in zip(saved[0][1], command, strict=True))
        for at, raw in ((place, enabled), (_COMMAND, merged)):
            self._write(RequestKind.CONFIG_WRITE_0, at, raw, _DWORD)
        data = self._read(RequestKind.MEMORY_READ, address + access.offset, access.count, _READ_BYTES)
        for at, raw in saved:
            self._write(RequestKind.CONFIG_WRITE_0, at, raw, _DWORD)
        return data

    def _read(self, kind: RequestKind, address: int, count: int, limit: int) -> bytes:
        engine = self._engine
        asked = [
            (engine.submit(kind, start, length), length) for start, length in _pieces(address, count, limit)
        ]
        return b"".join([engine.read_bytes(ticket, length) for ticket, length in asked])

    def write(self, access: RegionAccess) -> bool:
        """Write a region; gives whether that resets the function."""
        self._check(access)
        if access.region == Region.CONFIG:
            self.accesses["config_writes"] += 1
            return self._write_config(access)
        self.accesses["bar_writes"] += 1
        bar = self._bars.get(access.region)
        if bar is None:
            return False
        address = self._address(bar) + access.offset
        if not self._command & (Command.IO_ENABLE if bar.io else Command.MEMORY_ENABLE):
            log.debug("dropped a write to BAR %d, which is not decoded: %s", bar.index, access)
        elif bar.io:
            self._write(RequestKind.IO_WRITE, address, access.data, _DWORD)
        else:
            self._write(RequestKind.MEMORY_WRITE, address, access.data, _WRITE_BYTES)
        return False

    def _write_config(self, access: RegionAccess) -> bool:
        """Write configuration space; gives whether that resets the function."""
        data = access.data
        if self._msi and self._msi.concerns(access.offset, access.count):
            data = self._msi.write(access.offset, data)
            # Before it may be enabled.
            self._write(RequestKind.CONFIG_WRITE_0, self._msi.place, self._msi.of_device(), _DWORD)
        self._write(RequestKind.CONFIG_WRITE_0, access.offset, data, _DWORD)
        resets = self._resets(access)
        if resets:
            self.reset()
        elif access.offset < _BARS.stop and access.offset + access.count > _COMMAND:
            self._forget()
        return resets

    def _resets(self, access: RegionAccess) -> bool:
        """Whether a write of configuration space initiates a function-level reset."""
        dword, shift, _width = self._layout["pcie"].locate("device_control")
        bit = 32 * dword + shift + int(DeviceControl.INITIATE_FUNCTION_LEVEL_RESET).bit_length() - 1
        return bool(int.from_bytes(access.data, "little") << 8 * access.offset >> bit & 1)

    def _write(self, kind: RequestKind, address: int, data: bytes, limit: int) -> None:
        engine = self._engine
        tickets = []
        for start, length in _pieces(address, len(data), limit):
            at = start - address
            tickets.append(engine.submit(kind, start, length, data[at : at + length]))
        if kind is not RequestKind.MEMORY_WRITE:
            for ticket in tickets:
                engine.wait(ticket)

    def _address(self, bar: Bar) -> int:
        """The address at which the device decodes ``bar``."""
        if not self._addresses:
            first = _COMMAND - _COMMAND % _DWORD
            raw = self._read(RequestKind.CONFIG_READ_0, first, _BARS.stop - first, _DWORD)
            values = [int.from_bytes(raw[at - first :][:_DWORD], "little") for at in _BARS]
            self._command = int.from_bytes(raw[_COMMAND - first :][:2], "little")
            for item in self._bars.values():
                low = values[item.index] & item.writable
                high = values[item.index + 1] if item.is_64 else 0
                self._addresses[item.index] = high << 32 | low
                if self._command & Command.MEMORY_ENABLE and not item.io:
                    self.windows[item.index] = CWindow(high << 32 | low, item.size)
        return self._addresses[bar.index]

    def write_registers(self, bar: int, writes: Iterable[tuple[int, int]]) -> None:
        """Write dwords (offset, value) of a 32-bit BAR of memory space, whatever the guest does with it.

        For that time the BAR is at a place of its own. The writes have arrived when this returns.
        """
        address = self._address(self._bars[bar])
        others = [at for index, at in self._addresses.items() if index != bar]
        place = next(at for at in _PLACES if not any(at <= other < at + _PLACE_BYTES for other in others))
        register = HEADER[f"bar{bar}"].offset
        command = self._command | Command.MEMORY_ENABLE
        self._write(RequestKind.CONFIG_WRITE_0, register, _dword(place), _DWORD)
        self._write(RequestKind.CONFIG_WRITE_0, _COMMAND, command.to_bytes(2, "little"), _DWORD)
        for offset, value in writes:
            self._write(RequestKind.MEMORY_WRITE, place + offset, _dword(value), _DWORD)
        # They do not overtake the writes of memory, and are answered.
        self._write(RequestKind.CONFIG_WRITE_0, _COMMAND, self._command.to_bytes(2, "little"), _DWORD)
        self._write(RequestKind.CONFIG_WRITE_0, register, _dword(address), _DWORD)
