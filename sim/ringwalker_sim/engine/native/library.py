"""The shared library's functions, with their C types."""

import ctypes
from pathlib import Path
from typing import Any

from .abi import CParameters, CStats

__all__ = ["load"]

_HANDLE, _U32, _U64, _POINTER = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "rw_open": (_HANDLE, [ctypes.POINTER(CParameters), ctypes.c_char_p]),
    "rw_close": (None, [_HANDLE]),
    "rw_reset": (None, [_HANDLE, _U64]),
    "rw_run": (_U32, [_HANDLE, _U64, _POINTER, _U32]),
    "rw_run_until_quiet": (_U32, [_HANDLE, _U64, _POINTER, _U32]),
    "rw_quiet": (_U32, [_HANDLE]),
    "rw_now": (_U64, [_HANDLE]),
    "rw_stats": (None, [_HANDLE, ctypes.POINTER(CStats)]),
    "rw_violation": (ctypes.c_char_p, [_HANDLE]),
    "rw_submit": (_U64, [_HANDLE, _U32, _U64, _U32, _U32, ctypes.c_char_p]),
    "rw_fetch": (_U32, [_HANDLE, _U64, ctypes.c_char_p, _U32]),
    "rw_map": (_U32, [_HANDLE, _U64, _U64, _POINTER, _U32]),
    "rw_map_external": (_U32, [_HANDLE, _U64, _U64, _U32]),
    "rw_external_answer": (_U32, [_HANDLE, _U32, ctypes.c_char_p, _U32]),
    "rw_external_write": (_U32, [_HANDLE, ctypes.c_char_p, _U32]),
    "rw_unmap": (_U32, [_HANDLE, _U64]),
    "rw_watch": (None, [_HANDLE, _U32, _U64, _U64, _U32, _U32]),
    "rw_clear_watches": (None, [_HANDLE]),
    "rw_inject": (None, [_HANDLE, _U32, _U64, _U64]),
    "rw_storage": (None, [_HANDLE, _POINTER, _U64, _U32]),
    "rw_storage_fail": (None, [_HANDLE, _U64]),
    "rw_capacity": (None, [_HANDLE, _U64]),
    "rw_mac_send": (_U32, [_HANDLE, ctypes.c_char_p, _U32, _U64, _U32]),
    "rw_mac_next": (_U32, [_HANDLE, ctypes.POINTER(_U64)]),
    "rw_mac_fetch": (None, [_HANDLE, ctypes.c_char_p]),
    "rw_mac_supply": (None, [_HANDLE, _POINTER, _U64, _U64, _U64]),
    "rw_mac_expect": (None, [_HANDLE, _POINTER, _U64, _U64]),
    "rw_mac_loopback": (None, [_HANDLE, _U32]),
    "rw_mac_link": (None, [_HANDLE, _U32]),
    "rw_uart_send": (None, [_HANDLE, ctypes.c_char_p, _U64]),
    "rw_uart_size": (_U64, [_HANDLE]),
    "rw_uart_fetch": (None, [_HANDLE, ctypes.c_char_p, _U64]),
    "rw_uart_loopback": (None, [_HANDLE, _U32]),
    "rw_terminal": (None, [_HANDLE, _U32, _U32]),
    "rw_trace": (None, [_HANDLE, _U32]),
    "rw_trace_next": (_U32, [_HANDLE, ctypes.c_char_p]),
}


def load(path: Path) -> ctypes.CDLL:
    """The library at ``path`` with argument and result types set."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
