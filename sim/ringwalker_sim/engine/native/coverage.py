"""A plain model that counts how often each bit toggles, and which states its state machines go through.

Verilator's toggle coverage counts, for every signal with a name, each bit's changes up and down. The counters
are read in the process (``rw_coverage``), not from a file. Beside them, in every cycle in which one of the
device's state machines moves, a byte is set for what it did (from which state to which), and one for each
other machine's state at that time: so a run shows whether it led to anything new in a few thousand bytes.
"""

import ctypes
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.verilog import PortInfo

from ...toolchain import ToolError, build_once, content_hash
from ...verilog_cache import TOP
from .build import model_units
from .compiling import (
    HOST_FLAGS,
    Progress,
    Unit,
    built_meanwhile,
    compile_units,
    link,
    shared_parts,
    told,
    variant_flags,
)
from .device_objects import DeviceObjects
from .ports_header import peripherals_header, ports_header
from .translate import PREFIX, VERILATOR_FLAGS, translate

__all__ = ["PAIRS", "CoverageLayout", "SignalPoints", "counts", "coverage_library", "read_layout"]

PAIRS = 1 << 16
"""Bytes for pairs of states, found by a hash."""

_FLAGS = ("--coverage-toggle", "--coverage-max-width", "1024")
_DEFINES = ("-UVM_COVERAGE", "-DVM_COVERAGE=1")
_LAYOUT = "coverage.json"
_ROOT = f"{PREFIX}___024root"
_INSERT = re.compile(
    r"__vlCoverToggleInsert\((?P<begin>\d+), (?P<end>\d+), (?P<ranged>[01]), "
    r"&\(vlSymsp->__Vcoverage\[(?P<first>\d+)\]\), first, \"[^\"]*\", \d+, \d+, \"(?P<scope>[^\"]*)\", "
    r"\"[^\"]*\", \"(?P<name>[^\"]*)\"\)"
)
_ESCAPE = re.compile(r"__0([0-9A-F]{2})")
_COUNTERS = re.compile(r"uint32_t __Vcoverage\[(\d+)\];")
_STATE = re.compile(r"^\s*(CData|SData)/\*(\d+):0\*/ (\w+__DOT__fsm_state);", re.MULTILINE)
_REGISTER = re.compile(
    rf"^(void {_ROOT}::__vlCover(?:Toggle)?Insert\([^{{]*\{{\n).*?^\}}", re.DOTALL | re.MULTILINE
)
_RISING = "void rising_edge("
_EDGE = "    root->__VnbaTriggered[0U] = 0ULL;\n"
_INCLUDE = '#include "verilated_cov.h"\n'
_WIDE = f"""{_INCLUDE}
// Verilator's own goes on behind the end of a word, and so counts bits of the next ones that did not change.
static inline void rw_wide_toggled(int width, uint32_t* counters, WDataInP now, WDataInP before) {{
    for (int word = 0; word * 32 < width; ++word) {{
        for (uint32_t changed = now[word] ^ before[word]; changed; changed &= changed - 1) {{
            const int bit = __builtin_ctz(changed);
            ++counters[2 * (32 * word + bit) + (now[word] >> bit & 1)];
        }}
    }}
}}
#define VL_COV_TOGGLE_CHG_ST_W rw_wide_toggled
"""


@dataclass(frozen=True)
class SignalPoints:
    """A signal's counters: two a bit, from ``first`` on, of its fall and its rise, lowest bit first.

    ``scope`` has the instances from the device down, joined by ``.``.
    """

    scope: str
    name: str
    first: int
    bits: int
    lowest: int = 0


@dataclass(frozen=True)
class CoverageLayout:
    """What the counters of a model are: ``signals``, in the order of their counters, and ``machines``.

    A machine is a state register, by its full name; its transitions have a square of bytes in what
    ``rw_coverage_states`` gives, of ``sizes`` states a side.
    """

    counters: int
    signals: list[SignalPoints]
    machines: list[str]
    sizes: list[int]

    @property
    def transitions(self) -> int:
        """Bytes of all transitions."""
        return sum(size * size for size in self.sizes)


def _plain(name: str) -> str:
    """A name as the Verilog has it: without Verilator's escapes."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)


def _layout(model: Path) -> CoverageLayout:
    """What the generated code says of its counters."""
    text = "".join(path.read_text() for path in sorted(model.glob("*Slow.cpp")))
    signals = []
    for match in _INSERT.finditer(text):
        begin, end = int(match["begin"]), int(match["end"])
        scope = _plain(match["scope"].removeprefix(f".{TOP}").removeprefix(".device").removeprefix("."))
        signals.append(
            SignalPoints(
                scope, _plain(match["name"]), int(match["first"]), abs(end - begin) + 1, min(begin, end)
            )
        )
    signals.sort(key=lambda item: item.first)
    found = _COUNTERS.search((model / f"{PREFIX}__Syms.h").read_text())
    if found is None or not signals:
        raise ToolError("Verilator wrote no counters of coverage")
    machines = _STATE.findall((model / f"{_ROOT}.h").read_text())
    names = [name for _type, _bits, name in machines if "__Vtogcov" not in name]
    sizes = [2 << int(bits) for _type, bits, name in machines if "__Vtogcov" not in name]
    return CoverageLayout(int(found[1]), signals, names, sizes)


def _observer(layout: CoverageLayout) -> str:
    """C++ that notes states after every edge, and gives out what was counted."""
    squares = [0]
    for size in layout.sizes:
        squares.append(squares[-1] + size * size)
    looks = "\n".join(
        f"  look(seen, {number}, {size}, {square}, root->{name});"
        for number, (name, size, square) in enumerate(
            zip(layout.machines, layout.sizes, squares, strict=False)
        )
    )
    return f"""// Generated; do not edit.
#include <algorithm>
#include <cstdint>

#include "model/{PREFIX}__Syms.h"
#include "host.h"

namespace rw {{

namespace {{

template <class Seen>
void look(Seen& seen, unsigned machine, unsigned size, unsigned square, unsigned state) {{
  const unsigned before = seen.states[machine];
  if (before == state) return;
  seen.states[machine] = static_cast<std::uint8_t>(state);
  seen.transitions[square + before * size + state] = 1;
  for (unsigned other = 0; other < seen.machines; ++other) {{
    const unsigned pair = ((machine * 64u + other) * 16u + state) * 16u + seen.states[other];
    seen.pairs[pair * 2654435761u >> 16] = 1;
  }}
}}

}}  // namespace

void observe(Root* root) {{
  auto& seen = root->vlSymsp->seen;
{looks}
}}

}}  // namespace rw

extern "C" {{

std::uint64_t rw_coverage_size(rw::Host*) noexcept {{ return {layout.counters}; }}

const std::uint32_t* rw_coverage(rw::Host* host) noexcept {{ return host->root()->vlSymsp->__Vcoverage; }}

// One byte for every transition, and one for every pair.
const std::uint8_t* rw_coverage_states(rw::Host* host) noexcept {{
  return host->root()->vlSymsp->seen.transitions;
}}

const std::uint8_t* rw_coverage_pairs(rw::Host* host) noexcept {{ return host->root()->vlSymsp->seen.pairs; }}

// What was seen of states so far is forgotten; counters go on.
void rw_coverage_forget(rw::Host* host) noexcept {{
  auto& seen = host->root()->vlSymsp->seen;
  std::fill(std::begin(seen.transitions), std::end(seen.transitions), std::uint8_t{{0}});
  std::fill(std::begin(seen.pairs), std::end(seen.pairs), std::uint8_t{{0}});
}}

}}  // extern "C"
"""


def _patch(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise ToolError(f"the code of coverage in {path.name} is not known")
    path.write_text(text.replace(old, new))


def _instrument(folder: Path) -> CoverageLayout:
    """Let the model in ``folder`` note states, and leave out the runtime's own list of counters."""
    model = folder / "model"
    layout = _layout(model)
    machines = len(layout.machines)
    counters = f"uint32_t __Vcoverage[{layout.counters}]"
    seen = (
        f"    struct Seen {{\n        static constexpr unsigned machines = {machines};\n"
        f"        uint8_t states[{machines}]{{}};\n        uint8_t transitions[{layout.transitions}]{{}};\n"
        f"        uint8_t pairs[{PAIRS}]{{}};\n    }} seen;\n"
    )
    _patch(model / f"{PREFIX}__Syms.h", f"    {counters};\n", f"    {counters}{{}};\n{seen}")
    _patch(model / f"{PREFIX}.h", _INCLUDE, "")
    _patch(model / f"{_ROOT}.h", _INCLUDE, _WIDE)
    for path in model.glob("*.cpp"):
        text = path.read_text()
        if _REGISTER.search(text):
            path.write_text(_REGISTER.sub(r"\1}", text))
        if _EDGE in text:
            _patch(path, _EDGE, f"{_EDGE}    observe(root);\n")
            _patch(path, _RISING, f"void observe({_ROOT}* root);\n{_RISING}")
    (folder / "coverage.cpp").write_text(_observer(layout))
    (folder / _LAYOUT).write_text(
        json.dumps({**vars(layout), "signals": [vars(item) for item in layout.signals]})
    )
    return layout


def read_layout(library: Path) -> CoverageLayout:
    """What the counters of a library of :func:`coverage_library` are."""
    values = json.loads((library.parent / _LAYOUT).read_text())
    values["signals"] = [SignalPoints(**item) for item in values["signals"]]
    return CoverageLayout(**values)


def coverage_library(verilog: str, ports: list[PortInfo], *, progress: Progress | None = None) -> Path:
    """The shared library of a plain model with counters, built if need be. It is some ten times slower.

    ``verilog`` is whole, so that names are those of the signal map. Errors: :class:`ToolError`.
    """
    progress = progress or (lambda _text: None)
    host, shared = shared_parts(False, False, progress)
    headers = [ports_header(ports, edge=True), peripherals_header(ports)]
    own = Path(__file__).read_text()
    key = content_hash([verilog, *headers, host.name, *VERILATOR_FLAGS, *_FLAGS, own])
    name = f"lib{TOP}.so"
    with build_once("native-coverage", key, (name, _LAYOUT), told(progress)) as (folder, missing):
        if missing:
            progress("translating the Verilog")
            device = DeviceObjects(ports, waves=False, changes=False, sanitize=False)
            with built_meanwhile(device.kept):
                if not translate(folder, verilog, ports, False, _FLAGS):
                    raise ToolError("the code of the clock is not known")
                _instrument(folder)
                observer = (*HOST_FLAGS, "-w", "-I", str(host))
                units = [*model_units(folder / "model", "-O1"), Unit("coverage", ("coverage.cpp",), observer)]
                flags = (*variant_flags(waves=False), *_DEFINES)
                objects = compile_units(folder, units, flags, progress)
            link([*objects, *device.of(folder).values(), *shared], folder / name, False, False)
            for path in objects:
                Path(path).unlink()
    return folder / name


def counts(pointer: int, size: int, kind: type[np.generic]) -> np.ndarray:
    """A view of ``size`` numbers in the library's memory."""
    array: Any = (ctypes.c_byte * (size * np.dtype(kind).itemsize)).from_address(pointer)
    return np.frombuffer(array, kind)
