"""The device as a graph of single bits, from its Verilog: which names are one net, and which are constant.

Yosys reads the Verilog, and puts all instances into one module. What remains are cells of a few kinds, whose
outputs are taken apart here into nodes of one bit each.
"""

import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..toolchain import ToolError, build_once, content_hash, run_program
from ..verilog_cache import TOP

__all__ = ["ANY", "FREE", "MISSING", "ONE", "UNKNOWN", "ZERO", "Netlist", "can_read_netlists", "read_netlist"]

MISSING = "pyosys is not installed: pip install 'ringwalker[prove]'"
"""What is said where there is no Yosys."""

_YOSYS = "pyosys"
_COMMANDS = f"read_verilog top.v; hierarchy -top {TOP}; proc; flatten; write_json all.json"
_SCRIPT = "netlist.ys"
_RUN = f"from pyosys import libyosys; libyosys.run_pass('script {_SCRIPT}', libyosys.Design())"
_PRODUCT = "netlist.json"

ZERO, ONE, UNKNOWN, FREE = range(4)
"""Values. Nets 0 and 1 are the constants; net :data:`FREE` is what Yosys writes where nothing is driven: in
branches of a choice that cannot be taken."""

ANY = "any"
"""A node of which nothing is known."""

_Bits = Sequence[int]


def _compact(module: dict[str, Any]) -> dict[str, Any]:
    """What is needed of a module of Yosys' JSON."""
    names, inits = {}, {}
    for name, wire in module["netnames"].items():
        if not wire["hide_name"]:
            names[name] = wire["bits"]
        init = wire["attributes"].get("init")
        if init is not None:
            inits.update(zip(map(str, wire["bits"]), reversed(init), strict=False))
    cells = []
    for cell in module["cells"].values():
        if cell["type"] == "$scopeinfo":
            continue
        wanted = ("MEMID", "A_SIGNED", "B_SIGNED", "CLK_ENABLE")
        parameters = {name: cell["parameters"][name] for name in wanted if name in cell["parameters"]}
        if "CLK_ENABLE" in parameters:
            parameters["CLK_ENABLE"] = str(int(parameters["CLK_ENABLE"], 2))
        cells.append([cell["type"], parameters, cell["connections"]])
    return {"names": names, "inits": inits, "cells": cells}


def can_read_netlists() -> bool:
    """Whether Yosys is there."""
    return importlib.util.find_spec(_YOSYS) is not None


def _cells(verilog: str) -> dict[str, Any]:
    """The cells of a device, kept. Errors: :class:`ToolError` without Yosys."""
    key = content_hash([verilog, _COMMANDS, inspect.getsource(_compact)])
    with build_once("netlist", key, (_PRODUCT,)) as (folder, missing):
        if missing:
            (folder / "top.v").write_text(verilog)
            (folder / _SCRIPT).write_text(_COMMANDS)
            if not can_read_netlists():
                raise ToolError(MISSING)
            # A process of its own: yosys ends it when it meets an error.
            done = run_program([sys.executable, "-c", _RUN], folder, os.environ)
            if done.returncode:
                lines = [*done.stdout.splitlines(), *done.stderr.splitlines()] or ["no message"]
                raise ToolError(f"yosys failed: {next((x for x in lines if 'ERROR' in x), lines[-1])}")
            found = folder / "all.json"
            text = json.dumps(_compact(json.loads(found.read_text())["modules"][TOP]))
            (folder / _PRODUCT).write_text(text)
            found.unlink()
        return json.loads((folder / _PRODUCT).read_text())


class Netlist:
    """``names`` gives the nets of a signal, lowest bit first; ``nodes`` the operation and inputs of a net.

    ``states`` are registers and columns of memories: what they begin with, and their next value. What is
    neither is an input. ``columns`` gives the state of each bit of a memory, whatever the row, and
    ``written`` the nets that are written into it.
    """

    def __init__(self, found: dict[str, Any]):
        self.names: dict[str, list[int]] = {}
        self.nodes: dict[int, tuple[str, tuple[int, ...]]] = {}
        self.states: dict[int, tuple[int, int]] = {}
        self.columns: dict[str, list[int]] = {}
        self.size = FREE + 1
        self._number: dict[int, int] = {}
        self._inits = {
            self._net(int(bit)): self._net(value) for bit, value in found["inits"].items() if bit.isdigit()
        }
        self._widths: dict[str, int] = {
            parameters["MEMID"]: len(ports["DATA"])
            for kind, parameters, ports in found["cells"]
            if kind.startswith(("$memwr", "$memrd"))
        }
        self._begin: dict[int, int] = {}
        self._writes: dict[int, list[tuple[int, int]]] = {}
        for kind, parameters, ports in found["cells"]:
            if kind.startswith("$meminit"):
                self._take_init(parameters["MEMID"], self._bits(ports["DATA"]))
        for kind, parameters, ports in found["cells"]:
            if not kind.startswith("$meminit"):
                taken = {name: self._bits(bits) for name, bits in ports.items()}
                self._cell(kind, parameters, taken)
        self.written: dict[int, frozenset[int]] = {}
        for column, writes in self._writes.items():
            self.written[column] = frozenset(data for _enable, data in writes)
            following = column
            for enable, data in writes:
                following = self._new("mux", following, data, enable)
            self.states[column] = (_known(self._begin.get(column, FREE)), following)
        self.names = {name: self._bits(bits) for name, bits in found["names"].items()}

    def of(self, name: str) -> list[int] | None:
        """The nets of a signal, or those of a row of a memory, such as ``storage[3]``."""
        found = self.names.get(name)
        if found is None and name.endswith("]"):
            found = self.columns.get(name[: name.rindex("[")])
        return found

    # --- nets -----------------------------------------------------------------------------------------------

    def _net(self, bit: int | str) -> int:
        if isinstance(bit, str):
            return {"0": ZERO, "1": ONE}.get(bit, FREE)
        if bit not in self._number:
            self._number[bit] = self._fresh()
        return self._number[bit]

    def _bits(self, bits: Sequence[int | str]) -> list[int]:
        return [self._net(bit) for bit in bits]

    def _fresh(self) -> int:
        self.size += 1
        return self.size - 1

    def _new(self, op: str, *inputs: int) -> int:
        net = self._fresh()
        self.nodes[net] = (op, inputs)
        return net

    def _column(self, memory: str, width: int) -> list[int]:
        name = memory.removeprefix("\\")
        columns = self.columns.setdefault(name, [])
        while len(columns) < width:
            columns.append(self._fresh())
            self._writes[columns[-1]] = []
        return columns

    def _take_init(self, memory: str, data: _Bits) -> None:
        """A part of what a memory begins with: its rows follow each other."""
        width = self._widths.setdefault(memory, len(data))
        for n, value in enumerate(data):
            column = self._column(memory, width)[n % width]
            before = self._begin.setdefault(column, value)
            if before != value:
                self._begin[column] = FREE

    # --- cells ----------------------------------------------------------------------------------------------

    def _cell(self, kind: str, parameters: dict[str, Any], ports: dict[str, list[int]]) -> None:
        if kind == "$dff":
            for q, d in zip(ports["Q"], ports["D"], strict=True):
                self.states[q] = (_known(self._inits.get(q, FREE)), d)
        elif kind.startswith("$memwr"):
            columns = self._column(parameters["MEMID"], len(ports["DATA"]))
            for column, data, enable in zip(columns, ports["DATA"], ports["EN"], strict=True):
                self._writes[column].append((enable, data))
        elif kind.startswith("$memrd"):
            columns = self._column(parameters["MEMID"], len(ports["DATA"]))
            if parameters["CLK_ENABLE"] == "0":
                for net, column in zip(ports["DATA"], columns, strict=True):
                    self.nodes[net] = ("row", (column, *ports["ADDR"]))
        else:
            self._combine(kind, parameters, ports)

    def _combine(self, kind: str, parameters: dict[str, Any], ports: dict[str, list[int]]) -> None:
        y = ports["Y"]
        a, b, s = ports["A"], ports.get("B", []), ports.get("S", [])
        a_signed = parameters.get("A_SIGNED", "0")
        signed = a_signed.endswith("1") and parameters.get("B_SIGNED", a_signed).endswith("1")
        width = max(len(a), len(b), len(y) if kind in _ARITHMETIC else 0)

        def wide(bits: _Bits, size: int = width) -> list[int]:
            return [*bits, *[bits[-1] if signed and bits else ZERO] * (size - len(bits))][:size]

        if kind == "$mux":
            rows = [("mux", (low, high, s[0])) for low, high in zip(a, b, strict=True)]
        elif kind == "$pmux":
            n = len(a)
            rows = [
                ("pmux", (a[i], *(net for k, select in enumerate(s) for net in (b[k * n + i], select))))
                for i in range(n)
            ]
        elif kind in _BITWISE:
            size = max(len(a), len(b), len(y))
            rows = [(_BITWISE[kind], pair) for pair in zip(wide(a, size), wide(b, size), strict=True)]
        elif kind in ("$not", "$pos"):
            rows = [("not" if kind == "$not" else "same", (net,)) for net in wide(a, len(y))]
        elif kind in _REDUCE:
            rows = [(_REDUCE[kind], tuple(a))]
        elif kind in ("$logic_and", "$logic_or"):
            both = self._new("or", *a), self._new("or", *b)
            rows = [("and" if kind == "$logic_and" else "or", both)]
        elif kind in ("$eq", "$ne"):
            rows = [(kind[1:], (*wide(a), *wide(b)))]
        elif kind in _COMPARE:
            rows = [("same", (self._compared(*_COMPARE[kind], wide(a), wide(b), signed),))]
        elif kind in _ARITHMETIC:
            rows = [("same", (net,)) for net in self._arithmetic(kind, wide(a), wide(b), len(a), len(b))]
        elif kind in ("$shl", "$shr"):
            rows = [("same", (net,)) for net in self._shifted(kind, wide(a, max(len(a), len(y))), b)]
        else:
            rows = [(ANY, (*a, *b, *s))] * len(y)
        for n, net in enumerate(y):
            self.nodes[net] = rows[n] if n < len(rows) else ("same", (ZERO,))

    def _compared(self, swapped: bool, equal: int, a: _Bits, b: _Bits, signed: bool) -> int:
        """Whether a is less than b; ``equal`` is what is said of equal numbers."""
        if swapped:
            a, b = b, a
        if signed:
            a = [*a[:-1], self._new("not", a[-1])]
            b = [*b[:-1], self._new("not", b[-1])]
        less = equal
        for left, right in zip(a, b, strict=True):
            less = self._new("mux", less, right, self._new("xor", left, right))
        return less

    def _sum(self, a: _Bits, b: _Bits, carry: int) -> list[int]:
        total = []
        for left, right in zip(a, b, strict=True):
            total.append(self._new("xor", left, right, carry))
            carry = self._new("most", left, right, carry)
        return total

    def _arithmetic(self, kind: str, a: _Bits, b: _Bits, a_width: int, b_width: int) -> list[int]:
        zeros = [ZERO] * len(a)
        if kind == "$add":
            return self._sum(a, b, ZERO)
        if kind == "$mul":
            if all(net in (ZERO, ONE) for net in a):
                a, b = b, a
            if not all(net in (ZERO, ONE) for net in b):
                bits = min(len(a), a_width + b_width)
                return [*(self._new(ANY, *a, *b) for _ in range(bits)), *zeros[bits:]]
            total: list[int] = list(zeros)
            for n, net in enumerate(b):
                if net == ONE:
                    total = self._sum(total, [*[ZERO] * n, *a][: len(a)], ZERO)
            return total
        left, right = (zeros, a) if kind == "$neg" else (a, b)
        return self._sum(left, [self._new("not", net) for net in right], ONE)

    def _shifted(self, kind: str, a: _Bits, b: _Bits) -> list[int]:
        now = list(a)
        for n, select in enumerate(b):
            by = min(1 << n, len(now))
            moved = [*[ZERO] * by, *now][: len(now)] if kind == "$shl" else [*now[by:], *[ZERO] * by]
            now = [self._new("mux", x, y, select) for x, y in zip(now, moved, strict=True)]
        return now


def _known(value: int) -> int:
    """What a state begins with, if that is said."""
    return value if value in (ZERO, ONE) else UNKNOWN


_BITWISE = {"$and": "and", "$or": "or", "$xor": "xor"}
_REDUCE = {
    "$reduce_and": "and",
    "$reduce_or": "or",
    "$reduce_bool": "or",
    "$reduce_xor": "xor",
    "$logic_not": "nor",
}
_COMPARE = {"$lt": (False, ZERO), "$le": (False, ONE), "$gt": (True, ZERO), "$ge": (True, ONE)}
_ARITHMETIC = ("$add", "$sub", "$neg", "$mul")


def read_netlist(verilog: str, say: Callable[[str], None] = lambda _text: None) -> Netlist:
    """The netlist of a device, of which Yosys' part is kept. Errors: :class:`ToolError` without Yosys."""
    say("reading which names of the device are one net")
    return Netlist(_cells(verilog))
