"""What a queue of buffers to a device is, whatever carries it, with the operations of the 2007 interface.

:mod:`.split_queue` has the ring in shared memory, :mod:`.transport.pipe` the one over a byte stream.
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
    """A buffer that was added: ``data`` is its token, ``number`` counts buffers in the order of adding.

    ``writable`` is how many bytes the device may write. ``place`` belongs to the implementation.
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
        """Bytes that the device may read."""
        return sum(length for _, length in self.sg[: self.out_num])


class Virtqueue(ABC):
    """A queue of ``size`` descriptors to the device ``vdev``.

    ``callback(vq)`` runs when the device has used buffers; if it returns False, callbacks are suppressed (and
    the device asked not to interrupt) until :meth:`restart`. ``priv`` is free for the driver. ``kicks``,
    ``interrupts`` and ``spurious`` count. A queue that is ``broken`` takes no more buffers.
    Errors: :class:`DeviceError` when the device does what it must not.
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
        """Descriptors that are not in use."""

    def descriptors(self, pieces: int) -> int:
        """How many descriptors a buffer of so many pieces takes."""
        return pieces

    @abstractmethod
    def _expose(self, chain: Chain) -> None:
        """Take ``chain``, which fits, into ``_chains``; the device sees it with the next :meth:`kick`."""

    @abstractmethod
    def _pending(self) -> int:
        """Buffers that the device has used and :meth:`_take` has not. Errors: :class:`DeviceError`."""

    @abstractmethod
    def _take(self) -> tuple[Chain, int] | None:
        """The next used buffer, out of ``_chains``, and the bytes written. Errors: :class:`DeviceError`."""

    @abstractmethod
    async def kick(self) -> None:
        """Show the device all buffers added so far, and tell it unless it asked not to be told."""

    @abstractmethod
    async def shutdown(self) -> list[Any]:
        """Take back all buffers that the device has not used; their tokens, in the order of adding.

        When this returns the device touches no buffer of the queue any more. What it had finished before it
        let go is not lost: :meth:`get_buf` still gives it. So every token comes back once, either
        way. The queue can be used again unless it is ``broken``.
        """

    @abstractmethod
    async def detach(self, data: Any) -> bool:
        """Take back the one buffer whose token is ``data``; the others stay.

        When this returns the device does not touch it any more. True: it was taken back and :meth:`get_buf`
        will not give it. False: it is not in the queue, or the device had finished with it, and then
        :meth:`get_buf` gives it. Errors: :class:`BindError` when the transport cannot stop a single queue.
        """

    @abstractmethod
    def free(self) -> None:
        """Give back the queue's memory. The device must have forgotten the queue."""

    def _ask_interrupts(self, wanted: bool) -> None:
        """Ask the device to interrupt, or not to. It need not obey."""
        return

    # --- the operations of 2007 ----------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Buffers added and not yet got back."""
        return len(self._chains) + len(self._done)

    @property
    def held(self) -> int:
        """Buffers that the device may be at."""
        return len(self._chains)

    def add_buf(self, sg: Sequence[tuple[int, int]], out_num: int, in_num: int, data: Any) -> int:
        """Offer a buffer: ``out_num`` (address, length) pieces to be read, then ``in_num`` to be written.

        ``data`` is the token that :meth:`get_buf` gives back, not None. Returns 0, or a negative errno:
        -ENOSPC when there are too few free descriptors, -EINVAL for arguments that cannot be, -EIO on a
        queue that is broken.
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
        self._expose(Chain(data, list(sg), out_num, self._number))
        return 0

    @property
    def used_pending(self) -> bool:
        """Whether :meth:`get_buf` would give a buffer or an error."""
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
        """Allow callbacks again. False (and they stay suppressed) when used buffers are waiting."""
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
        """A used buffer notification has come. For transports; interrupts without cause are counted."""
        self.interrupts += 1
        if self._suppressed or not self.used_pending:
            self.spurious += 1
        else:
            self._run_callback()

    def _run_callback(self) -> None:
        if self.callback is not None and not self.callback(self):
            self._suppress()

    def _announce(self) -> None:
        """Run the callback for buffers whose notification may never come."""
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
