"""A master on an AXI bus of a bench: transactions in, what came of them out."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from .inprocess import Bench

__all__ = ["AxiMaster", "Transaction", "posted_bytes"]

_FIXED = 0


@dataclass(frozen=True)
class Transaction:
    """``beats`` beats of ``2 ** size`` bytes from ``address`` on; ``burst`` is 0 FIXED, 1 INCR or 2 WRAP."""

    address: int
    beats: int
    size: int
    line: int = 0
    burst: int = 1

    @property
    def addresses(self) -> list[int]:
        """Where each beat begins."""
        step = 1 << self.size
        first = self.address // step * step
        later = (first + n * step for n in range(1, self.beats))
        return [self.address] * self.beats if self.burst == _FIXED else [self.address, *later]


class AxiMaster:
    """The master on the port ``bus`` of ``bench``, with as many of the channels as that uses.

    A channel pauses in a cycle with probability ``stall``. ``answers`` has what came on B and on R.
    """

    def __init__(self, bench: Bench, width: int, stall: float = 0.3):
        self.bench, self.width, self.stall = bench, width, stall
        self._queues: dict[str, deque[dict[str, int]]] = {name: deque() for name in ("aw", "w", "ar")}
        self._offers: dict[str, bool] = dict.fromkeys(self._queues, False)
        self.answers: dict[str, list[dict[str, int]]] = {"b": [], "r": []}
        bench.each_cycle(self._cycle)

    def _lanes(self, address: int, size: int) -> range:
        """The bytes of the bus that a beat at ``address`` can have."""
        step, lanes = 1 << size, self.width // 8
        first = address % lanes
        return range(first, first // step * step + step)

    def write(self, item: Transaction, memory: dict[int, int], whole: bool = False) -> None:
        """Queue a write of random bytes with random strobes, or ``whole``; ``memory`` gets what it writes."""
        random = self.bench.random
        self._queues["aw"].append(self._request(item))
        for n, address in enumerate(item.addresses):
            data, strobe = random.getrandbits(self.width), 0
            for lane in self._lanes(address, item.size):
                if whole or random.random() < 0.8:
                    strobe |= 1 << lane
                    place = address // (self.width // 8) * (self.width // 8) + lane
                    memory[place] = data >> 8 * lane & 0xFF
            self._queues["w"].append({"data": data, "strb": strobe, "last": int(n == item.beats - 1)})

    def read(self, item: Transaction) -> None:
        """Queue a read."""
        self._queues["ar"].append(self._request(item))

    def bytes_of(self, item: Transaction, beats: list[dict[str, int]]) -> list[tuple[int, int]]:
        """Address and value of each byte that a read has got."""
        found = []
        for address, beat in zip(item.addresses, beats, strict=True):
            base = address // (self.width // 8) * (self.width // 8)
            found += [(base + n, beat["data"] >> 8 * n & 0xFF) for n in self._lanes(address, item.size)]
        return found

    def _request(self, item: Transaction) -> dict[str, int]:
        return {
            "id": item.line,
            "addr": item.address,
            "len": item.beats - 1,
            "size": item.size,
            "burst": item.burst,
        }

    def _cycle(self) -> None:
        bench = self.bench
        for name, queue in self._queues.items():
            if self._offers[name] and bench.value(f"bus.{name}ready"):
                queue.popleft()
                self._offers[name] = False
            if not self._offers[name] and queue and bench.random.random() >= self.stall:
                self._offers[name] = True
                for key, value in queue[0].items():
                    bench.drive(f"bus.{name}{key}", value)
            bench.drive(f"bus.{name}valid", int(self._offers[name]))
        for name, keys in (("b", ("id", "resp")), ("r", ("id", "resp", "data", "last"))):
            if bench.value(f"bus.{name}valid") and bench.value(f"bus.{name}ready"):
                self.answers[name].append({key: bench.value(f"bus.{name}{key}") for key in keys})
            bench.drive(f"bus.{name}ready", int(bench.random.random() >= self.stall))


def posted_bytes(beats: list[dict[str, Any]], limit: int) -> list[tuple[int, int]]:
    """Address and value of each byte of memory writes, which must be legal, with ``limit`` bytes at most."""
    found: list[tuple[int, int]] = []
    position = 0
    for beat in beats:
        if beat["first"]:
            position = 0
            at, length = beat["header_address"], beat["header_length"]
            assert 4 * length <= limit
            assert at // 4096 == (at + 4 * length - 1) // 4096
            assert beat["header_first_be"]
            assert bool(beat["header_last_be"]) == (length > 1)
        lanes = beat["dwords"].bit_count()
        for n in range(lanes):
            dword = position + n
            edge = dword == beat["header_length"] - 1 and dword
            enable = beat["header_first_be"] if dword == 0 else beat["header_last_be"] if edge else 0xF
            word = beat["data"] >> 32 * n & 0xFFFF_FFFF
            base = beat["header_address"] + 4 * dword
            found += [(base + b, word >> 8 * b & 0xFF) for b in range(4) if enable >> b & 1]
        position += lanes
        assert bool(beat["last"]) == (position == beat["header_length"])
    return found
