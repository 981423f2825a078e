"""Waves on and off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .operation import LibraryError

__all__ = ["WaveRecorder"]


class WaveRecorder:
    """The waves of a device: ``path`` is the file, None without one; they are recorded from the start."""

    def __init__(self, port: Any, path: Path | None):
        self._port = port
        self.path = path
        self.recording = path is not None
        """Whether they are recorded now."""

    def _set(self, on: bool) -> None:
        if self.path is None:
            raise LibraryError(
                "the device has no file for waves; open it with waves='name.fst', on engine native"
            )
        self._port.trace(on)
        self.recording = on

    def on(self) -> None:
        """Record from now on. Errors: :class:`LibraryError` without a file."""
        self._set(True)

    def off(self) -> None:
        """Record no more. Errors: as :meth:`on`."""
        self._set(False)

    @contextmanager
    def only(self) -> Iterator[None]:
        """Record inside the block, and not after it. Errors: as :meth:`on`."""
        self.on()
        try:
            yield
        finally:
            self.off()

    def __repr__(self) -> str:
        return f"<waves: {self.path or 'no file'}{', recording' if self.recording else ''}>"
