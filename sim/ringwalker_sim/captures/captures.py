"""Captures of a native engine: which there are, and the files that they go to while it runs."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..errors import OutputError, noted
from ..workload.capture import ETHERNET
from .pcapng_head import pcapng_head
from .tlp_link import LINK_TYPE

if TYPE_CHECKING:
    from ..engine.native.engine import NativeEngine

__all__ = ["NO_CAPTURES", "CaptureFile", "Captures", "capture_files", "finish_captures"]

_ENOUGH_BYTES = 1 << 18
_PATIENCE_S = 0.25
"""What was captured is written when there is so much of it, or after that time, so that it can be watched."""

_HEADS = {
    True: (LINK_TYPE, "pcie", "TLPs from the device (outbound) and to it (inbound)"),
    False: (ETHERNET, "mac", "frames from the device (outbound) and to it (inbound)"),
}


@dataclass(frozen=True)
class Captures:
    """Files for ``frames`` of the MAC and for ``tlps`` of the link; None for what is not captured."""

    frames: str | Path | None = None
    tlps: str | Path | None = None

    def __bool__(self) -> bool:
        return self.frames is not None or self.tlps is not None


NO_CAPTURES = Captures()


class CaptureFile:
    """The file ``path``, to which go the TLPs, or else the frames, of ``engine``; it can be read at any time.

    It may be a pipe. When it cannot be written any more the capture ends, and :meth:`end` says so. Errors:
    ``OutputError`` if it cannot be opened.
    """

    def __init__(self, engine: "NativeEngine", path: str | Path, tlps: bool):
        self.path = path
        self._tlps = int(tlps)
        self._library, self._handle = engine.library, engine.handle()
        self._failure: OSError | None = None
        self._file: BinaryIO | None = None
        self._file = self._opened()
        self._due = 0.0
        self._put(pcapng_head(*_HEADS[tlps]))
        self._library.rw_capture(self._handle, self._tlps, 1)

    def _opened(self) -> BinaryIO:
        try:
            return open(self.path, "wb", buffering=0)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def _put(self, blocks: bytes | memoryview) -> None:
        view = memoryview(blocks)
        try:
            while self._file is not None and len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            self._failure = error
            self._library.rw_capture(self._handle, self._tlps, 0)
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def collect(self) -> None:
        """Write what was captured, unless it is too little to bother."""
        size = self._library.rw_capture_size(self._handle, self._tlps)
        if not size or self._file is None:
            return
        now = time.monotonic()
        if size >= _ENOUGH_BYTES or now >= self._due:
            self._due = now + _PATIENCE_S
            self._take(size)

    def _take(self, size: int) -> None:
        blocks = np.empty(size, np.uint8)
        self._library.rw_capture_take(self._handle, self._tlps, blocks.ctypes.data)
        self._put(blocks.data)

    def end(self) -> None:
        """Write the rest and close the file; the engine is still open. Errors: ``OutputError``, once."""
        if self._file is not None:
            self._take(self._library.rw_capture_size(self._handle, self._tlps))
            self._library.rw_capture(self._handle, self._tlps, 0)
            self._close()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise OutputError(f"{self.path}: cannot be written: {failure.strerror or failure}")


def capture_files(engine: "NativeEngine", captures: Captures) -> list[CaptureFile]:
    """The files of ``captures``, opened. Errors: ``OutputError``."""
    wanted = ((captures.frames, False), (captures.tlps, True))
    return [CaptureFile(engine, path, tlps) for path, tlps in wanted if path is not None]


def finish_captures(engine: "NativeEngine", unwritten: list[str]) -> None:
    """End all captures of ``engine``; ``unwritten`` gets a line for each file that could not be written."""
    for file in engine.captures:
        with noted(unwritten):
            file.end()
