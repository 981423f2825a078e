"""The source behind the device's noise port."""

from collections.abc import Iterator
from typing import Any, Self

import cocotb
from cocotb.triggers import FallingEdge

from ..noise import NoiseSource
from .peripheral import Surroundings
from .streams import BeatSource

__all__ = ["NoiseModel"]

_AHEAD = 64
"""Beats that are handed over at once."""


class NoiseModel:
    """Gives the device the bytes of a :class:`~..noise.NoiseSource`, from its reset on as
    fast as it takes them.
    """

    def __init__(self, dut: Any, seed: int, stalls: Iterator[bool] | None = None):
        self._source = NoiseSource(seed)
        self._step = len(dut.noise_payload) // 8
        self._stream = BeatSource(dut, "noise", stalls)
        cocotb.start_soon(self._begin(dut.rst))

    @classmethod
    def behind(cls, dut: Any, surroundings: Surroundings) -> Self:
        """The source with the seed of the job."""
        stalls = surroundings.stalls
        return cls(dut, surroundings.job.seed, stalls("noise") if stalls else None)

    async def _begin(self, reset: Any) -> None:
        # What is offered in a reset looks as if it were taken, and is lost.
        await FallingEdge(reset)
        self._supply()

    def _supply(self) -> None:
        content = self._source.take(_AHEAD * self._step)
        beats = [content[at : at + self._step] for at in range(0, len(content), self._step)]
        payloads = [{"payload": int.from_bytes(beat, "little")} for beat in beats]
        self._stream.put(payloads, self._supply)
