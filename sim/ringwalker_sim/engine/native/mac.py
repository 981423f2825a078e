"""The medium behind the device's MAC port, as a part of the native engine."""

import ctypes
from typing import Any, NamedTuple

import numpy as np

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
    _supplied: np.ndarray | None = None
    _expected: np.ndarray | None = None

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

    def mac_supply(self, frames: np.ndarray, count: int) -> None:
        """Give the device ``count`` frames as fast as it takes them: the rows of ``frames`` in turn.

        ``frames`` are bytes in two dimensions, a frame a row, and must not change meanwhile. Frames of
        :meth:`mac_send` that are due go first, and while the link is down those of here wait. A second call
        takes the place of what is left of the first. Errors: ``ValueError`` for an array of another kind.
        """
        self._supplied = _rows(frames)
        self._library.rw_mac_supply(self._open(), self._supplied.ctypes.data, *frames.shape[::-1], count)

    def mac_expect(self, frames: np.ndarray | None) -> None:
        """Compare the device's frames with the rows of ``frames`` in turn, without events, and drop them.

        The counter ``mac_tx_different`` says how many were others. None: frames are kept again. Errors: as
        for :meth:`mac_supply`.
        """
        self._expected = None if frames is None else _rows(frames)
        if self._expected is None:
            self._library.rw_mac_expect(self._open(), None, 0, 0)
        else:
            shape = self._expected.shape[::-1]
            self._library.rw_mac_expect(self._open(), self._expected.ctypes.data, *shape)

    def set_link(self, up: bool) -> None:
        """Drive the device's ``link_up``, which is up from the start; frames are lost while it is down."""
        self._library.rw_mac_link(self._open(), int(up))


def _rows(frames: np.ndarray) -> np.ndarray:
    """``frames`` as C reads them."""
    if frames.dtype != np.uint8 or frames.ndim != 2 or not frames.size:
        raise ValueError(f"frames are {frames.dtype} of shape {frames.shape}; they must be rows of bytes")
    return np.ascontiguousarray(frames)
