"""Standard error that takes nothing any more: its reader has gone, or its disk is full."""

import io
import os
import sys
from typing import Any

__all__ = ["expect_no_reader"]


class _Patient:
    """A text stream that goes on as if nothing were, and says nothing, once the system refuses a write."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``; its length, whether it went anywhere or not."""
        try:
            self._stream.write(text)
        except OSError:
            self._lost()
        return len(text)

    def flush(self) -> None:
        """Flush, as far as somebody takes it."""
        try:
            self._stream.flush()
        except OSError:
            self._lost()

    def _lost(self) -> None:
        # What is still buffered would be tried, and refused, again and again, also at the end of the process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def expect_no_reader() -> None:
    """Let this process outlive whoever reads its standard error, and the disk that it goes to."""
    # It is None where it was closed from the start.
    sys.stderr = _Patient(sys.stderr or io.TextIOWrapper(io.FileIO(os.devnull, "w"), "utf-8"))
