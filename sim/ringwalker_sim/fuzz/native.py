"""The C++ of fuzzing as one shared library, the same for all devices, beside the library of a device."""

import ctypes
import shutil
from functools import cache
from pathlib import Path

from ..engine.native.compiling import HOST_FLAGS, Unit, compile_units, link, shared_parts, variant_flags
from ..toolchain import ToolError, build_once, content_hash
from .layout import CFinding, CSettings, fuzz_header

__all__ = ["fuzz_library"]

_SOURCES = Path(__file__).parent / "src"
_NAME = "libringwalker_fuzz.so"
_HANDLE = ctypes.c_void_p
_U32 = ctypes.c_uint32

_FUNCTIONS = {
    "rwf_open": (_HANDLE, [_HANDLE, ctypes.POINTER(CSettings)]),
    "rwf_close": (None, [_HANDLE]),
    "rwf_companion": (_HANDLE, [_HANDLE]),
    "rwf_begin": (None, [_HANDLE, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64]),
    "rwf_judge_open": (_HANDLE, [ctypes.POINTER(CSettings)]),
    "rwf_judge_close": (None, [_HANDLE]),
    "rwf_judge_request": (None, [_HANDLE, _U32, _U32, ctypes.c_uint64, _U32, _U32, ctypes.c_char_p, _U32]),
    "rwf_judge_answer": (None, [_HANDLE, _U32, _U32, ctypes.c_char_p, _U32]),
    "rwf_judge_findings": (ctypes.c_uint64, [_HANDLE, ctypes.POINTER(CFinding), ctypes.c_uint64]),
    "rwf_findings": (ctypes.c_uint64, [_HANDLE, ctypes.POINTER(CFinding), ctypes.c_uint64]),
}


def _silent(_text: str) -> None:
    """It takes seconds."""


@cache
def fuzz_library() -> ctypes.CDLL:
    """The library, compiled if need be. Errors: :class:`~ringwalker_sim.toolchain.ToolError`."""
    host, _objects = shared_parts(False, False, _silent)
    sources = sorted(_SOURCES.iterdir())
    header = fuzz_header()
    parts = [host.name, header, *(part for path in sources for part in (path.name, path.read_text()))]
    with build_once("native-fuzz", content_hash([*parts, *HOST_FLAGS]), (_NAME,)) as (folder, missing):
        if missing:
            for source in sources:
                shutil.copyfile(source, folder / source.name)
            (folder / "fuzz_spec.h").write_text(header)
            names = tuple(path.name for path in sources if path.suffix == ".cpp")
            units = [Unit("fuzz", names, (*HOST_FLAGS, "-I", str(host)))]
            objects = compile_units(folder, units, variant_flags(False), _silent)
            link(objects, folder / _NAME, False, False)
    try:
        library = ctypes.CDLL(str(folder / _NAME))
    except OSError as error:
        raise ToolError(f"the library of fuzzing cannot be loaded: {error}") from None
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
