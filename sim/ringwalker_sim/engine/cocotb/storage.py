"""The disk behind the device's storage port, over a disk image."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from cocotb.utils import get_sim_time

from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.streams import StorageOp

from ...disk_image import DiskFailure, DiskImage
from .peripheral import Surroundings
from .streams import BeatSink, BeatSource

__all__ = ["StorageModel"]


@dataclass(eq=False)
class _Slot:
    """The place of a command's answer among the others."""

    done: bool = False
    error: bool = False
    due: int = 0


class StorageModel:
    """Executes the commands of ``storage_commands`` in order on ``disk``.

    ``latency_steps`` is the time from a command to its data or result, in steps of the simulator. A command
    outside the disk, a write to a read-only one, what the store under it refuses, and everything without a
    disk (None) fails.
    ``fail`` makes chosen commands fail. Errors: ``AssertionError`` when write data does not have the length
    of its command.
    """

    def __init__(
        self,
        dut: Any,
        disk: DiskImage | None,
        *,
        latency_steps: int = 0,
        stalls: Callable[[str], Iterator[bool] | None] | None = None,
    ):
        self.disk = disk
        self.latency_steps = latency_steps
        self.commands = 0
        self.fail: Callable[[StorageOp, int, int], bool] = lambda _op, _sector, _sectors: False
        self._step = len(dut.storage_write_data_data) // 8
        self._writes: deque[tuple[int, int, bool, _Slot]] = deque()
        self._slots: deque[_Slot] = deque()
        self._buffer = bytearray()
        stall = stalls or (lambda _name: None)
        self._read_data = BeatSource(dut, "storage_read_data", stall("storage_read_data"))
        self._results = BeatSource(dut, "storage_results", stall("storage_results"))
        BeatSink(dut, "storage_commands", self._command, self._has_room, stall("storage_commands"))
        BeatSink(
            dut, "storage_write_data", self._data, lambda: bool(self._writes), stall("storage_write_data")
        )

    @classmethod
    def behind(cls, dut: Any, surroundings: Surroundings) -> Self:
        """The disk of the job; it drives ``capacity`` and ``read_only``, too, where there are such ports."""
        job, disk = surroundings.job, surroundings.disk
        if hasattr(dut, "capacity"):
            dut.capacity.value = disk.sectors if disk else surroundings.config.settings.capacity
        if hasattr(dut, "read_only"):
            dut.read_only.value = int(disk is not None and disk.read_only)
        return cls(
            dut,
            disk,
            latency_steps=job.host.storage_latency * surroundings.cycle_steps,
            stalls=surroundings.stalls,
        )

    def _has_room(self) -> bool:
        # One write at a time: a later command must not see the disk before its data came.
        return not self._writes and len(self._slots) < 8

    def _finish(self, slot: _Slot, error: bool, due: int) -> None:
        slot.done, slot.error, slot.due = True, error, due
        while self._slots and self._slots[0].done:
            head = self._slots.popleft()
            self._results.put([{"payload": int(head.error)}], due=head.due)

    def _due(self) -> int:
        return int(get_sim_time("step")) + self.latency_steps

    def _command(self, sink: BeatSink) -> None:
        op = StorageOp(sink.get("op"))
        sector, sectors = sink.get("sector"), sink.get("sectors")
        self.commands += 1
        slot = _Slot()
        self._slots.append(slot)
        disk = self.disk
        error = self.fail(op, sector, sectors) or disk is None
        if op is StorageOp.FLUSH:
            self._finish(slot, error or not self._does(lambda disk: disk.flush()), self._due())
            return
        error = error or disk is None or sector + sectors > disk.sectors
        if op is StorageOp.WRITE:
            self._writes.append((sector, sectors, error or disk is None or disk.read_only, slot))
        else:
            self._read(sector, sectors, error, slot)

    def _does(self, action: Callable[[DiskImage], Any]) -> bool:
        """Whether there is a disk and ``action`` can be done on it."""
        if self.disk is None:
            return False
        try:
            action(self.disk)
        except DiskFailure:
            return False
        return True

    def _read(self, sector: int, sectors: int, error: bool, slot: _Slot) -> None:
        start, size = sector * SECTOR_BYTES, sectors * SECTOR_BYTES
        raw = bytearray(size)

        def read(disk: DiskImage) -> None:
            raw[:] = disk.read(start, size).tobytes()

        error = error or not self._does(read)
        beats = [
            {
                "data": int.from_bytes(raw[at : at + self._step], "little"),
                "last": int(at + self._step >= size),
            }
            for at in range(0, size, self._step)
        ]
        self._read_data.put(beats, lambda: self._finish(slot, error, 0), self._due())

    def _data(self, sink: BeatSink) -> None:
        sector, sectors, error, slot = self._writes[0]
        self._buffer += sink.get("data").to_bytes(self._step, "little")
        if not sink.get("last"):
            return
        raw = bytes(self._buffer)
        self._buffer.clear()
        assert len(raw) == sectors * SECTOR_BYTES, (
            f"write of {sectors} sectors at {sector} came with {len(raw)} bytes"
        )
        content = np.frombuffer(raw, dtype=np.uint8)
        error = error or not self._does(lambda disk: disk.write(sector * SECTOR_BYTES, content))
        self._writes.popleft()
        self._finish(slot, error, self._due())
