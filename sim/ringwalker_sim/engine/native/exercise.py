"""A short use of a device, in which its model is watched and compared."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ...errors import RingwalkerError
from ...function.simulation import simulation_of
from ...host.parameters import HostParameters
from ...memory import GuestMemory
from ...workload.job import Job, OpenTask
from .changes import NotUnderstood
from .changes.rates import Rates
from .engine import NativeEngine
from .port import NativePort

__all__ = ["DeviceExercise", "recorded"]

_WATCHED, _PERIOD = 64, 128
"""Cycles that are watched, of how many."""

_MOST_CYCLES = 200_000
"""How many cycles of a job are simulated; a device in which something hangs may take for ever."""

_DIFFERS = "is not what the plain model makes of it"
"""What ``src/inspector.cpp`` says of a variable."""


class _Over(RingwalkerError):
    """The cycles of an exercise are used up."""


class _ExercisePort(NativePort):
    """A port whose time ends."""

    def advance(self, deadline: int | None) -> None:
        """See :meth:`NativePort.advance`."""
        counts = self.engine.raw_stats()
        if counts.cycles - counts.skipped_cycles > _MOST_CYCLES:
            raise _Over(f"{_MOST_CYCLES} cycles have been simulated")
        super().advance(deadline)


def recorded(engine: NativeEngine) -> Rates:
    """What ``engine`` has recorded since ``rw_record``."""
    library, handle = engine.library, engine.handle()
    cycles = library.rw_recorded(handle)
    out = np.zeros(-(-cycles // 8), np.uint8)
    changes = {}
    for signal in range(library.rw_signal_count(handle)):
        library.rw_recorded_changes(handle, signal, out.ctypes.data)
        if bits := int.from_bytes(out.tobytes(), "little"):
            changes[library.rw_signal_name(handle, signal).decode()] = bits
    return Rates(cycles, changes)


class DeviceExercise:
    """The jobs that a function's simulation names (``exercise``), or else that a driver opens the device.

    A device that fails in them has a model all the same: how else would anybody find out why.
    """

    def __init__(self, config: DeviceConfig, probes: bool = False):
        self._config = config
        self._probes = probes
        exercise = simulation_of(config.function).exercise
        self._jobs = exercise(config) if exercise else (Job(OpenTask(), host=HostParameters(latency=40)),)

    @property
    def key(self) -> str:
        """The jobs as text."""
        return json.dumps([job.to_json() for job in self._jobs], sort_keys=True)

    @contextmanager
    def _engine(self, job: Job, library: Path, **options: Any) -> Iterator[NativePort]:
        disk = job.open_disk(self._config)
        memory = GuestMemory(job.memory_bytes)
        with NativeEngine(
            self._config,
            memory,
            disk=disk,
            host=job.host,
            seed=job.seed,
            library=library,
            timeline=self._probes,
            **options,
        ) as engine:
            yield _ExercisePort(engine)
        if disk is not None:
            disk.close()

    def watch(self, library: Path) -> Rates:
        """See :class:`~.changes.library.Exercise`."""
        cycles, changes = 0, dict[str, int]()
        for job in self._jobs:
            with self._engine(job, library) as port:
                port.engine.library.rw_record(port.engine.handle(), _WATCHED, _PERIOD)
                with suppress(RingwalkerError):
                    port.run(job.run(port, self._config))
                rates = recorded(port.engine)
            for name, bits in rates.changes.items():
                changes[name] = changes.get(name, 0) | bits << cycles
            cycles += rates.cycles
        return Rates(cycles, changes)

    def check(self, library: Path) -> None:
        """See :class:`~.changes.library.Exercise`."""
        for job in self._jobs:
            with self._engine(job, library, compare=True) as port:
                with suppress(RingwalkerError):
                    port.run(job.run(port, self._config))
                for text in port.engine.violations:
                    if _DIFFERS in text:
                        raise NotUnderstood(f"a mistake in its chunks: {text}")
