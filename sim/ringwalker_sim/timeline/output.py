"""The timeline of a run, written at its end, however that comes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..captures.captures import finish_captures
from ..errors import noted
from .timeline import Timeline

__all__ = ["timeline_of", "write_timeline", "written_behind"]


def timeline_of(engine: Any) -> Timeline:
    """What a native engine with a ``recording`` has recorded so far."""
    config = engine.config
    recording = engine.recording
    events = recording.events()
    about = {
        "clock_mhz": config.clock_mhz,
        "link_bytes_per_cycle": engine.host.link_bytes_per_cycle,
        "function": config.function,
        "data_width": config.data_width,
        "config": config.to_toml(),
        "complete": recording.complete(),
        "most_events": recording.most,
    }
    return Timeline(events, about)


def write_timeline(engine: Any, path: str | Path, unwritten: list[str]) -> None:
    """Write the timeline of ``engine``; ``unwritten`` gets a line if that cannot be done.

    That a recording was cut is said on standard error: it is no failure, the run went on.
    """
    from .file import save

    with noted(unwritten):
        save(timeline := timeline_of(engine), path)
        if not timeline.complete:
            print(f"ringwalker: {path}: {timeline.cut}", file=sys.stderr)


@contextmanager
def written_behind(port: Any, path: str | Path | None, unwritten: list[str]) -> Iterator[None]:
    """The timeline of the run on ``port`` is written at the end of the block if that is a native engine, and
    so are its captures.
    """
    try:
        yield
    finally:
        if path is not None:
            write_timeline(port.engine, path, unwritten)
        if (engine := getattr(port, "engine", None)) is not None:
            finish_captures(engine, unwritten)
