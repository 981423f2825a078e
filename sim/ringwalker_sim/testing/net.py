"""Both ends of the network function for cocotb: chains on one side, a MAC on the other."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.spec.modern import DEVICE_BASE
from ringwalker.spec.net import (
    NET_CONFIG,
    NET_CONTROL_QUEUE,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetHeader,
)

from .registers import RegisterInitiator
from .runner import parameters
from .streams import Payload, StreamSink, StreamSource, random_stalls, start
from .walker import pulses

__all__ = ["HEADER", "RECEIVED_HEADER", "Answer", "NetBench", "ReceivedFrame"]

HEADER = bytes(len(NetHeader.const({}).as_value()) // 8)
RECEIVED_HEADER = NetHeader.const({"num_buffers": 1}).as_value().value.to_bytes(len(HEADER), "little")
"""What the device puts in front of a frame."""


class Answer(NamedTuple):
    """A chain that came back: what was written from its start on, and the used length."""

    content: bytes
    written: int


class ReceivedFrame(NamedTuple):
    """A frame at the MAC, and whether it ended with an error."""

    content: bytes
    error: bool


class ChainSide:
    """The walker's end of chain port ``name``; ``answers`` has what came back, in order."""

    def __init__(self, dut: Any, name: str, beat_bytes: int, stalls: Any):
        self.idle = getattr(dut, f"{name}_idle")
        self.halt = getattr(dut, f"{name}_halt")
        self.halt.value = 0
        self.chains = StreamSource(dut, f"{name}_chains", stalls())
        self.readable = StreamSource(dut, f"{name}_readable", stalls())
        self.replies = StreamSink(dut, f"{name}_replies", stalls(), self._beat)
        self.answers: list[Answer] = []
        self._beat_bytes = beat_bytes
        self._first: Payload = {}
        self._content = b""

    def submit(self, queue: int, readable: bytes, writable: int, error_at: int | None = None) -> None:
        """A chain; from beat ``error_at`` of its readable bytes on they are bad."""
        self.chains.queue({"queue": queue, "readable": len(readable), "writable": writable})
        for number, beat in enumerate(beats(readable, self._beat_bytes)):
            error = error_at is not None and number >= error_at
            self.readable.queue(beat | {"error": int(error)})

    def _beat(self, beat: Payload) -> None:
        if beat["first"]:
            self._first, self._content = beat, b""
        for key in ("offset", "length", "written", "done"):
            assert beat[key] == self._first[key], f"{key} changes within a packet"
        assert beat["last"] or beat["count"] == self._beat_bytes
        self._content += beat["data"].to_bytes(self._beat_bytes, "little")[: beat["count"]]
        if beat["last"]:
            assert len(self._content) == beat["length"] == beat["written"]
            assert beat["done"]
            assert beat["offset"] == 0
            self.answers.append(Answer(self._content, beat["written"]))


def beats(content: bytes, beat_bytes: int) -> Iterator[Payload]:
    """``content`` as beats of a packet of bytes."""
    for at in range(0, len(content), beat_bytes):
        piece = content[at : at + beat_bytes]
        yield {
            "data": int.from_bytes(piece, "little"),
            "count": len(piece),
            "first": int(at == 0),
            "last": int(at + beat_bytes >= len(content)),
        }


class NetBench:
    """``NetFunction`` as ``dut``, whose ``data_width`` is a parameter of the bench.

    ``stall`` is about the probability of a stall on the chain ports, ``mac_stall`` on the MAC's streams.
    ``frames`` has what arrived at the MAC.
    """

    def __init__(self, dut: Any, stall: float = 0.0, mac_stall: float | None = None):
        self.dut = dut
        self.beat_bytes = parameters()["data_width"] // 8

        def stalls() -> Iterator[bool] | None:
            return random_stalls(random.choice([stall / 2, stall, min(0.9, 2 * stall)])) if stall else None

        mac = stall if mac_stall is None else mac_stall
        self.incoming = ChainSide(dut, "incoming", self.beat_bytes, stalls)
        self.outgoing = ChainSide(dut, "outgoing", self.beat_bytes, stalls)
        self.tx = StreamSink(dut, "mac_tx", random_stalls(mac), self._frame_beat)
        self.rx = StreamSource(dut, "mac_rx", random_stalls(mac) if mac else None)
        self.registers = RegisterInitiator(dut, "registers", NET_CONFIG, base=DEVICE_BASE)
        self.missed = pulses(dut, "missed")
        self.undersized = pulses(dut, "undersized")
        self.changes = pulses(dut, "config_change")
        self.frames: list[ReceivedFrame] = []
        self._content = b""
        dut.mac_link_up.value = 1
        dut.driver_ok.value = 1
        dut.clear.value = 0

    async def start(self) -> None:
        """Reset, and let the function find its feet."""
        await start(self.dut)
        await ClockCycles(self.dut.clk, 4)

    def _frame_beat(self, beat: Payload) -> None:
        if beat["first"]:
            self._content = b""
        assert beat["last"] or beat["count"] == self.beat_bytes
        assert beat["count"] > 0
        self._content += beat["data"].to_bytes(self.beat_bytes, "little")[: beat["count"]]
        if beat["last"]:
            self.frames.append(ReceivedFrame(self._content, bool(beat["error"])))

    # --- what the guest and the medium do ------------------------------------------------------------------

    def transmit(self, packet: bytes, error_at: int | None = None) -> None:
        """A transmit chain with these readable bytes."""
        self.outgoing.submit(NET_TRANSMIT_QUEUE, packet, random.choice([0, 0, 100]), error_at)

    def command(self, command: bytes, writable: int = 1, error_at: int | None = None) -> None:
        """A control chain."""
        self.outgoing.submit(NET_CONTROL_QUEUE, command, writable, error_at)

    def offer(self, writable: int, readable: bytes = b"") -> None:
        """A receive chain."""
        self.incoming.submit(NET_RECEIVE_QUEUE, readable, writable)

    def arrive(self, frame: bytes, error: bool = False) -> None:
        """A frame from the medium."""
        for beat in beats(frame, self.beat_bytes):
            self.rx.queue(beat | {"error": int(error and beat["last"])})

    # --- waiting -------------------------------------------------------------------------------------------

    async def until(self, condition: Any, cycles: int = 50_000) -> int:
        """Until ``condition()`` holds after an edge; the cycles that it took."""
        for n in range(cycles):
            if condition():
                return n
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"still waiting after {cycles} cycles")

    async def settle(self) -> None:
        """Until all that was queued was taken, and some more."""
        for source in (
            self.outgoing.chains,
            self.outgoing.readable,
            self.incoming.readable,
            self.rx,
        ):
            await source.drained()
        await ClockCycles(self.dut.clk, 150)

    def check_idle(self) -> None:
        """Nothing is held on either side."""
        assert int(self.incoming.idle.value) == 1
        assert int(self.outgoing.idle.value) == 1
