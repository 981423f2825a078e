"""Storage behind a block function, for cocotb: executes the commands of a ``StoragePort`` on bytes."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.streams import StorageOp

from .cycles import Cycles
from .streams import StreamSink, StreamSource

__all__ = ["FAILED_READ_BYTE", "StorageLogEntry", "StorageModel"]

FAILED_READ_BYTE = 0xEE
"""What a read that fails delivers in every byte."""


@dataclass(frozen=True)
class StorageLogEntry:
    """A command that was executed."""

    op: StorageOp
    sector: int
    sectors: int
    failed: bool


class StorageModel:
    """The target of a ``StoragePort`` called ``name`` of ``dut``, over ``data`` (a writable buffer of bytes).

    ``latency`` gives the cycles between a command and its execution (called once a command); commands
    overlap, but are executed in order. ``fails`` decides which commands end in an error: such a read
    delivers FAILED_READ_BYTE, such a write has no effect. Commands beyond the end of ``data`` fail too.
    ``stalls`` makes a stall pattern for each of the four streams. ``log`` lists what was executed;
    ``most_waiting`` is the largest number of commands that waited at once.

    Asserts that write data follows its command, is complete, and has ``last`` in the right place.
    """

    def __init__(
        self,
        dut: Any,
        data: bytearray | memoryview,
        *,
        name: str = "storage",
        latency: Callable[[], int] | None = None,
        fails: Callable[[StorageOp, int, int], bool] | None = None,
        stalls: Callable[[], Iterator[bool]] | None = None,
    ):
        pattern = stalls or (lambda: None)
        self.data = data
        self.log: list[StorageLogEntry] = []
        self.most_waiting = 0
        self._latency = latency or (lambda: 0)
        self._fails = fails or (lambda op, sector, sectors: False)
        self._commands: deque[tuple[int, dict[str, int]]] = deque()
        self._write_beats: deque[dict[str, int]] = deque()
        self._results: deque[tuple[int, bool]] = deque()
        self._queued = 0
        self._cycle = 0
        self._promised = 0
        StreamSink(dut, f"{name}_commands", pattern(), self._take_command)
        StreamSink(dut, f"{name}_write_data", pattern(), self._take_write_beat)
        self._read_data = StreamSource(dut, f"{name}_read_data", pattern())
        self._result = StreamSource(dut, f"{name}_results", pattern())
        self._beat_bytes = len(self._read_data.fields["data"]) // 8
        Cycles.of(dut).add(self._step)

    @property
    def idle(self) -> bool:
        """True when every command was executed and its result taken."""
        return not (self._commands or self._write_beats or self._results or self._result.pending)

    def _take_command(self, payload: dict[str, int]) -> None:
        due = self._cycle + self._latency()
        self._commands.append((due, payload))
        self.most_waiting = max(self.most_waiting, len(self._commands))
        if payload["op"] == StorageOp.WRITE.value:
            self._promised += self._beats(payload["sectors"])

    def _take_write_beat(self, payload: dict[str, int]) -> None:
        assert self._promised, "write data came before its command"
        self._promised -= 1
        self._write_beats.append(payload)

    def _beats(self, sectors: int) -> int:
        return sectors * SECTOR_BYTES // self._beat_bytes

    def _step(self, _bits: int) -> None:
        self._cycle += 1
        taken = self._queued - self._read_data.pending
        while self._results and self._results[0][0] <= taken:
            self._result.queue({"payload": int(self._results.popleft()[1])})
        while self._commands and self._commands[0][0] <= self._cycle and self._execute():
            self._commands.popleft()

    def _execute(self) -> bool:
        """Run the oldest command; False when it must wait for its data."""
        payload = self._commands[0][1]
        op, sector, sectors = StorageOp(payload["op"]), payload["sector"], payload["sectors"]
        start, length = sector * SECTOR_BYTES, sectors * SECTOR_BYTES
        if op is StorageOp.WRITE and len(self._write_beats) < self._beats(sectors):
            return False
        assert sectors or op is StorageOp.FLUSH, f"a {op.name} command of no sectors"
        failed = start + length > len(self.data) or self._fails(op, sector, sectors)
        if op is StorageOp.WRITE:
            beats = [self._write_beats.popleft() for _ in range(self._beats(sectors))]
            lasts = [beat["last"] for beat in beats]
            assert lasts == [0] * (len(beats) - 1) + [1], f"last is in the wrong place: {lasts}"
            content = b"".join(beat["data"].to_bytes(self._beat_bytes, "little") for beat in beats)
            if not failed:
                self.data[start : start + length] = content
        elif op is StorageOp.READ:
            content = (
                bytes([FAILED_READ_BYTE]) * length if failed else bytes(self.data[start : start + length])
            )
            for at in range(0, length, self._beat_bytes):
                value = int.from_bytes(content[at : at + self._beat_bytes], "little")
                self._read_data.queue({"data": value, "last": at + self._beat_bytes == length})
            self._queued += self._beats(sectors)
        self.log.append(StorageLogEntry(op, sector, sectors, failed))
        self._results.append((self._queued, failed))
        return True
