"""How long a build will still take, from how long its parts took the last time on this machine."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...toolchain import cache_dir

__all__ = ["with_remaining_time"]

_FILE = "build-seconds.json"
_SHORTEST_S = 2.0
"""What takes less is no build: everything was there."""


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Seconds of the parts of each kind of build; nothing where there is no such file."""
    try:
        known = json.loads(path.read_text())
        return {kind: {part: float(s) for part, s in parts.items()} for kind, parts in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _part(text: str) -> str:
    """The part that a line about progress belongs to: ``compiling the model: 2 of 9`` is one of several."""
    return text.partition(":")[0]


@contextmanager
def with_remaining_time(kind: str, progress: Callable[[str], None] | None) -> Iterator[Callable[[str], None]]:
    """``progress`` for a build of a ``kind``, with the time that is left in each line, where it is known.

    The time is that of the last build of the kind which came to its end.
    """
    path = cache_dir() / _FILE
    known = _read(path).get(kind, {})
    seconds: dict[str, float] = {}
    now, begin = "", time.monotonic()

    def say(text: str) -> None:
        nonlocal now, begin
        part, passed = _part(text), time.monotonic() - begin
        if part != now:
            if now:
                seconds[now] = seconds.get(now, 0.0) + passed
            now, begin, passed = part, time.monotonic(), 0.0
        order = list(known)
        if progress is None:
            return
        if part not in known:
            return progress(text)
        left = sum(known[other] for other in order[order.index(part) :]) - passed
        return progress(f"{text}, about {max(1, round(left))} s left")

    yield say
    if now:
        seconds[now] = seconds.get(now, 0.0) + time.monotonic() - begin
    if sum(seconds.values()) >= _SHORTEST_S:
        new = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            new.write_text(json.dumps({**_read(path), kind: seconds}, indent=1))
            new.replace(path)
