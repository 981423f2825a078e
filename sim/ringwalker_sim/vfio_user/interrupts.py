"""Interrupts of a vfio-user device: its eventfds, and the conditions for writing them."""

import contextlib
import ctypes
import errno
import logging
import os
import sys
from collections.abc import Callable, Sequence

from .bodies import IrqSet
from .protocol import IrqFlag, IrqIndex, IrqSetFlag

__all__ = ["Interrupts", "Intx", "Vectors"]

log = logging.getLogger("ringwalker.vfio_user")

_ONE = (1).to_bytes(8, sys.byteorder)
_DATA = IrqSetFlag.DATA_NONE | IrqSetFlag.DATA_BOOL | IrqSetFlag.DATA_EVENTFD
_ACTION = IrqSetFlag.ACTION_MASK | IrqSetFlag.ACTION_UNMASK | IrqSetFlag.ACTION_TRIGGER


def _signal(fd: int) -> bool:
    try:
        os.write(fd, _ONE)
    except BlockingIOError:
        pass  # The counter is full: the other side has an unread event already.
    except OSError as error:
        log.warning("an interrupt was lost: %s", error)
        return False
    return True


def _close(fd: int) -> None:
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


class Intx:
    """The interrupt line: an eventfd that is masked by each write until the peer unmasks it.

    There are two levels. ``line`` is the level that the device drives now. :meth:`set_level` is called when
    all earlier events of the device have been carried out. The eventfd is written while both are high: not
    before the data of the interrupt has arrived, and not after the device has released the line.
    """

    def __init__(self):
        self.line = False
        self.level = False
        self.masked = False
        self.fired = 0
        self._fd = -1

    def arm(self, fd: int) -> None:
        """Use ``fd`` from now on, -1 for none; it starts unmasked."""
        _close(self._fd)
        self._fd = fd
        self.unmask()

    def set_level(self, level: bool) -> None:
        """The line changed to ``level``, and all earlier events of the device have been carried out."""
        self.level = level
        self._look()

    def mask(self) -> None:
        """Mask the interrupt."""
        self.masked = True

    def unmask(self) -> None:
        """Unmask the interrupt; it is signalled at once if the level is high."""
        self.masked = False
        self._look()

    def fire(self) -> None:
        """Write the eventfd whatever the level is."""
        if self._fd >= 0 and _signal(self._fd):
            self.fired += 1

    def _look(self) -> None:
        if self.level and self.line and not self.masked and self._fd >= 0:
            self.masked = True
            self.fire()


class Vectors:
    """The vectors of MSI-X, or the messages of MSI, an eventfd each.

    ``program(first, armed)`` has those masked that have none.

    ``eventfds`` is an array of 32-bit integers, -1 for a vector without one, which stays at its place.
    """

    def __init__(self, vectors: int, program: Callable[[int, Sequence[bool]], None]):
        self.fired = 0
        self.eventfds = (ctypes.c_int32 * vectors)(*[-1] * vectors)
        self._program = program

    def __len__(self) -> int:
        return len(self.eventfds)

    def arm(self, start: int, fds: Sequence[int]) -> None:
        """Use ``fds`` (-1 for none) for the vectors from ``start`` on."""
        for vector, fd in enumerate(fds, start):
            _close(self.eventfds[vector])
            self.eventfds[vector] = fd
        if fds:
            self._program(start, [fd >= 0 for fd in fds])

    def disarm(self) -> None:
        """Remove all eventfds."""
        if any(fd >= 0 for fd in self.eventfds):
            self.arm(0, [-1] * len(self.eventfds))

    def apply(self) -> None:
        """Program all vectors again, after a reset of the device."""
        if any(fd >= 0 for fd in self.eventfds):
            self._program(0, [fd >= 0 for fd in self.eventfds])

    def fire(self, vector: int) -> None:
        """Write the eventfd of ``vector``, if the vector exists and has one."""
        if 0 <= vector < len(self.eventfds) and self.eventfds[vector] >= 0 and _signal(self.eventfds[vector]):
            self.fired += 1


class Interrupts:
    """Carries out DEVICE_SET_IRQS on the interrupts of the device. ``msi`` is empty if it has no MSI."""

    def __init__(self, intx: Intx, msix: Vectors, msi: Vectors):
        self.intx = intx
        self._vectors: dict[int, Vectors] = {IrqIndex.MSIX: msix, IrqIndex.MSI: msi}

    def info(self, index: int) -> tuple[int, int]:
        """Flags and number of vectors of an interrupt kind."""
        if index == IrqIndex.INTX:
            return IrqFlag.EVENTFD | IrqFlag.MASKABLE | IrqFlag.AUTOMASKED, 1
        if self._vectors.get(index):
            return IrqFlag.EVENTFD | IrqFlag.NORESIZE, len(self._vectors[index])
        return 0, 0

    def disarm(self) -> None:
        """Remove all eventfds."""
        self.intx.arm(-1)
        for vectors in self._vectors.values():
            vectors.disarm()

    def set(self, request: IrqSet, fds: list[int]) -> None:
        """Carry out a request; owns ``fds``. Errors: ``OSError`` for an invalid or unsupported request."""
        unused = list(fds)
        try:
            for fd in fds:
                os.set_blocking(fd, False)
            if self._set(request, fds):
                unused.clear()
        finally:
            for fd in unused:
                _close(fd)

    def _set(self, request: IrqSet, fds: list[int]) -> bool:
        """Carry out a request; whether the descriptors were kept."""
        kind, action = request.flags & _DATA, request.flags & _ACTION
        _flags, vectors = self.info(request.index)
        if kind.bit_count() != 1 or action.bit_count() != 1 or request.start + request.count > vectors:
            raise OSError(errno.EINVAL, f"{request} is not for an interrupt of {vectors} vectors")
        if action == IrqSetFlag.ACTION_TRIGGER and kind == IrqSetFlag.DATA_EVENTFD:
            if len(fds) not in (0, request.count):
                raise OSError(errno.EINVAL, f"{len(fds)} descriptors for {request.count} vectors")
            self._arm(request, fds or [-1] * request.count)
            return True
        if kind == IrqSetFlag.DATA_EVENTFD:
            raise OSError(errno.ENOTSUP, "masking by eventfd is not supported")
        if fds:
            raise OSError(errno.EINVAL, f"{request} came with {len(fds)} descriptors")
        if request.count == 0:
            if action != IrqSetFlag.ACTION_TRIGGER:
                raise OSError(errno.EINVAL, f"{request} names no vector")
            self._disarm(request.index)
            return False
        chosen = [kind == IrqSetFlag.DATA_NONE or bool(request.data[n]) for n in range(request.count)]
        if action == IrqSetFlag.ACTION_TRIGGER:
            for vector, wanted in enumerate(chosen, request.start):
                if wanted:
                    self._fire(request.index, vector)
        elif request.index != IrqIndex.INTX:
            raise OSError(errno.ENOTSUP, "messages are masked in the registers of their vectors")
        elif chosen[0] and action == IrqSetFlag.ACTION_MASK:
            self.intx.mask()
        elif chosen[0]:
            self.intx.unmask()
        return False

    def _arm(self, request: IrqSet, fds: list[int]) -> None:
        if request.index == IrqIndex.INTX and request.count:
            self.intx.arm(fds[0])
        elif request.count:
            self._vectors[request.index].arm(request.start, fds)

    def _disarm(self, index: int) -> None:
        if index == IrqIndex.INTX:
            self.intx.arm(-1)
        elif index in self._vectors:
            self._vectors[index].disarm()

    def _fire(self, index: int, vector: int) -> None:
        if index == IrqIndex.INTX:
            self.intx.fire()
        else:
            self._vectors[index].fire(vector)
