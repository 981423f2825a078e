"""Standard output whose errors have its name, wherever in a command it is written."""

import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ringwalker.outputs import write_file, writing

from ..errors import RingwalkerError

__all__ = ["NAME", "ReaderGone", "name_errors", "write_output"]

NAME = "standard output"


class ReaderGone(RingwalkerError):
    """Whoever read standard output has gone, and nobody wants the rest. There is nothing to say about it."""

    exit_code = 128 + signal.SIGPIPE


class _Output(io.FileIO):
    """Raises :class:`ReaderGone` or ``OutputError`` once. From then on it takes all and writes nothing: what
    is still buffered, or printed later, makes no second error.
    """

    _lost = False

    def write(self, data: Any) -> int:
        """Write; the number of bytes."""
        if self._lost:
            return len(memoryview(data).cast("B"))
        try:
            with writing(NAME):
                try:
                    return super().write(data) or 0
                except BrokenPipeError:
                    raise ReaderGone from None
        except RingwalkerError:
            self._lost = True
            raise


def name_errors() -> None:
    """Let standard output raise :class:`ReaderGone` and ``OutputError`` in place of what Python does.

    Where it was closed from the start, its place is taken, and every write is refused.
    """
    before = sys.stdout
    if before is None:
        # What is open for reading only refuses a write with the words that one to a closed file has.
        descriptor = os.open(os.devnull, os.O_RDONLY)
        encoding, errors = "utf-8", "strict"
    else:
        descriptor, encoding, errors = before.fileno(), before.encoding, before.errors
    raw = _Output(descriptor, "w", closefd=False)
    buffer = io.BufferedWriter(raw)
    sys.stdout = io.TextIOWrapper(buffer, encoding, errors, line_buffering=raw.isatty())


def write_output(name: str | Path, content: str | bytes) -> None:
    """Write a file, or standard output for ``-``. Errors: ``OutputError``, :class:`ReaderGone`."""
    if str(name) != "-":
        write_file(name, content)
        return
    with writing(NAME):
        if isinstance(content, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content)
        sys.stdout.flush()
