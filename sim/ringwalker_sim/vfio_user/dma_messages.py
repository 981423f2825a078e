"""DMA to memory that a vfio-user peer mapped without a descriptor: messages to the peer."""

from collections.abc import Callable

from .bodies import DmaAccess
from .mappings import Mappings
from .peer import Peer, PeerGone
from .protocol import Command, ProtocolError

__all__ = ["DmaMessages"]


class DmaMessages:
    """Carries accesses of the device to external memory of ``mappings`` to ``peer``, and the answers back.

    A message moves no more than the peer takes. What is not mapped any more when its message would be sent is
    not asked for. ``fault`` is called with a line of text for an access that fails; ``count`` is the number
    of messages. Errors: ``ProtocolError`` for an invalid answer, :class:`~.peer.PeerGone`.
    """

    def __init__(self, mappings: Mappings, fault: Callable[[str], None]):
        self.peer: Peer | None = None
        self.count = 0
        self._mappings = mappings
        self._fault = fault

    def read(self, address: int, count: int) -> bytes | None:
        """``count`` bytes at ``address``; None when the access fails."""
        data = b""
        while len(data) < count:
            size = min(count - len(data), self._most)
            part = self._call(Command.DMA_READ, DmaAccess(address + len(data), size))
            if part is None:
                return None
            data += part
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write ``data`` at ``address``, up to where an access fails."""
        for at in range(0, len(data), self._most):
            part = data[at : at + self._most]
            if self._call(Command.DMA_WRITE, DmaAccess(address + at, len(part), part)) is None:
                return

    @property
    def _most(self) -> int:
        assert self.peer is not None
        return self.peer.max_transfer

    def _call(self, command: Command, access: DmaAccess) -> bytes | None:
        """Call the peer; the data of its answer, None when the access fails."""
        assert self.peer is not None
        what = f"{command.name} of {access.count} bytes at {access.address:#x}"
        if not self._mappings.is_external(access.address, access.count):
            self._fault(f"{what}: no longer mapped")
            return None
        self.count += 1
        try:
            answer = self.peer.call(command, access.pack())
        except PeerGone:
            raise
        except OSError as error:
            self._fault(f"{what}: {error}")
            return None
        if command is Command.DMA_WRITE:
            return b""
        data = DmaAccess.unpack(answer).data
        if len(data) != access.count:
            raise ProtocolError(f"the answer to {what} has {len(data)} bytes")
        return data
