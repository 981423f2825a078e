"""The shared library's functions, with their C types."""

import ctypes
from collections.abc import Iterable
from pathlib import Path

from ...toolchain import ToolError
from .abi import CParameters, CStats
from .peripheral import HANDLE, POINTER, U32, U64, Functions, Peripheral

__all__ = ["load"]

_FUNCTIONS: Functions = {
    "rw_open": (HANDLE, [ctypes.POINTER(CParameters), ctypes.c_char_p]),
    "rw_close": (None, [HANDLE]),
    "rw_reset": (None, [HANDLE, U64]),
    "rw_run": (U32, [HANDLE, U64, POINTER, U32]),
    "rw_run_until_quiet": (U32, [HANDLE, U64, POINTER, U32]),
    "rw_serve": (U32, [HANDLE, U64, POINTER, POINTER, U32]),
    "rw_quiet": (U32, [HANDLE]),
    "rw_now": (U64, [HANDLE]),
    "rw_stats": (None, [HANDLE, ctypes.POINTER(CStats)]),
    "rw_violation": (ctypes.c_char_p, [HANDLE]),
    "rw_submit": (U64, [HANDLE, U32, U64, U32, U32, ctypes.c_char_p]),
    "rw_fetch": (U32, [HANDLE, U64, ctypes.c_char_p, U32]),
    "rw_map": (U32, [HANDLE, U64, U64, POINTER, U32]),
    "rw_map_external": (U32, [HANDLE, U64, U64, U32]),
    "rw_external_answer": (U32, [HANDLE, U32, ctypes.c_char_p, U32]),
    "rw_external_write": (U32, [HANDLE, ctypes.c_char_p, U32]),
    "rw_unmap": (U32, [HANDLE, U64]),
    "rw_watch": (None, [HANDLE, U32, U64, U64, U32, U32]),
    "rw_clear_watches": (None, [HANDLE]),
    "rw_inject": (None, [HANDLE, U32, U64, U64]),
    "rw_pump_blocks": (None, [HANDLE, POINTER, POINTER]),
    "rw_pump_frames": (None, [HANDLE, POINTER, POINTER]),
    "rw_pump_done": (U64, [HANDLE]),
    "rw_pump_stop": (None, [HANDLE]),
    "rw_companion_host": (POINTER, [HANDLE]),
    "rw_accompany": (None, [HANDLE, POINTER]),
    "rw_timeline": (None, [HANDLE, U64]),
    "rw_timeline_size": (U64, [HANDLE]),
    "rw_timeline_take": (None, [HANDLE, POINTER]),
    "rw_capture": (None, [HANDLE, U32, U32]),
    "rw_capture_size": (U64, [HANDLE, U32]),
    "rw_capture_take": (None, [HANDLE, U32, POINTER]),
    "rw_trace": (None, [HANDLE, U32]),
    "rw_trace_next": (U32, [HANDLE, ctypes.c_char_p]),
}

_INSPECTION: Functions = {
    "rw_signal_count": (U64, [HANDLE]),
    "rw_signal_name": (ctypes.c_char_p, [HANDLE, U64]),
    "rw_record": (None, [HANDLE, U64, U64]),
    "rw_recorded": (U64, [HANDLE]),
    "rw_recorded_changes": (None, [HANDLE, U64, POINTER]),
    "rw_steps": (POINTER, []),
    "rw_chunks": (POINTER, [HANDLE]),
}
"""Of libraries for change-driven models only."""

_ADOPTION: Functions = {"rw_adopt": (None, [POINTER, POINTER])}
"""Of their plain models only."""

_COVERAGE: Functions = {
    "rw_coverage_size": (U64, [HANDLE]),
    "rw_coverage": (POINTER, [HANDLE]),
    "rw_coverage_states": (POINTER, [HANDLE]),
    "rw_coverage_pairs": (POINTER, [HANDLE]),
    "rw_coverage_forget": (None, [HANDLE]),
}
"""Of models that count what toggles only."""


def load(path: Path, peripherals: Iterable[type[Peripheral]]) -> ctypes.CDLL:
    """The library at ``path``, whose device has ``peripherals``, with argument and result types set.

    Errors: :class:`~ringwalker_sim.toolchain.ToolError` when the system does not load it.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(f"the model cannot be loaded: {error}") from None
    inspection = _INSPECTION if hasattr(library, "rw_record") else {}
    adoption = _ADOPTION if hasattr(library, "rw_adopt") else {}
    coverage = _COVERAGE if hasattr(library, "rw_coverage") else {}
    for functions in (
        _FUNCTIONS,
        inspection,
        adoption,
        coverage,
        *(peripheral.functions for peripheral in peripherals),
    ):
        for name, (result, arguments) in functions.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    return library
