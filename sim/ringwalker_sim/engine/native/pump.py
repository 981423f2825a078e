"""The pumps in C++ (``src/pump.h``) as Python reaches them."""

import ctypes
from collections.abc import Sequence

import numpy as np

from ...memory import GuestMemory
from .abi import c_fields
from .engine import NativeEngine
from .pump_layout import BLOCK_LOAD, BLOCK_QUEUE, DONE, FRAME_LOAD, OPERATION, QUEUE, REQUEST, SETUP

__all__ = [
    "CBlockLoad",
    "CBlockQueue",
    "CFrameLoad",
    "CPumpQueue",
    "NativePump",
    "done_type",
    "operation_type",
    "request_type",
]

_WIDTHS = {32: "<u4", 64: "<u8"}


def _type(fields: Sequence[tuple[str, int]]) -> np.dtype:
    return np.dtype([(name, _WIDTHS[width]) for name, width in fields])


operation_type, done_type, request_type = _type(OPERATION), _type(DONE), _type(REQUEST)
"""Rows of arrays; see :mod:`.pump_layout`."""


class CPumpQueue(ctypes.Structure):
    """``struct PumpQueue``."""

    _fields_ = c_fields(QUEUE)


class CPumpSetup(ctypes.Structure):
    """``struct PumpSetup``."""

    _fields_ = c_fields(SETUP)


class CBlockQueue(ctypes.Structure):
    """``struct BlockQueue``."""

    _fields_ = c_fields(BLOCK_QUEUE)


class CBlockLoad(ctypes.Structure):
    """``struct BlockLoad``."""

    _fields_ = c_fields(BLOCK_LOAD)


class CFrameLoad(ctypes.Structure):
    """``struct FrameLoad``."""

    _fields_ = c_fields(FRAME_LOAD)


_STARTS = {CBlockLoad: "rw_pump_blocks", CFrameLoad: "rw_pump_frames"}


class NativePump:
    """Runs ``queues`` in ``memory`` as ``load`` says until :meth:`stop`; whoever made them keeps their
    arrays.

    The engine's PUMP events say when ``batch`` requests have ended, or all. ``done`` are the requests that
    have ended, ``data`` a row of ``row_bytes`` for each with what was read; both have room for a batch and
    for the ``depth`` requests that are in flight at most, and are good until :meth:`take` is called again.
    """

    def __init__(
        self,
        engine: NativeEngine,
        memory: GuestMemory,
        load: CBlockLoad | CFrameLoad,
        queues: Sequence[CPumpQueue],
        *,
        batch: int,
        depth: int,
        row_bytes: int,
    ):
        self.taken = 0
        """How many requests were taken so far."""
        self._engine = engine
        self._load = load
        self._queues = (CPumpQueue * len(queues))(*queues)
        self.done = np.zeros(batch + depth, done_type)
        self.data = np.zeros((batch + depth, row_bytes), np.uint8)
        self._setup = CPumpSetup(
            memory_array=memory.array.ctypes.data,
            memory_address=memory.base,
            queues_array=ctypes.addressof(self._queues),
            queue_count=len(queues),
            done_array=self.done.ctypes.data,
            data_array=self.data.ctypes.data,
            batch=batch,
            row_bytes=row_bytes,
        )
        start = getattr(engine.library, _STARTS[type(load)])
        start(engine.handle(), ctypes.addressof(self._setup), ctypes.addressof(load))

    def take(self) -> int:
        """How many rows of ``done`` are new."""
        count = self._engine.library.rw_pump_done(self._engine.handle())
        self.taken += count
        return count

    def stop(self) -> Sequence[CPumpQueue]:
        """Stop; the queues, and in the load the rest, as they are now."""
        self._engine.library.rw_pump_stop(self._engine.handle())
        return list(self._queues)
