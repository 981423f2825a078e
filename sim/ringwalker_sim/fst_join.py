"""Puts FST files of one simulation, one after the other in time, into one file.

A block of values in an FST file begins with a full frame and has its own table of times, so blocks of several
files stand in one as they are; names and geometry are the same in all of them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .fst import FstError

__all__ = ["join_fst"]

_HEADER = 0
_VALUES = (1, 5, 8)
"""Types of blocks with values: as it was first, with aliases, and with aliases packed otherwise."""

_END_TIME = slice(17, 25)
_VALUE_BLOCKS = slice(65, 73)
_LENGTH = slice(1, 9)


def _blocks(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at:][_LENGTH], "big")
        if length < 8 or at + 1 + length > len(raw):
            raise FstError("a block does not end inside the file; was it closed?")
        yield raw[at : at + 1 + length]
        at += 1 + length


def join_fst(parts: Sequence[str | Path], out: str | Path) -> None:
    """Write ``out`` with the waves of ``parts``, which are in the order of time and of the same signals.

    A part may have no values. Errors: ``OSError``; :class:`~.fst.FstError`, which names the part, when one is
    not a complete FST file or there is none.
    """
    if not parts:
        raise FstError(f"{out}: there are no waves to put together")
    header = bytearray()
    values: list[bytes] = []
    others: list[bytes] = []
    for part in parts:
        try:
            blocks = list(_blocks(Path(part).read_bytes()))
            if not blocks or blocks[0][0] != _HEADER:
                raise FstError("it does not begin with a header")
        except FstError as error:
            raise FstError(f"{part}: {error}") from None
        mine = [block for block in blocks if block[0] in _VALUES]
        if not header or (mine and not values):
            header = bytearray(blocks[0])
        if mine:
            header[_END_TIME] = blocks[0][_END_TIME]
        values += mine
        others = [block for block in blocks[1:] if block[0] not in _VALUES]
    header[_VALUE_BLOCKS] = len(values).to_bytes(8, "big")
    with Path(out).open("wb") as file:
        file.writelines([bytes(header), *values, *others])
