"""Frames whose buffers the native engine adds and takes in C++, in the same cycles as :mod:`.frames`.

The first buffers are Python's. Then C++ has the queue with all that is in flight. Python looks at what has
ended many frames at a time, and takes the queue back at the end, or when the ring makes no sense: then it
finds out itself and says what is wrong.
"""

from typing import Any

import numpy as np

from ..engine.native.pump import CFrameLoad, NativePump
from ..guest.errors import DeviceError
from ..guest.virtqueue import Chain
from ..workload.lent_queue import LentQueue, signals_of, until_stopped
from .frames import TIMEOUT_CYCLES, FrameLoad

__all__ = ["NativeFrameLoad"]

_BATCH = 1024


class NativeFrameLoad(FrameLoad):
    """A :class:`FrameLoad` on a port of the native engine, on whose split rings C++ goes on."""

    lent = False
    """C++ has done what it can of the frames."""

    async def run(self, total: int) -> None:
        """See :meth:`FrameLoad.run`."""
        self.lent = False
        await super().run(total)

    async def _elsewhere(self, free: list[int], to_add: int) -> int | None:
        signals = signals_of(self.vq)
        if self.lent or signals is None:
            return None
        self.lent = True
        vq: Any = self.vq
        queue = LentQueue(vq, signals, self._describe)
        buffers = np.zeros(self.depth, np.uint32)
        buffers[: len(free)] = free
        load = CFrameLoad(
            first_buffer=self._memory.address,
            stride=self._stride,
            length=self.header_bytes + self.length,
            header_bytes=self.header_bytes,
            writable=int(self.direction == "rx"),
            together=self.batch,
            left=to_add,
            buffers_array=buffers.ctypes.data,
            buffer_count=len(free),
        )
        pump = NativePump(
            self.port.engine,
            self.port.memory,
            load,
            [queue.queue],
            batch=_BATCH,
            depth=self.depth,
            row_bytes=self.length,
        )

        def look() -> bool:
            self._look(pump)
            return True

        in_time = True
        try:
            in_time = await until_stopped(self.port, pump, self._woken, TIMEOUT_CYCLES, look)
        finally:
            (stopped,) = pump.stop()
            for chain in self._buffers.chains:
                chain.place = None
            queue.take_back(stopped, self._chain)
            free[:] = buffers[: load.buffer_count].tolist()
            self._look(pump)
        if not in_time:
            raise self._lost()
        return load.left

    def _describe(self, row: Any, chain: Chain) -> None:
        number = chain.data
        row["operation"], row["buffer"], row["started"] = number, chain.sg[0][0], self._started[number]

    def _chain(self, row: Any) -> Chain:
        number = int(row["operation"])
        self._started[number] = row["started"]
        return self._buffers.chains[number]

    def _look(self, pump: NativePump) -> None:
        """Check the frames that have come out since the last look."""
        count = pump.take()
        if not count:
            return
        done, rows = pump.done[:count], pump.data[:count]
        self.latencies.append((done["ended"] - done["started"]).astype(np.int64))
        if self._wrong(done["written"], rows) is None:
            self.done += count
            return
        # The error is of those that the driver has seen at once.
        for part in np.split(np.arange(count), np.flatnonzero(np.diff(done["ended"])) + 1):
            if (message := self._wrong(done["written"][part], rows[part])) is not None:
                raise DeviceError(message)
            self.done += len(part)
