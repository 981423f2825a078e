"""A change-driven model that a process of its own builds while the plain one is already in use.

A person who has changed a line of RTL sees the device run before there are chunks. Both models have the same
variables, so the host goes over from one to the other between two cycles.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from types import FrameType

from ringwalker.config import DeviceConfig

from ...verilog_cache import device_verilog
from .changes import NotUnderstood
from .changes.library import ChangeDriven
from .exercise import DeviceExercise
from .library import load

__all__ = ["Successor"]

_END_SECONDS = 10.0
"""How long it may take to end the programs of a build."""


class Successor:
    """Builds ``model``, the one of ``config``; :meth:`stop` ends that."""

    def __init__(self, config: DeviceConfig, model: ChangeDriven, sanitize: bool, probes: bool = False):
        self._model: ChangeDriven | None = model
        self._steps: ctypes.CDLL | None = None
        words = [*(["--sanitize"] if sanitize else []), *(["--probes"] if probes else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        assert self._process.stdin is not None
        with self._process.stdin as stream:
            stream.write(config.to_toml().encode())

    def take_over(self, library: ctypes.CDLL, handle: int) -> None:
        """Let the host ``handle`` of ``library``, the plain model, go on with the other once there is one.

        To be called between two cycles.
        """
        if self._model is None or self._process.poll() is None:
            return
        model, self._model = self._model, None
        with suppress(NotUnderstood):
            if path := model.built():
                self._steps = load(path, ())
                library.rw_adopt(library.rw_chunks(handle), self._steps.rw_steps())

    @property
    def has_taken_over(self) -> bool:
        """Whether the change-driven model is the one that is used."""
        return self._steps is not None

    def stop(self) -> None:
        """End the build if it has not ended."""
        self._model = None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)


def _main() -> None:
    """Build the model of the configuration on standard input. What has begun ends with SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    config = DeviceConfig.from_dict(tomllib.loads(sys.stdin.read()))
    sanitize, probes = "--sanitize" in sys.argv, "--probes" in sys.argv
    ChangeDriven(
        *device_verilog(config, whole=False, probes=probes),
        DeviceExercise(config, probes),
        sanitize=sanitize,
        progress=lambda _text: None,
    ).build()


if __name__ == "__main__":
    _main()
