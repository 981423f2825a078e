"""The port of a guest over vfio-user: this project's drivers in the place of a virtual machine."""

import mmap
import os
import select
import time
from collections.abc import Callable

import numpy as np

from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    BarType,
    CapabilityId,
    Command,
    MsixControl,
    MsixTableOffset,
)

from ..guest.loop import Loop, StuckError
from ..guest.port import Port, make_bdf
from ..memory import GuestMemory
from .client import Client
from .client_interrupts import MsiMessages, MsixTable
from .protocol import IrqIndex, Region

__all__ = ["SharedMemory", "VfioPort"]

_HANG_S = 60.0
_MSI_ADDRESS = 0xFEE0_0000


class SharedMemory(GuestMemory):
    """Guest RAM in a memfd, ``fd``, which another process can map."""

    def __init__(self, size: int, base: int = 0):
        super().__init__(size, base)
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, size)
        self.array: np.ndarray = np.frombuffer(mmap.mmap(self.fd, size), dtype=np.uint8)

    def close(self) -> None:
        """Close the descriptor; the memory stays while it is mapped anywhere."""
        os.close(self.fd)


class VfioPort(Loop, Port):
    """A :class:`~ringwalker_sim.guest.port.Port` whose device is behind the vfio-user socket ``path``.

    RAM is ``memory``. With ``by_message`` it is mapped without its descriptor, so that DMA of the device
    arrives as messages. Time is real time in microseconds, independent of the device's clock. Use it as a
    context manager. Errors: :class:`StuckError` when a wait without a time limit sees no event for a minute.
    """

    clock_mhz = 1

    def __init__(self, path, memory: SharedMemory, by_message: bool = False):
        super().__init__()
        self.memory: SharedMemory = memory
        self.client = Client(path)
        self.by_message = by_message
        self.bdf = make_bdf(1, 0)
        self.sizes = {bar: self.client.region_size(bar) for bar in range(Region.BAR5 + 1)}
        self._config_bytes = self.client.region_size(Region.CONFIG)
        self._bars: list[tuple[int, int, bool]] | None = None
        self._messages: dict[tuple[int, int], Callable[[], None]] = {}
        self._intx_callbacks: list[Callable[[], None]] = []
        self._intx_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._intx_masked = False
        self._function_mask = True
        self.interrupts = 0
        self._arm_line()
        self._control, self.msix = self._find_msix()
        self.msi = MsiMessages(self.client, self._find_capability(CapabilityId.MSI))
        self.map_memory()

    def _arm_line(self) -> None:
        if self.client.irq_info(IrqIndex.INTX)[1]:
            self.client.arm(IrqIndex.INTX, [self._intx_fd])

    def map_memory(self) -> None:
        """Map all RAM for the device."""
        memory = self.memory
        if self.by_message:
            self.client.map(memory.base, memory.size, buffer=memory.array.data)
        else:
            self.client.map(memory.base, memory.size, fd=memory.fd)

    def unmap_memory(self) -> None:
        """Unmap the RAM."""
        self.client.unmap(self.memory.base, self.memory.size)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()
        self.msix.close()
        self.msi.close()
        if self._intx_fd >= 0:
            os.close(self._intx_fd)
            self._intx_fd = -1

    def __enter__(self) -> "VfioPort":
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    def _config(self, offset: int, size: int) -> int:
        return int.from_bytes(self.client.read(Region.CONFIG, offset, size), "little")

    def _find_capability(self, number: int) -> int:
        """The offset of a capability, 0 if there is none."""
        at = self._config(HEADER.capabilities_pointer.offset, 1)
        while at and self._config(at, 1) != number:
            at = self._config(at + 1, 1)
        return at

    def _find_msix(self) -> tuple[int, MsixTable]:
        at = self._find_capability(CapabilityId.MSIX)
        if not at:
            return -1, MsixTable(self.client, 0, (-1, 0), (-1, 0))
        control = at + MSIX_CAPABILITY.control.offset
        vectors = (self._config(control, 2) & MsixControl.TABLE_SIZE) + 1
        mask = int(MsixTableOffset.BAR)
        table, pending = (
            (place & mask, place & ~mask)
            for place in (self._config(at + MSIX_CAPABILITY[name].offset, 4) for name in ("table", "pba"))
        )
        return control, MsixTable(self.client, vectors, table, pending)

    # --- the loop -----------------------------------------------------------------------------------------

    def now(self) -> int:
        """Microseconds."""
        return time.monotonic_ns() // 1000

    def advance(self, deadline: int | None) -> None:
        """Wait for an interrupt, a message or ``deadline``."""
        seconds = _HANG_S if deadline is None else max(0.0, (deadline - self.now()) / 1e6)
        poll = select.poll()
        for fd in (self.client.fileno(), self._intx_fd, *self.msix.eventfds, *self.msi.eventfds):
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _events in poll.poll(1000 * seconds)]
        if not ready and deadline is None:
            raise StuckError(f"nothing has happened for {_HANG_S} seconds")
        for fd in ready:
            if fd == self.client.fileno():
                self.client.poll()
                continue
            os.eventfd_read(fd)
            self.interrupts += 1
            if fd == self._intx_fd:
                self._intx_masked = True
                for callback in self._intx_callbacks:
                    callback()
            elif fd in self.msi.eventfds:
                self._send(self.msi.eventfds[fd])
            else:
                self.msix.pending.add(self.msix.eventfds[fd])
        self._deliver()

    def _deliver(self) -> None:
        for message in self.msix.deliverable(self._function_mask):
            self._send(message)

    def _send(self, message: tuple[int, int]) -> None:
        """A message arrives."""
        if message in self._messages:
            self._messages[message]()

    # --- the port -----------------------------------------------------------------------------------------

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space; all ones where there is no function, or none of its bytes."""
        there = bdf == self.bdf and offset + size <= self._config_bytes
        return self._config(offset, size) if there else (1 << 8 * size) - 1

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        if bdf != self.bdf or offset + size > self._config_bytes:
            return
        self.client.write(Region.CONFIG, offset, value.to_bytes(size, "little"))
        self._bars = None
        by_message = bool(self.msix.eventfds or self.msi.eventfds)
        if offset == self._control:
            self._function_mask = bool(value & MsixControl.FUNCTION_MASK)
            self.msix.enable(bool(value & MsixControl.ENABLE))
            self._deliver()
        elif offset == self.msi.control:
            self.msi.enable(value)
        if by_message and not self.msix.eventfds and not self.msi.eventfds:
            self._arm_line()

    def _find(self, address: int, size: int, io: bool) -> tuple[int, int] | None:
        """Region and offset of an access."""
        if self._bars is None:
            self._bars = []
            command = self._config(HEADER.command.offset, 2)
            for bar, length in self.sizes.items():
                register = HEADER[f"bar{bar}"].offset
                low = self._config(register, 4) if length else 0
                is_io = bool(low & BarType.IO)
                enabled = command & (Command.IO_ENABLE if is_io else Command.MEMORY_ENABLE)
                if length and enabled:
                    high = self._config(register + 4, 4) if low & BarType.MEMORY_64 and not is_io else 0
                    self._bars.append((bar, high << 32 | low & ~(length - 1), is_io))
        for bar, start, is_io in self._bars:
            if is_io == io and start <= address and address + size <= start + self.sizes[bar]:
                return bar, address - start
        return None

    def _read(self, address: int, size: int, io: bool) -> int:
        place = self._find(address, size, io)
        if place is None:
            return (1 << 8 * size) - 1
        bar, offset = place
        if not io and self.msix.holds(bar, offset):
            at = offset - self.msix.first
            return int.from_bytes(self.msix.entries[at : at + size], "little")
        value = int.from_bytes(self.client.read(bar, offset, size), "little")
        if not io and self.msix.holds_pending(bar, offset):
            # The device masks all vectors, this side each of them.
            value |= self.msix.pending_bits(offset, size)
        self._unmask()
        return value

    def _write(self, address: int, size: int, value: int, io: bool) -> None:
        place = self._find(address, size, io)
        if place is None:
            return
        bar, offset = place
        if not io and self.msix.holds(bar, offset):
            at = offset - self.msix.first
            self.msix.entries[at : at + size] = value.to_bytes(size, "little")
            self._deliver()
            return
        self.client.write(bar, offset, value.to_bytes(size, "little"), posted=not io)

    def _unmask(self) -> None:
        """Unmask INTx on an access to the device, which counts as the end of the interrupt, as in QEMU."""
        if self._intx_masked:
            self._intx_masked = False
            self.client.unmask(IrqIndex.INTX)

    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space; all ones for an unmapped address."""
        return self._read(address, size, False)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space, posted."""
        self._write(address, size, value, False)

    async def io_read(self, address: int, size: int) -> int:
        """Read I/O space; all ones for an unmapped address."""
        return self._read(address, size, True)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """Write I/O space."""
        self._write(address, size, value, True)

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data of its own for ``callback``."""
        message = _MSI_ADDRESS, 0x20 + len(self._messages)
        self._messages[message] = callback
        return message

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs whenever the interrupt's eventfd is written."""
        self._intx_callbacks.append(callback)
