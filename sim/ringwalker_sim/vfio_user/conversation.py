"""What a vfio-user server says to one peer: an answer to every message, right or wrong."""

import enum
import errno
import functools
import logging
from typing import Protocol

from . import bodies, protocol
from .peer import Peer, PeerGone, close_all
from .protocol import Command, Header, ProtocolError

__all__ = ["Conversation", "Device", "Step"]

log = logging.getLogger("ringwalker.vfio_user")

_MOST_LOGGED = 20
"""Refused messages that are logged for each peer."""

_DESCRIPTORS: dict[int, int] = {Command.DMA_MAP: 1, Command.DEVICE_SET_IRQS: protocol.MAX_FDS}
"""Most descriptors of a command; others have none."""


class Step(enum.Enum):
    """What has to be done after a device has run for a while."""

    IDLE = "wait for a message: there is no work before"
    BUSY = "let the device run on"
    MESSAGE = "receive the next message, or wait for one"


class Device(Protocol):
    """The device behind a server. Methods raise ``ProtocolError`` or ``OSError`` for invalid requests of the
    peer.
    """

    def region_size(self, region: int) -> int:
        """Bytes in a region, 0 if it is absent."""
        ...

    def irq_info(self, index: int) -> tuple[int, int]:
        """Flags and number of vectors of an interrupt kind."""
        ...

    def region_read(self, access: bodies.RegionAccess) -> bytes:
        """Read ``access.count`` bytes, after all earlier writes have reached the device."""
        ...

    def region_write(self, access: bodies.RegionAccess) -> None:
        """Posted."""
        ...

    def dma_map(self, mapping: bodies.DmaMap, fd: int | None) -> None:
        """Map guest memory for the device; takes ownership of ``fd``."""
        ...

    def dma_unmap(self, mapping: bodies.DmaUnmap) -> None:
        """Unmap guest memory; returns when the device no longer accesses it."""
        ...

    def set_irqs(self, request: bodies.IrqSet, fds: list[int]) -> None:
        """Arm, mask, unmask or disarm interrupts; takes ownership of ``fds``."""
        ...

    def reset(self) -> None:
        """A hardware reset."""
        ...

    def attached(self, peer: Peer) -> None:
        """A peer has said which version it speaks; DMA messages go to it."""
        ...

    def detached(self) -> None:
        """The peer has gone: drop its mappings and eventfds."""
        ...

    def advance(self) -> Step:
        """Run until a message has to be received or a slice of time has passed. Messages of a peer that is
        attached may be carried out on the way.
        """
        ...


class Conversation:
    """The server's side of the conversation with ``peer`` about ``device``; ``name`` is for the log.

    Every command that wants an answer gets one. What cannot be carried out, malformed messages among it, is
    answered with an errno, and the conversation goes on. It ends with ``ProtocolError`` after a version that
    this side does not speak, and where the next message cannot be found; with :class:`PeerGone` when the peer
    has gone.
    """

    def __init__(self, peer: Peer, device: Device, name: str):
        self.peer = peer
        self.greeted = False
        """Whether versions have been exchanged, so that the device is attached to the peer."""
        self._device = device
        self._name = name
        self._logged = 0
        peer.handler = self.handle

    def receive(self) -> None:
        """Receive the next message and answer it."""
        received = self.peer.receive()
        if received is not None:
            self.handle(*received)

    def handle(self, header: Header, body: bytes, fds: list[int]) -> None:
        """Answer a message; owns ``fds``."""
        try:
            if header.is_reply:
                raise ProtocolError(f"answer {header.id} belongs to no command")
            self.peer.answering = True
            try:
                answer = self._command(header, body, fds)
            except PeerGone:
                raise
            except (OSError, ProtocolError) as error:
                number = error.errno if isinstance(error, OSError) else None
                self._complain(f"command {header.command}: {error}")
                answer = protocol.error_reply(header, number or errno.EINVAL)
            if header.wants_reply:
                self.peer.send(answer)
            if header.command == Command.VERSION and not self.greeted:
                raise ProtocolError("the peer speaks no version that this side does")
        finally:
            self.peer.answering = False
            close_all(fds)

    def _complain(self, text: str) -> None:
        if self._logged < _MOST_LOGGED:
            self._logged += 1
            more = "; further ones are not shown" if self._logged == _MOST_LOGGED else ""
            log.warning("%s: %s%s", self._name, text, more)

    def _command(self, header: Header, body: bytes, fds: list[int]) -> bytes:
        """Carry out a command; its answer. Descriptors that the device keeps are removed from ``fds``."""
        if not header.is_command:
            raise ProtocolError(f"flags {header.flags:#x} are those of no message")
        if self.greeted == (header.command == Command.VERSION):
            raise OSError(errno.EPROTO, "VERSION is the first message, and only the first")
        if len(fds) > _DESCRIPTORS.get(header.command, 0):
            raise ProtocolError(f"{len(fds)} descriptors are too many")
        answer = functools.partial(protocol.reply, header)
        device = self._device
        match header.command:
            case Command.VERSION:
                return answer(self._greet(body))
            case Command.DMA_MAP:
                mapping = bodies.DmaMap.unpack(body)
                device.dma_map(mapping, fds.pop(0) if fds else None)
                return answer()
            case Command.DMA_UNMAP:
                unmapping = bodies.DmaUnmap.unpack(body)
                device.dma_unmap(unmapping)
                return answer(unmapping.pack())
            case Command.DEVICE_GET_INFO:
                return answer(bodies.device_info(body))
            case Command.DEVICE_GET_REGION_INFO:
                index = bodies.region_info_index(body)
                return answer(bodies.region_info(index, device.region_size(index)))
            case Command.DEVICE_GET_IRQ_INFO:
                index = bodies.irq_info_index(body)
                return answer(bodies.irq_info(index, *device.irq_info(index)))
            case Command.DEVICE_SET_IRQS:
                request = bodies.IrqSet.unpack(body)
                kept = list(fds)
                fds.clear()
                device.set_irqs(request, kept)
                return answer()
            case Command.REGION_READ:
                access = bodies.RegionAccess.unpack(body, write=False)
                return answer(access.pack(device.region_read(access)))
            case Command.REGION_WRITE:
                access = bodies.RegionAccess.unpack(body, write=True)
                device.region_write(access)
                return answer(access.pack())
            case Command.DEVICE_RESET:
                device.reset()
                return answer()
            case _:
                raise OSError(errno.EOPNOTSUPP, "the command is not supported")

    def _greet(self, body: bytes) -> bytes:
        major, _minor, capabilities = bodies.version(body)
        if major != 0:
            raise OSError(errno.EPROTONOSUPPORT, f"the peer speaks version {major}, this is version 0")
        self.peer.max_transfer = bodies.max_transfer(capabilities)
        self._device.attached(self.peer)
        self.greeted = True
        return bodies.version_body({"max_msg_fds": protocol.MAX_FDS, "max_data_xfer_size": protocol.MAX_DATA})
