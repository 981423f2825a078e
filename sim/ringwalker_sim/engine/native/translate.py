"""Makes the model's C++ of its Verilog, and offers the host what happens at an edge of the clock."""

import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from ringwalker.verilog import PortInfo

from ...toolchain import verilator_bin
from ...verilog_cache import TOP
from .compiling import run_tool
from .ports_header import peripherals_header, ports_header, registered_inputs

__all__ = ["PREFIX", "VERILATOR_FLAGS", "translate"]

PREFIX = f"V{TOP}"
"""Of the generated classes and files."""

VERILATOR_FLAGS = (
    *("--cc", "--top-module", TOP, "--prefix", PREFIX, "--Mdir", "model"),
    # Blocks that are the same are one module; the model is of one class all the same.
    *("--flatten", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--no-timing"),
    *("--output-split", "20000", "--output-split-cfuncs", "2000", "-Wno-fatal"),
)

_MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535:glibc.malloc.hugetlb=1"}
"""Verilator makes and drops millions of small objects: with these it takes two thirds of the time."""


_TOP_MODULE = re.compile(rf"^(module {TOP}\(.*?\);)(.*?)(?=^endmodule)", re.MULTILINE | re.DOTALL)
_INPUT = re.compile(r"^  input (\[\d+:\d+\] )?(\w+);\n  wire (\[\d+:\d+\] )?\2;\n", re.MULTILINE)


def _register_inputs(verilog: str, inputs: Collection[str]) -> str:
    """Put a register behind each of ``inputs`` of the top: ``x`` becomes port ``x_next``.

    The host knows before an edge what it drives after it. So that which follows from the inputs of a cycle is
    computed with that which follows from the state of the device, once, and not once more.
    """
    top = _TOP_MODULE.search(verilog)
    if top is None:
        return verilog
    names = []

    def registered(match: re.Match[str]) -> str:
        width, name = match[1] or "", match[2]
        if name not in inputs:
            return match[0]
        names.append(name)
        declared = f"  input {width}{name}_next;\n  wire {width}{name}_next;\n  reg {width}{name};\n"
        return f"{declared}  always @(posedge clk) {name} <= {name}_next;\n"

    ports, body = top[1], _INPUT.sub(registered, top[2])
    for name in names:
        ports = re.sub(rf"\b{name}\b", f"{name}_next", ports)
    return verilog[: top.start()] + ports + body + verilog[top.end() :]


def _skip_settled_inputs(model: Path) -> None:
    """Let the generated code compute what hangs on inputs only when one changed (``inputs_changed``).

    Verilator computes it in every evaluation, twice a cycle. Where the line is not found as expected,
    nothing is changed and the model is only slower.
    """
    line = "vlSelfRef.__VicoFirstIteration = 1U;"
    found = [path for path in model.glob("*.cpp") if line in path.read_text()]
    if len(found) == 1 and found[0].read_text().count(line) == 1:
        text = found[0].read_text().replace(line, line.replace("1U", "rw::inputs_changed"))
        found[0].write_text(f"namespace rw {{ extern thread_local bool inputs_changed; }}\n{text}")


_ONE_TRIGGER = re.compile(
    r"___eval_triggers_vec__act\(.*?// Body\s+vlSelfRef\.__VactTriggered\[0U\] = \(QData\)\(\(IData\)\(\s*"
    r"\(\(IData\)\(vlSelfRef\.clk\)\s*& \(~ \(IData\)\(vlSelfRef\.__Vtrigprevexpr___TOP__clk__0\)\)\)\)\);\s*"
    r"vlSelfRef\.__Vtrigprevexpr___TOP__clk__0 = vlSelfRef\.clk;\s*\}",
    re.DOTALL,
)
_AT_EDGE = re.compile(rf"^void (V{TOP}___024root)___eval_nba\(\1\* vlSelf\) \{{$", re.MULTILINE)


def _offer_edge(model: Path) -> bool:
    """Let the host have what the generated code does at a rising edge (``rising_edge``); whether that is so.

    Verilator finds out first which of the model's clocks have changed. That costs a twentieth of the time,
    and here there is one clock. Where the code is not found as expected, nothing is changed.
    """
    found = {path: text for path in model.glob("*.cpp") if _AT_EDGE.search(text := path.read_text())}
    triggers = [path for path in model.glob("*.cpp") if _ONE_TRIGGER.search(path.read_text())]
    if len(found) != 1 or len(triggers) != 1:
        return False
    path, text = found.popitem()
    root = f"V{TOP}___024root"
    path.write_text(
        f"{text}\nnamespace rw {{\nvoid rising_edge({root}* root) {{\n    root->__VnbaTriggered[0U] = 1ULL;\n"
        f"    {root}___eval_nba(root);\n    root->__VnbaTriggered[0U] = 0ULL;\n}}\n}}\n"
    )
    return True


def translate(
    folder: Path, verilog: str, ports: Sequence[PortInfo], waves: bool, flags: Sequence[str] = ()
) -> bool:
    """Make the model's C++ of its Verilog, in ``folder``, and the headers that speak of its ports.

    ``flags`` are further ones for Verilator. Gives whether the model offers ``rising_edge``.
    """
    shutil.rmtree(folder / "model", ignore_errors=True)
    (folder / f"{TOP}.v").write_text(_register_inputs(verilog, registered_inputs(ports)))
    trace = ["--trace-fst"] if waves else []
    command = [str(verilator_bin() / "verilator_bin"), *VERILATOR_FLAGS, *flags, *trace, f"{TOP}.v"]
    run_tool(command, folder, "Verilator", _MALLOC)
    _skip_settled_inputs(folder / "model")
    edge = _offer_edge(folder / "model") and not waves  # waves show the clock
    (folder / "ports.h").write_text(ports_header(ports, edge))
    (folder / "peripherals.h").write_text(peripherals_header(ports))
    return edge
