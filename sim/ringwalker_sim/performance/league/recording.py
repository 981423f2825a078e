"""What is on the pins of a device in every cycle of a run, for other simulators of the same device."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pywellen

from ringwalker.config import DeviceConfig
from ringwalker.verilog import PortInfo

from ...engine.engines import run_on_engine
from ...errors import DataError
from ...verilog_cache import TOP, device_verilog
from ...workload.job import Job

__all__ = ["WORD", "Recording", "Slot", "record"]

WORD = 32
"""Bits of an element of a row."""

_CLOCK = "clk"


@dataclass(frozen=True)
class Slot:
    """Where a port is in a row: its first word, and how many it takes, lowest first."""

    port: PortInfo
    first: int

    @property
    def words(self) -> int:
        """How many."""
        return -(-self.port.width // WORD)


@dataclass(frozen=True)
class Recording:
    """``inputs`` and ``outputs`` are arrays of words with a row for every cycle, as they are before its end.

    The load begins at cycle ``begin``; before it the driver sets the device up. ``verilog`` is the device,
    whose clock is ``clk``, and ``config`` its configuration.
    """

    config: DeviceConfig
    verilog: str
    input_slots: tuple[Slot, ...]
    output_slots: tuple[Slot, ...]
    inputs: np.ndarray
    outputs: np.ndarray
    begin: int

    @property
    def cycles(self) -> int:
        """How many there are."""
        return len(self.inputs)

    def first(self, cycles: int) -> "Recording":
        """The first ``cycles`` of it."""
        return replace(self, inputs=self.inputs[:cycles], outputs=self.outputs[:cycles])


def _slots(ports: Sequence[PortInfo], direction: str) -> tuple[Slot, ...]:
    slots, at = [], 0
    for port in ports:
        if port.direction == direction and port.name != _CLOCK:
            slots.append(Slot(port, at))
            at += slots[-1].words
    return tuple(slots)


def _rows(slots: Sequence[Slot], changes: Callable[[str], Any], period: int, cycles: int) -> np.ndarray:
    """What the ports of ``slots`` are in the middle of each cycle; ``changes`` gives times and values."""
    rows = np.zeros((cycles, sum(slot.words for slot in slots)), np.uint32)
    middles = np.arange(cycles, dtype=np.int64) * period
    for slot in slots:
        times, values = zip(*changes(slot.port.name), strict=True)
        size = 4 * slot.words
        raw = b"".join(int(value).to_bytes(size, "little") for value in values)
        words = np.frombuffer(raw, "<u4").reshape(len(values), slot.words)
        latest = np.searchsorted(np.array(times, np.int64), middles, "right") - 1
        rows[:, slot.first : slot.first + slot.words] = words[np.maximum(latest, 0)]
    return rows


def record(config: DeviceConfig, job: Job, status: Callable[[str], None] | None = None) -> Recording:
    """Do ``job`` on the native engine with waves, and take the pins out of them.

    Errors: those of the engine, :class:`~ringwalker_sim.errors.DataError` when the job finds any.
    """
    verilog, ports = device_verilog(config, status)
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as folder:
        waves = Path(folder) / "recording.fst"
        result = run_on_engine("native", config, job, waves=waves, status=status)
        if result["errors"]:
            raise DataError("; ".join(result["messages"]))
        waveform = pywellen.Waveform(str(waves))  # pyright: ignore[reportAttributeAccessIssue]  # compiled
        pins = {item.full_name: item for item in waveform.all_vars()}
    period = 1_000_000 // config.clock_mhz
    cycles = result["cycles_total"]
    slots = _slots(ports, "input"), _slots(ports, "output")
    inputs, outputs = (_rows(some, lambda name: pins[f"{TOP}.{name}"].tv, period, cycles) for some in slots)
    return Recording(config, verilog, *slots, inputs, outputs, cycles - result["cycles"])
