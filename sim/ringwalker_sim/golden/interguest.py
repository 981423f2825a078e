"""A network between two guests: the transmit ring of each feeds the receive ring of the other.

A frame is copied from the transmit buffer of one guest into the receive buffer of the other, each in its own
memory. There is no other buffer: a frame waits on its ring until the other guest offers a receive buffer.

Ref: 2007: the patches of 20 September name inter-guest I/O as the reason for a new ring format.
"""

from collections import deque
from typing import Any

from ringwalker.spec.net import NET_TRANSMIT_QUEUE, NetStatus

from .function import Request, Schedule
from .net import NetModel

__all__ = ["InterGuestNet", "connect_guests"]


class InterGuestNet(NetModel):
    """The network device of one guest; :func:`connect_guests` joins two.

    The link is up while the other guest has a driver. Frames that are sent while it is down, or that the
    other device does not accept, are dropped.
    """

    def __init__(self, schedule: Schedule, **arguments: Any):
        self.peer: InterGuestNet | None = None
        self._offered: deque[Request] = deque()
        super().__init__(schedule, **arguments)

    def stopped(self, queue: int) -> None:
        """Drop the buffers."""
        super().stopped(queue)
        if queue == NET_TRANSMIT_QUEUE:
            self._offered.clear()

    def finish_waiting(self) -> None:
        """Give all buffers back; frames that wait for the other guest are lost."""
        super().finish_waiting()
        while self._offered:
            self._offered.popleft().finish()

    def write_status(self, value: int) -> None:
        """Write the device status. The link of the other guest follows it."""
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
        """Refused: frames come from the other guest only."""
        raise ValueError("an inter-guest device receives frames from the other guest only")

    def transfer(self) -> None:
        """Move frames from this guest to the other while both have buffers."""
        while self._offered:
            request = self._offered[0]
            if request.live and not self._move(request):
                return
            self._offered.popleft()

    def _move(self, request: Request) -> bool:
        """Move one frame; False when it has to wait for a receive buffer."""
        frame = request.read().tobytes()[self.header_bytes :]
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
    """Join two devices. Errors: ``ValueError`` when one is joined already."""
    if left.peer is not None or right.peer is not None or left is right:
        raise ValueError("a device of an inter-guest network can be joined to one other device only")
    left.peer, right.peer = right, left
