"""Puts FST files of one simulation, one after the other in time, into one file.

A block of values in an FST file begins with a full frame and has its own table of times, so blocks of several
files stand in one as they are; names and geometry are the same in all of them.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .fst import FstError

__all__ = ["join_fst"]

_HEADER = 0
_VALUES = (1, 5, 8)
"""Types of blocks with values: as it was first, with aliases, and with aliases packed otherwise."""

_END_TIME = slice(17, 25)
_VALUE_BLOCKS = slice(65, 73)
_PREFIX_BYTES = 9
"""Type and length in front of each block."""

_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class _Block:
    file: BinaryIO
    kind: int
    start: int
    size: int

    def read(self) -> bytes:
        self.file.seek(self.start)
        return self.file.read(self.size)

    def copy(self, out: BinaryIO) -> None:
        self.file.seek(self.start)
        left = self.size
        while left:
            left -= out.write(self.file.read(min(left, _COPY_BYTES)))


def _blocks(file: BinaryIO, name: str | Path) -> list[_Block]:
    end = file.seek(0, os.SEEK_END)
    at, blocks = 0, []
    while at < end:
        file.seek(at)
        prefix = file.read(_PREFIX_BYTES)
        size = 1 + int.from_bytes(prefix[1:], "big")
        if size < _PREFIX_BYTES or at + size > end:
            raise FstError(f"{name}: a block does not end inside the file; was it closed?")
        blocks.append(_Block(file, prefix[0], at, size))
        at += size
    if not blocks or blocks[0].kind != _HEADER:
        raise FstError(f"{name}: it does not begin with a header")
    return blocks


def join_fst(parts: Sequence[str | Path], out: str | Path) -> None:
    """Write ``out`` with the waves of ``parts``, which are in the order of time and of the same signals.

    A part may have no values. Errors: ``OSError``; :class:`~.fst.FstError`, which names the part, when one is
    not a complete FST file or there is none; then ``out`` is as it was.
    """
    if not parts:
        raise FstError(f"{out}: there are no waves to put together")
    with ExitStack() as stack:
        files = [_blocks(stack.enter_context(Path(part).open("rb")), part) for part in parts]
        with_values = [blocks for blocks in files if any(block.kind in _VALUES for block in blocks)] or files[
            :1
        ]
        values = [block for blocks in with_values for block in blocks if block.kind in _VALUES]
        others = [block for block in files[0][1:] if block.kind not in _VALUES]
        header = bytearray(with_values[0][0].read())
        header[_END_TIME] = with_values[-1][0].read()[_END_TIME]
        header[_VALUE_BLOCKS] = len(values).to_bytes(8, "big")
        target = stack.enter_context(Path(out).open("wb"))
        target.write(header)
        for block in (*values, *others):
            block.copy(target)
