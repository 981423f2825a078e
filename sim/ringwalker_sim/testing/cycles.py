"""One clock for all models of a bench: each is called once a cycle, with the ports that are up.

A coroutine that waits for the clock pays for cocotb's scheduler every cycle; a call does not.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from .bench_top import BITS, BenchPorts, beat_name

__all__ = ["PORTS", "Cycles", "each_cycle"]

PORTS = "RINGWALKER_BENCH_PORTS"
"""The environment variable that carries :class:`BenchPorts` to the simulator's Python."""


class Cycles:
    """Reads the ports of one bit of ``dut`` at each rising edge of ``clk`` and calls all models.

    Values are those before the edge, which the flip-flops see. There is one of these for a ``dut`` in each
    cocotb test: :meth:`of` gives it.
    """

    _current: "Cycles | None" = None

    def __init__(self, dut: Any):
        self.dut = dut
        self.ports = BenchPorts.from_json(json.loads(os.environ[PORTS]))
        self.bits = 0
        self._calls: list[Callable[[int], None]] = []
        self._handles = {
            name: getattr(dut, beat_name(name)) for name, fields in self.ports.streams.items() if fields
        }
        self._beats: dict[str, int] = {}
        self._task = cocotb.start_soon(self._run())

    @classmethod
    def of(cls, dut: Any) -> "Cycles":
        """The one of the cocotb test that runs."""
        if cls._current is None or cls._current._task.done():
            cls._current = cls(dut)
        return cls._current

    def mask(self, name: str) -> int:
        """What port ``name``, of one bit, adds to ``bits`` when it is up."""
        return 1 << self.ports.bits[name]

    def up(self, name: str) -> bool:
        """Whether port ``name``, of one bit, is up."""
        return bool(self.bits >> self.ports.bits[name] & 1)

    def add(self, call: Callable[[int], None]) -> None:
        """Call ``call(bits)`` each cycle from now on, after those that were added before."""
        self._calls.append(call)

    def beat(self, stream: str) -> int:
        """The payload of ``stream`` in this cycle, as its vector."""
        value = self._beats.get(stream)
        if value is None:
            handle = self._handles.get(stream)
            value = self._beats[stream] = int(handle.value) if handle is not None else 0
        return value

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        vector = getattr(self.dut, BITS)
        while True:
            await edge
            self._beats.clear()
            self.bits = bits = int(vector.value)
            for call in self._calls:
                call(bits)


def each_cycle(dut: Any, call: Callable[[Cycles], None]) -> None:
    """Call ``call(cycles)`` at each rising edge, with the ports as they were before it."""
    cycles = Cycles.of(dut)
    cycles.add(lambda _bits: call(cycles))
