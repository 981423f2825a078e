"""Puts FST files of one simulation, one after the other in time, into one file; sees whether one is whole.

A block of values in an FST file begins with a full frame and has its own table of times, so blocks of several
files stand in one as they are; names and geometry are the same in all of them.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ringwalker.outputs import OutputError, OutputFile

from .fst import FstError

__all__ = ["Block", "blocks_of", "join_fst", "require_whole"]

_HEADER = 0
_VALUES = (1, 5, 8)
"""Types of blocks with values: as it was first, with aliases, and with aliases packed otherwise."""

_END_TIME = slice(17, 25)
_VALUE_BLOCKS = slice(65, 73)
_PREFIX_BYTES = 9
"""Type and length in front of each block."""

_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Block:
    """A part of an FST file: its type, where it begins, and its bytes with type and length."""

    file: BinaryIO
    kind: int
    start: int
    size: int

    def read(self) -> bytes:
        """All of it."""
        self.file.seek(self.start)
        return self.file.read(self.size)

    def copy(self, out: BinaryIO) -> None:
        """Write all of it, in pieces."""
        self.file.seek(self.start)
        left = self.size
        while left:
            left -= out.write(self.file.read(min(left, _COPY_BYTES)))


def blocks_of(file: BinaryIO, name: str | Path) -> list[Block]:
    """The blocks of a complete file. Errors: :class:`~.fst.FstError`, which has its ``name``."""
    end = file.seek(0, os.SEEK_END)
    at, blocks = 0, []
    while at < end:
        file.seek(at)
        prefix = file.read(_PREFIX_BYTES)
        size = 1 + int.from_bytes(prefix[1:], "big")
        if size < _PREFIX_BYTES or at + size > end:
            raise FstError(f"{name}: a block does not end inside the file; was it closed?")
        blocks.append(Block(file, prefix[0], at, size))
        at += size
    if not blocks or blocks[0].kind != _HEADER:
        raise FstError(f"{name}: it does not begin with a header")
    return blocks


def join_fst(parts: Sequence[str | Path], out: str | Path) -> None:
    """Write ``out`` with the waves of ``parts``, which are in the order of time and of the same signals.

    A part may have no values. Errors: ``OSError`` for a part that cannot be read; :class:`~.fst.FstError`,
    which names the part, when one is not a complete FST file or there is none; ``OutputError``. Then ``out``
    is as it was.
    """
    if not parts:
        raise FstError(f"{out}: there are no waves to put together")
    with ExitStack() as stack:
        files = [blocks_of(stack.enter_context(Path(part).open("rb")), part) for part in parts]
        with_values = [blocks for blocks in files if any(block.kind in _VALUES for block in blocks)] or files[
            :1
        ]
        values = [block for blocks in with_values for block in blocks if block.kind in _VALUES]
        others = [block for block in files[0][1:] if block.kind not in _VALUES]
        header = bytearray(with_values[0][0].read())
        header[_END_TIME] = with_values[-1][0].read()[_END_TIME]
        header[_VALUE_BLOCKS] = len(values).to_bytes(8, "big")
        with OutputFile(out) as target:
            target.write(header)
            for block in (*values, *others):
                block.copy(target)


def require_whole(path: str | Path, name: str | Path | None = None) -> None:
    """See that all of a simulation's waves have reached the file ``path``, now that it has been closed.

    The writers of FST files say nothing of a disk that is full. Errors: ``OutputError`` about ``name``, the
    output that the file is or belongs to; then the file is gone, which no tool could read.
    """
    try:
        with Path(path).open("rb") as file:
            blocks_of(file, path)
    except (OSError, FstError) as error:
        reason = _refusal(Path(path)) or str(error)
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)
        raise OutputError(f"{name or path}: cannot be written: {reason}") from None


def _refusal(path: Path) -> str | None:
    """Why nothing can be written behind what is in a file, as the operating system says; None if it can."""
    try:
        with path.open("ab", buffering=0) as file:
            left = _COPY_BYTES
            while left:
                left -= file.write(bytes(left))
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror
    return None
