"""The names in an FST waveform file, read by ``pywellen``, and its last time, which stands in its header.

Ref: the format as ``fstapi`` writes it, which Verilator and GTKWave share.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pywellen

from ..errors import RingwalkerError

__all__ = ["FstError", "FstSignal", "read_fst_end", "read_fst_signals", "read_fst_texts"]

_BLOCK_HEADER = 0
_HEADER_END_TIME = slice(17, 25)


class FstError(RingwalkerError, ValueError):
    """Not an FST file, or one that was not closed; the message names the file."""


@dataclass(frozen=True)
class FstSignal:
    """A signal: the names of its scopes from the top, its own name, its width, and its bits as ``[7:0]``.

    ``bits`` is empty for a single bit.
    """

    scopes: tuple[str, ...]
    name: str
    width: int
    bits: str = ""

    @property
    def path(self) -> str:
        """Scopes and name joined by dots."""
        return ".".join((*self.scopes, self.name))


def _waveform(path: str | Path) -> Any:
    with Path(path).open("rb"):
        # It can be read; the reader's own message would not say why it cannot.
        pass
    try:
        waveform = pywellen.Waveform(str(path))  # pyright: ignore[reportAttributeAccessIssue]  # compiled, untyped
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # A panic of the reader is not an Exception.
        reason = " ".join(str(error).split())
        raise FstError(f"{path}: not a complete FST file: {reason}") from None
    return waveform


def read_fst_signals(path: str | Path) -> list[FstSignal]:
    """All signals of the file in its order. Errors: ``OSError``, :class:`FstError`."""
    signals = []
    for item in _waveform(path).all_vars():
        *scopes, name = item.full_name.split(".")
        if name.startswith("["):
            # An element of a memory, whose scope has the memory's name.
            name = f"{scopes[-1]}{name}"
        width = item.bitwidth or 1
        signals.append(FstSignal(tuple(scopes), name, width, f"[{width - 1}:0]" if width > 1 else ""))
    return signals


def read_fst_texts(path: str | Path, names: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
    """Times and values of the variables of text with these full ``names``, as far as the file has them.

    Errors: ``OSError``, :class:`FstError`.
    """
    wanted = set(names)
    return {
        item.full_name: list(item.signal)
        for item in _waveform(path).all_vars()
        if item.full_name in wanted and item.is_string
    }


def read_fst_end(path: str | Path) -> int:
    """The last time in the file, in its units. Errors: ``OSError``, :class:`FstError`."""
    with Path(path).open("rb") as file:
        raw = file.read(_HEADER_END_TIME.stop)
    if len(raw) < _HEADER_END_TIME.stop or raw[0] != _BLOCK_HEADER:
        raise FstError(f"{path}: does not begin with the header of an FST file")
    return int.from_bytes(raw[_HEADER_END_TIME], "big")
