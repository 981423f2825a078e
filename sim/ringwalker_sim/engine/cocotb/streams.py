"""Both ends of a stream for whole-device simulations: no Python runs while a stream is idle.

Port names and the meaning of beats are those of :mod:`ringwalker_sim.testing.streams`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import Event, Timer
from cocotb.utils import get_sim_time

__all__ = ["BeatSink", "BeatSource", "stream_fields"]

Beat = dict[str, int]


def stream_fields(dut: Any, name: str) -> dict[str, Any]:
    """Handles of the payload fields of stream ``name`` of ``dut``, by field name.

    Some simulators show wires inside of the design as well, whose names have two underlines there.
    """
    prefix = f"{name}_"
    controls = {f"{name}_valid", f"{name}_ready"}
    ports = [handle._name for handle in dut]
    return {
        port[len(prefix) :]: getattr(dut, port)
        for port in ports
        if port.startswith(prefix) and port not in controls and port[len(prefix)] != "_"
    }


@dataclass
class _Packet:
    beats: list[Beat]
    taken: Callable[[], None] | None
    due: int


class BeatSource:
    """Drives packets into stream ``name``, in order and without gaps unless ``stalls`` says so.

    ``stalls`` decides before each beat, and again each cycle, whether to hold it back.

    It drives right behind a rising edge that it has waited for, or else at a falling one. What wakes it may
    happen at the very time of a rising edge, and simulators differ in which of them they do first.
    """

    def __init__(self, dut: Any, name: str, stalls: Iterator[bool] | None = None):
        self.name = name
        self.stalls = stalls
        self._edge = dut.clk.rising_edge
        self._between_edges = dut.clk.falling_edge
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._fields = stream_fields(dut, name)
        self._driven: Beat = dict.fromkeys(self._fields, 0)
        self._queue: deque[_Packet] = deque()
        self._wake = Event()
        self._valid.value = 0
        for handle in self._fields.values():
            handle.value = 0
        self._task = cocotb.start_soon(self._run())

    def put(self, beats: Iterable[Beat], taken: Callable[[], None] | None = None, due: int = 0) -> None:
        """Send ``beats`` when their turn comes, not before time ``due`` (in steps of the simulator).

        ``taken`` is called when the last beat was accepted. A field that a beat leaves out keeps its value.
        """
        self._queue.append(_Packet(list(beats), taken, due))
        self._wake.set()

    @property
    def pending(self) -> int:
        """Packets not taken whole yet."""
        return len(self._queue)

    def _drive(self, beat: Beat) -> None:
        driven = self._driven
        for key, value in beat.items():
            if driven[key] != value:
                driven[key] = value
                self._fields[key].value = value

    async def _run(self) -> None:
        up = False
        while True:
            if not self._queue:
                if up:
                    self._valid.value = 0
                    up = False
                self._wake.clear()
                await self._wake.wait()
                await self._between_edges
            packet = self._queue[0]
            now = int(get_sim_time("step"))
            if packet.due > now:
                if up:
                    self._valid.value = 0
                    up = False
                await Timer(packet.due - now, "step")
                await self._between_edges
            for beat in packet.beats:
                while self.stalls and next(self.stalls):
                    if up:
                        self._valid.value = 0
                        up = False
                    await self._edge
                self._drive(beat)
                if not up:
                    self._valid.value = 1
                    up = True
                await self._edge
                while not int(self._ready.value):
                    await self._edge
            self._queue.popleft()
            if packet.taken:
                packet.taken()


class BeatSink:
    """Takes beats from stream ``name`` and calls ``accept(sink)`` for each, at the clock edge that moves it.

    ``accept`` reads the fields it needs with :meth:`get`. While ``room`` says False, or ``stalls`` True,
    nothing is taken.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        accept: Callable[["BeatSink"], None],
        room: Callable[[], bool] | None = None,
        stalls: Iterator[bool] | None = None,
    ):
        self.name = name
        self.accept = accept
        self.room = room
        self.stalls = stalls
        self.fields = stream_fields(dut, name)
        self._edge = dut.clk.rising_edge
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._ready.value = 0
        self._task = cocotb.start_soon(self._run())

    def get(self, field: str) -> int:
        """The value of ``field`` in the beat that is being taken."""
        return int(self.fields[field].value)

    def all(self) -> Beat:
        """All fields of the beat that is being taken."""
        return {key: int(handle.value) for key, handle in self.fields.items()}

    async def _run(self) -> None:
        ready = False
        while True:
            # A value read at an edge is the one before it, so a stream that becomes valid at that edge is
            # still caught by the change that follows.
            if ready and not int(self._valid.value):
                await self._valid.rising_edge
            await self._edge
            if ready and int(self._valid.value):
                self.accept(self)
            wanted = not (self.room and not self.room()) and not (self.stalls and next(self.stalls))
            if wanted != ready:
                ready = wanted
                self._ready.value = int(ready)
