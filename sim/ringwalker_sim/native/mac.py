"""The medium behind the device's MAC port, as a part of the native engine."""

import ctypes
from typing import Any, NamedTuple

__all__ = ["MacFrame", "MacMethods"]


class MacFrame(NamedTuple):
    """A frame that the device sent; its last beat was taken in ``cycle``."""

    cycle: int
    data: bytes


class MacMethods:
    """Frames to and from the device, without preamble and check sequence. For a device that has a MAC port.

    The device's frames come back to it while :meth:`mac_loopback` is on; otherwise each gives a FRAME event
    and waits for :meth:`mac_receive`. Of those that nobody fetches the last 4096 are kept.
    """

    _library: Any

    def _open(self) -> int:
        raise NotImplementedError

    def mac_send(self, frame: bytes, *, at: int = 0, error: bool = False) -> bool:
        """Queue a frame for the device, not before cycle ``at``; False when it is lost.

        ``error`` marks it as not received well. Frames keep their order. It is lost while the link is down,
        or when 4096 wait already. Errors: ``ValueError`` for a frame without bytes.
        """
        if not frame:
            raise ValueError("a frame of 0 bytes cannot be sent; it has at least one")
        return bool(self._library.rw_mac_send(self._open(), bytes(frame), len(frame), at, int(error)))

    def mac_frames(self) -> list[MacFrame]:
        """The device's frames since the last call, with their times."""
        handle, time = self._open(), ctypes.c_uint64()
        frames = []
        while length := self._library.rw_mac_next(handle, ctypes.byref(time)):
            out = ctypes.create_string_buffer(length)
            self._library.rw_mac_fetch(handle, out)
            frames.append(MacFrame(time.value, out.raw))
        return frames

    def mac_receive(self) -> list[bytes]:
        """The device's frames since the last call, in order."""
        return [frame.data for frame in self.mac_frames()]

    def mac_loopback(self, on: bool) -> None:
        """Let the device's frames come back to it, or not."""
        self._library.rw_mac_loopback(self._open(), int(on))

    def set_link(self, up: bool) -> None:
        """Drive the device's ``link_up``, which is up from the start; frames are lost while it is down."""
        self._library.rw_mac_link(self._open(), int(up))
