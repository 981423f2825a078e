"""What surrounds a stage of the ring walker in Amaranth's own simulator: the queue table, and guest memory
behind a read port."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ringwalker.queue.ring.limits import LINE_BYTES

from .inprocess import Bench, Item

__all__ = ["DmaReads", "QueueRows"]


class QueueRows:
    """Answers the QueueRead port ``name`` from ``rows``, a dict from queue to a dict of row fields."""

    def __init__(self, bench: Bench, name: str = "table"):
        self.rows: dict[int, dict[str, int]] = {}
        self._bench, self._name = bench, name
        bench.each_cycle(self._step)

    def _step(self) -> None:
        if self._bench.value(f"{self._name}.en"):
            self._bench.drive(
                f"{self._name}.row", self.rows.get(self._bench.value(f"{self._name}.index"), {})
            )


class DmaReads:
    """Answers the DmaReadPort ``name`` from ``memory``, in order.

    ``latency`` is the least and the greatest number of cycles from a request to its first beat, from 2 on;
    each cache line of memory is looked at somewhere in between. ``fails(address)`` says which reads end with
    an error.
    ``requests`` keeps address and length of all of them; one that no TLP could carry is an
    ``AssertionError``.
    """

    def __init__(self, bench: Bench, name: str, memory: Any, data_width: int):
        self.memory = memory
        self.latency: tuple[int, int] = (2, 2)
        self.fails: Callable[[int], bool] = lambda address: False
        self.requests: list[tuple[int, int]] = []
        self._bench, self._stream, self._bytes = bench, f"{name}.data", data_width // 8
        self._waiting: deque[dict[str, Any]] = deque()
        bench.on(f"{name}.requests", self._take)
        bench.each_cycle(self._step)

    def _take(self, request: Item) -> None:
        address, length = request["address"], request["length"]
        assert 1 <= length <= 4096, f"read of {length} bytes"
        assert address % 4096 + length <= 4096, f"read of {length} bytes at {address:#x} crosses 4 KiB"
        self.requests.append((address, length))
        now, delay = self._bench.cycle, self._bench.random.randint(*self.latency)
        lines = []
        for at in range(address & -LINE_BYTES, address + length, LINE_BYTES):
            start, end = max(at, address), min(at + LINE_BYTES, address + length)
            lines.append([start, end, now + self._bench.random.randint(0, delay), None])
        self._waiting.append({"address": address, "lines": lines, "deliver": now + delay - 2})

    def _step(self) -> None:
        for read in self._waiting:
            for line in read["lines"]:
                if line[3] is None and line[2] <= self._bench.cycle:
                    line[3] = bytes(self.memory[line[0] : line[1]])
        while self._waiting and self._waiting[0]["deliver"] <= self._bench.cycle:
            self._deliver(self._waiting.popleft())

    def _deliver(self, read: dict[str, Any]) -> None:
        at = read["address"]
        content = b"".join(line[3] or bytes(self.memory[line[0] : line[1]]) for line in read["lines"])
        error, noise = self.fails(at), self._bench.random.randbytes
        content = noise(at % 4) + (noise(len(content)) if error else content)
        pieces = [content[n : n + self._bytes] for n in range(0, len(content), self._bytes)]
        for n, piece in enumerate(pieces):
            self._bench.put(
                self._stream,
                {
                    "data": int.from_bytes(piece + noise(self._bytes - len(piece)), "little"),
                    "first": int(n == 0),
                    "last": int(n == len(pieces) - 1),
                    "error": int(error),
                },
            )
