"""What a guest does with its source of random bytes: it reads, and compares every byte."""

import time
from dataclasses import dataclass
from typing import Any

from ringwalker.config import DeviceConfig

from ..engine.noise import NoiseSource
from ..guest.opening import OpenDevice
from .figures import Traffic, difference, result_of_traffic
from .job import DeviceTask, Job, Progress

__all__ = ["RngTask"]

_SLICE = 16384
"""Bytes read at once: as many as the driver has in flight, in whole buffers."""


@dataclass(frozen=True)
class RngTask(DeviceTask):
    """Reads ``length`` bytes.

    The result is that of :func:`~.figures.result_of_traffic`, and ``content``: the bytes in hexadecimal.
    """

    length: int

    async def run(
        self, port: Any, config: DeviceConfig, job: Job, progress: Progress | None
    ) -> dict[str, Any]:
        """Read, and compare with the source behind the device, which starts from the seed of the job."""
        result = await super().run(port, config, job, progress)
        wanted = NoiseSource(job.seed).take(self.length)
        if (message := difference(bytes.fromhex(result["content"]), wanted)) is not None:
            result["errors"] += 1
            result["messages"].append(f"noise: {message}")
        return result

    async def work(
        self, opened: OpenDevice, config: DeviceConfig, progress: Progress | None
    ) -> dict[str, Any]:
        """Read."""
        port, content = opened.machine.port, bytearray()
        traffic = Traffic("noise", "bytes")
        traffic.first_cycle = port.now()
        begin = time.perf_counter()
        while len(content) < self.length:
            content += await opened.driven.read(min(_SLICE, self.length - len(content)))
            if progress is not None:
                progress("bytes", len(content), self.length)
        wall_s = time.perf_counter() - begin
        traffic.last_cycle = port.now()
        traffic.sent = traffic.received = traffic.bytes = len(content)
        result = result_of_traffic([traffic], [port], config.clock_mhz, wall_s)
        return {**result, "content": content.hex()}
