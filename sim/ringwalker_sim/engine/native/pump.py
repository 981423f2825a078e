"""The C++ pump of block requests (``src/block_pump.h``) as Python reaches it."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from .engine import NativeEngine
from .pump_layout import DONE, OPERATION, QUEUE, REQUEST, SETUP

__all__ = ["CPumpQueue", "CPumpSetup", "NativePump", "done_type", "operation_type", "request_type"]

_WIDTHS = {32: "<u4", 64: "<u8"}


def _type(fields: Sequence[tuple[str, int]]) -> np.dtype:
    return np.dtype([(name, _WIDTHS[width]) for name, width in fields])


operation_type, done_type, request_type = _type(OPERATION), _type(DONE), _type(REQUEST)
"""Rows of arrays; see :mod:`.pump_layout`."""


def _fields(fields: Sequence[tuple[str, int]]) -> list[tuple[str, Any]]:
    return [(name, {32: ctypes.c_uint32, 64: ctypes.c_uint64}[width]) for name, width in fields]


class CPumpQueue(ctypes.Structure):
    """``struct PumpQueue``."""

    _fields_ = _fields(QUEUE)


class CPumpSetup(ctypes.Structure):
    """``struct PumpSetup``."""

    _fields_ = _fields(SETUP)


class NativePump:
    """Runs ``queues`` as ``setup`` says until :meth:`stop`; whoever made them keeps their arrays.

    ``done`` are requests that have ended, ``data`` a row for each with what was read, both good until
    :meth:`take` is called again. The engine's PUMP events say when there are some.
    """

    def __init__(self, engine: NativeEngine, setup: CPumpSetup, queues: Sequence[CPumpQueue], depth: int):
        self._engine = engine
        self._setup = setup
        self._queues = (CPumpQueue * len(queues))(*queues)
        rows = setup.batch + depth
        self.done = np.zeros(rows, done_type)
        self.data = np.zeros((rows, setup.block_bytes), np.uint8)
        setup.queues_array, setup.queue_count = ctypes.addressof(self._queues), len(queues)
        setup.done_array, setup.data_array = self.done.ctypes.data, self.data.ctypes.data
        engine.library.rw_pump_start(engine.handle(), ctypes.addressof(setup))

    def take(self) -> int:
        """How many rows of ``done`` are new."""
        return self._engine.library.rw_pump_done(self._engine.handle())

    def stop(self) -> Sequence[CPumpQueue]:
        """Stop; the queues, and in the setup the rest, as they are now."""
        self._engine.library.rw_pump_stop(self._engine.handle())
        return list(self._queues)
