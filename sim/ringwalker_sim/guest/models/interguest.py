"""A network between two guests without anything between them: rings used from both sides.

What one guest offers on its transmit ring is copied straight into what the other offers on its receive ring,
each in its own memory. Nothing is buffered: a frame waits on the ring until the other side has room.

Ref: 2007: "mainly because I had an epiphany about inter-guest I/O" (20 September).
"""

from collections import deque
from typing import Any

from ringwalker.spec.net import NET_TRANSMIT_QUEUE, NetStatus

from .function import Request, Schedule
from .net import FRAME_OFFSET, NetModel

__all__ = ["InterGuestNet", "connect_guests"]


class InterGuestNet(NetModel):
    """One guest's end; :func:`connect_guests` joins two.

    The link is up while the other guest's driver is there; what is sent into a link that is down, or is not
    for the other guest, is gone, as on a cable.
    """

    def __init__(self, schedule: Schedule, **arguments: Any):
        self.peer: InterGuestNet | None = None
        self._offered: deque[Request] = deque()
        super().__init__(schedule, **arguments)

    def stopped(self, queue: int) -> None:
        """Buffers are gone."""
        super().stopped(queue)
        if queue == NET_TRANSMIT_QUEUE:
            self._offered.clear()

    def write_status(self, value: int) -> None:
        """The other guest sees whether this one is there."""
        before = self.running
        super().write_status(value)
        if self.running != before and self.peer is not None:
            if self.peer.get("status") != (NetStatus.LINK_UP if self.running else 0):
                self.peer.set_link(self.running)
            self.peer.transfer()

    def _send(self, request: Request) -> None:
        self._offered.append(request)
        self.transfer()

    def _deliver(self) -> None:
        super()._deliver()
        if self.peer is not None:
            self.peer.transfer()

    def receive(self, frame: bytes) -> None:
        """Nothing comes in but from the other guest."""
        raise ValueError("an inter-guest device has no cable that a frame could come in by")

    def transfer(self) -> None:
        """Move frames from this guest to the other as long as both have buffers."""
        while self._offered:
            request = self._offered[0]
            if request.live and not self._move(request):
                return
            self._offered.popleft()

    def _move(self, request: Request) -> bool:
        """Finish a frame; False when it has to wait."""
        frame = request.read().tobytes()[FRAME_OFFSET:]
        peer = self.peer
        if peer is None or not peer.running or not peer.accepts(frame):
            self.dropped += 1
        elif not peer.fill_buffer(frame):
            return False
        else:
            self.sent += 1
        request.finish()
        return True


def connect_guests(left: InterGuestNet, right: InterGuestNet) -> None:
    """Join two ends. Errors: ``ValueError`` when one has another end already."""
    if left.peer is not None or right.peer is not None or left is right:
        raise ValueError("an end of an inter-guest network can be joined to one other end only")
    left.peer, right.peer = right, left
