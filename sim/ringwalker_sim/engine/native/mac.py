"""The medium behind the device's MAC port, as a part of the native engine."""

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from .abi import EventKind
from .peripheral import HANDLE, POINTER, U32, U64, Functions, Peripheral

if TYPE_CHECKING:
    from .engine import NativeEngine

__all__ = ["MacFrame", "MacPeripheral"]


class MacFrame(NamedTuple):
    """A frame that the device sent; its last beat was taken in ``cycle``."""

    cycle: int
    data: bytes


class MacPeripheral(Peripheral):
    """Frames to and from the device, without preamble and check sequence.

    The device's frames come back to it while :meth:`loopback` is on; otherwise each gives a FRAME event and
    waits for :meth:`receive`. Of those that nobody fetches the last 4096 are kept. ``on_frame``, when set,
    gets each of them while a guest runs.
    """

    functions: ClassVar[Functions] = {
        "rw_mac_send": (U32, [HANDLE, ctypes.c_char_p, U32, U64, U32]),
        "rw_mac_next": (U32, [HANDLE, ctypes.POINTER(U64)]),
        "rw_mac_fetch": (None, [HANDLE, ctypes.c_char_p]),
        "rw_mac_supply": (None, [HANDLE, POINTER, U64, U64, U64]),
        "rw_mac_expect": (None, [HANDLE, POINTER, U64, U64]),
        "rw_mac_loopback": (None, [HANDLE, U32]),
        "rw_mac_link": (None, [HANDLE, U32]),
    }
    event = EventKind.FRAME

    def __init__(self, engine: "NativeEngine"):
        super().__init__(engine)
        self.on_frame: Callable[[bytes], None] | None = None
        self._supplied: np.ndarray | None = None
        self._expected: np.ndarray | None = None

    def notice(self) -> None:
        """Hand on what has come."""
        if self.on_frame:
            for frame in self.receive():
                self.on_frame(frame)

    def send(self, frame: bytes, *, at: int = 0, error: bool = False) -> bool:
        """Queue a frame for the device, not before cycle ``at``; False when it is lost.

        ``error`` marks it as not received well. Frames keep their order. It is lost while the link is down,
        or when 4096 wait already. Errors: ``ValueError`` for a frame without bytes.
        """
        if not frame:
            raise ValueError("a frame of 0 bytes cannot be sent; it has at least one")
        return bool(self._call("rw_mac_send", bytes(frame), len(frame), at, int(error)))

    def frames(self) -> list[MacFrame]:
        """The device's frames since the last call, with their times."""
        time = ctypes.c_uint64()
        frames = []
        while length := self._call("rw_mac_next", ctypes.byref(time)):
            out = ctypes.create_string_buffer(length)
            self._call("rw_mac_fetch", out)
            frames.append(MacFrame(time.value, out.raw))
        return frames

    def receive(self) -> list[bytes]:
        """The device's frames since the last call, in order."""
        return [frame.data for frame in self.frames()]

    def loopback(self, on: bool) -> None:
        """Let the device's frames come back to it, or not."""
        self._call("rw_mac_loopback", int(on))

    def supply(self, frames: np.ndarray, count: int) -> None:
        """Give the device ``count`` frames as fast as it takes them: the rows of ``frames`` in turn.

        ``frames`` are bytes in two dimensions, a frame a row, and must not change meanwhile. Frames of
        :meth:`send` that are due go first, and while the link is down those of here wait. A second call
        takes the place of what is left of the first. Errors: ``ValueError`` for an array of another kind.
        """
        self._supplied = _rows(frames)
        self._call("rw_mac_supply", self._supplied.ctypes.data, *frames.shape[::-1], count)

    def expect(self, frames: np.ndarray | None) -> None:
        """Compare the device's frames with the rows of ``frames`` in turn, without events, and drop them.

        The counter ``mac_tx_different`` says how many were others. None: frames are kept again. Errors: as
        for :meth:`supply`.
        """
        self._expected = None if frames is None else _rows(frames)
        if self._expected is None:
            self._call("rw_mac_expect", None, 0, 0)
        else:
            shape = self._expected.shape[::-1]
            self._call("rw_mac_expect", self._expected.ctypes.data, *shape)

    def set_link(self, up: bool) -> None:
        """Drive the device's ``link_up``, which is up from the start; frames are lost while it is down."""
        self._call("rw_mac_link", int(up))


def _rows(frames: np.ndarray) -> np.ndarray:
    """``frames`` as C reads them."""
    if frames.dtype != np.uint8 or frames.ndim != 2 or not frames.size:
        raise ValueError(f"frames are {frames.dtype} of shape {frames.shape}; they must be rows of bytes")
    return np.ascontiguousarray(frames)
