"""A queue of buffers to a device, for every transport, with the operations of the interface of 2007.

:mod:`.split_queue` implements it with rings in shared memory, :mod:`.transport.pipe` over a byte stream.
Ref: 2007: ``struct virtqueue`` and ``struct virtqueue_ops``.
"""

import errno
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import DeviceError

__all__ = ["Chain", "Virtqueue"]


@dataclass(eq=False, slots=True)
class Chain:
    """An added buffer: ``data`` is its token, ``number`` counts buffers in the order of adding.

    ``sg`` are (address, length) pieces, the first ``out_num`` device-readable. ``writable`` is the number of
    device-writable bytes. ``place`` belongs to the implementation.
    """

    data: Any
    sg: list[tuple[int, int]]
    out_num: int
    number: int = 0
    place: Any = None
    writable: int = field(init=False)

    def __post_init__(self):
        self.writable = sum([length for _, length in self.sg[self.out_num :]])

    @property
    def readable(self) -> int:
        """Number of device-readable bytes."""
        return sum(length for _, length in self.sg[: self.out_num])


class Virtqueue(ABC):
    """A queue of ``size`` descriptors to the device ``vdev``.

    ``callback(vq)`` runs when the device has used buffers. When it returns False, callbacks (and the device's
    notifications) are suppressed until :meth:`restart`. ``priv`` is free for the driver. ``kicks``,
    ``interrupts`` and ``spurious`` count. A ``broken`` queue accepts no more buffers.
    Errors: :class:`DeviceError` when the device breaks the rules of a queue.
    """

    def __init__(
        self,
        size: int,
        *,
        index: int = 0,
        callback: Callable[["Virtqueue"], bool] | None = None,
        vdev: Any = None,
    ):
        self.size = size
        self.index = index
        self.callback = callback
        self.vdev = vdev
        self.priv: Any = None
        self.kicks = self.interrupts = self.spurious = 0
        self.broken = False
        self._chains: dict[int, Chain] = {}
        self._done: deque[tuple[Any, int]] = deque()
        self._number = 0
        self._suppressed = False

    # --- what implementations do ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def num_free(self) -> int:
        """Free descriptors."""

    def descriptors(self, pieces: int) -> int:
        """Descriptors that a buffer of ``pieces`` pieces occupies."""
        return pieces

    @abstractmethod
    def _expose(self, chain: Chain) -> None:
        """Put ``chain``, for which there is room, into ``_chains``; the device sees it with :meth:`kick`."""

    @abstractmethod
    def _pending(self) -> int:
        """Number of used buffers that :meth:`_take` has not returned. Errors: :class:`DeviceError`."""

    @abstractmethod
    def _take(self) -> tuple[Chain, int] | None:
        """The next used buffer, removed from ``_chains``, and the bytes written. Errors:
        :class:`DeviceError`.
        """

    @abstractmethod
    async def kick(self) -> None:
        """Show the device all added buffers, and notify it unless it suppresses notifications."""

    @abstractmethod
    async def shutdown(self) -> list[Any]:
        """Take back all buffers that the device has not used; their tokens, in the order of adding.

        When this returns the device no longer accesses any buffer of the queue. Buffers that it used before
        are returned by :meth:`get_buf`, so every token comes back exactly once. The queue can be used again
        unless it is ``broken``.
        """

    @abstractmethod
    async def detach(self, data: Any) -> bool:
        """Take back the one buffer whose token is ``data``; the others stay.

        When this returns the device no longer accesses it. True: it was taken back, and :meth:`get_buf` does
        not return it. False: it is not in the queue, or the device has used it, and then :meth:`get_buf`
        returns it. Errors: :class:`BindError` when the transport cannot stop a single queue.
        """

    @abstractmethod
    def free(self) -> None:
        """Free the memory of the queue. The queue must be disabled on the device."""

    def _ask_interrupts(self, wanted: bool) -> None:
        """Enable or suppress used buffer notifications. The device may send them all the same."""
        return

    # --- the operations of 2007 ----------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Number of buffers added and not yet returned."""
        return len(self._chains) + len(self._done)

    @property
    def held(self) -> int:
        """Number of buffers that the device may access."""
        return len(self._chains)

    def add_buf(self, sg: Sequence[tuple[int, int]], out_num: int, in_num: int, data: Any) -> int:
        """Add a buffer of ``out_num`` device-readable (address, length) pieces, then ``in_num`` writable
        ones.

        ``data`` is the token that :meth:`get_buf` returns, not None. Returns 0, or a negative errno: -ENOSPC
        when there are too few free descriptors, -EINVAL for invalid arguments, -EIO on a broken queue.
        """
        count = out_num + in_num
        if self.broken:
            return -errno.EIO
        if count != len(sg) or count < 1 or out_num < 0 or in_num < 0 or data is None:
            return -errno.EINVAL
        if count > self.size or min([length for _, length in sg]) < 1:
            return -errno.EINVAL
        if self.descriptors(count) > self.num_free:
            return -errno.ENOSPC
        self._number += 1
        chain = Chain(data, list(sg), out_num, self._number)
        self._expose(chain)
        self._note_added(chain)
        return 0

    def _note_added(self, chain: Chain) -> None:
        """A buffer was added."""
        return

    @property
    def used_pending(self) -> bool:
        """Whether :meth:`get_buf` would return a buffer or raise."""
        if self._done:
            return True
        try:
            return not self.broken and self._pending() > 0
        except DeviceError:
            return True

    def get_buf(self) -> tuple[Any, int] | None:
        """The next used buffer's token and the number of bytes written into it, or None."""
        if self._done:
            return self._done.popleft()
        taken = None if self.broken else self._take()
        return None if taken is None else (taken[0].data, taken[1])

    def restart(self) -> bool:
        """Enable callbacks again. False (and they stay suppressed) when used buffers are waiting."""
        self._ask_interrupts(True)
        if self._done or (not self.broken and self._pending()):
            self._suppress()
            return False
        self._suppressed = False
        return True

    def _suppress(self) -> None:
        self._suppressed = True
        self._ask_interrupts(False)

    def interrupt(self) -> None:
        """A used buffer notification has arrived. For transports. Spurious ones are counted."""
        self.interrupts += 1
        if self._suppressed or not self.used_pending:
            self.spurious += 1
        else:
            self._run_callback()

    def _run_callback(self) -> None:
        if self.callback is not None and not self.callback(self):
            self._suppress()

    def _announce(self) -> None:
        """Run the callback for used buffers whose notification may never arrive."""
        if self._done and not self._suppressed:
            self._run_callback()

    def _find(self, data: Any) -> int | None:
        """The key of the outstanding buffer with this token."""
        for key, chain in self._chains.items():
            if chain.data is data or chain.data == data:
                return key
        return None

    def _in_order(self) -> list[Chain]:
        return sorted(self._chains.values(), key=lambda chain: chain.number)
