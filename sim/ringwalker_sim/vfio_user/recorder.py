"""Waves of a part of a long run: from a cycle on, of the last cycles, or of the cycles before an error."""

import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ..engine.native.served import ServedEngine
from ..errors import ParameterError
from ..waves.fst_join import join_fst, require_whole

__all__ = ["WaveRecorder", "Waves"]

log = logging.getLogger("ringwalker.vfio_user")

_SEGMENTS = 4
"""Number of files that the recorded cycles are divided into."""

_AFTER_TROUBLE = 2000
"""Cycles that are recorded after an error."""


@dataclass(frozen=True)
class Waves:
    """The part of a run to record in the FST file ``path``.

    ``first`` is the first cycle. ``last`` keeps that number of cycles before the end and at most a quarter
    more, in as much disk space. With ``on_error`` recording ends soon after the device broke a rule or made
    an unmapped access, and the file is kept only then. Errors: :class:`~ringwalker_sim.errors.ParameterError`
    that names the parameter.
    """

    path: str | Path
    first: int = 0
    last: int | None = None
    on_error: bool = False

    def __post_init__(self):
        if self.first < 0:
            raise ParameterError(f"first is {self.first}; it must be a cycle, 0 or later")
        if self.last is not None and self.last < _SEGMENTS:
            raise ParameterError(f"last is {self.last}; it must be at least {_SEGMENTS} cycles")

    @property
    def opening(self) -> Path:
        """The file to open the engine with."""
        return Path(self.path) if self.last is None else self.segment(0)

    def segment(self, number: int) -> Path:
        """The file for a part of the waves during recording."""
        path = Path(self.path)
        return path.with_name(f"{path.name}.{number}")


class WaveRecorder:
    """Records ``waves`` on ``engine``, which was opened with ``waves.opening``.

    Call :meth:`tick` after time has passed, :meth:`trouble` on an error, and :meth:`finish` when the engine
    is closed.
    """

    def __init__(self, waves: Waves, engine: ServedEngine):
        self._waves = waves
        self._engine = engine
        self._segments = deque([waves.opening])
        self._number = 0
        self._troubled = False
        self._recording = waves.first <= engine.now
        never = 1 << 64
        self._segment_cycles = never if waves.last is None else -(-waves.last // _SEGMENTS)
        self._next_cut = engine.now + self._segment_cycles
        self._stop_at = never
        engine.trace(self._recording)

    def tick(self) -> None:
        """Start, switch or stop files when their cycle has come."""
        now = self._engine.now
        if not self._recording:
            if self._stop_at > now >= self._waves.first:
                # The engine was opened with this file. It starts anew at ``first``, without the reset.
                self._engine.next_waves(self._segments[-1])
                self._recording = True
                self._engine.trace(True)
            return
        if now >= self._stop_at:
            self._recording = False
            self._engine.trace(False)
        elif now >= self._next_cut:
            self._number += 1
            self._next_cut = now + self._segment_cycles
            self._segments.append(self._waves.segment(self._number))
            self._engine.next_waves(self._segments[-1])
            while len(self._segments) > _SEGMENTS + 1:
                self._segments.popleft().unlink(missing_ok=True)

    def trouble(self, text: str) -> None:
        """An error occurred: keep the cycles before it."""
        if self._troubled or not self._waves.on_error:
            return
        self._troubled = True
        self._stop_at = self._engine.now + _AFTER_TROUBLE
        log.info("%s: keeps the waves before: %s", self._waves.path, text)

    def finish(self) -> Path | None:
        """Join the files; the path of the result, or None without one. Errors: ``OutputError``."""
        path = Path(self._waves.path)
        try:
            if self._waves.on_error and not self._troubled:
                log.info("%s: there was no error; no waves are kept", path)
                if self._waves.last is None:
                    path.unlink(missing_ok=True)
                return None
            for segment in self._segments:
                require_whole(segment, path)
            if self._waves.last is not None:
                join_fst(list(self._segments), path)
            return path
        finally:
            if self._waves.last is not None:
                for segment in self._segments:
                    with contextlib.suppress(OSError):
                        segment.unlink(missing_ok=True)
