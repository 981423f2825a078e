"""Cells and levels of netlists small enough to count by hand."""

import json
from typing import Any

import pytest

from ringwalker_sim.performance.synth.levels import longest_paths
from ringwalker_sim.performance.synth.netlist import block_tree, cell_counts, read_netlist
from ringwalker_sim.performance.synth.targets import TARGETS

ECP5, XILINX = TARGETS["ecp5"], TARGETS["xilinxup"]


def netlist(
    cells: dict[str, tuple[str, dict[str, list]]], nets: dict[str, list], ports=None, **modules
) -> str:
    """A netlist whose module ``top`` has these cells, named nets and ports, beside other modules."""

    def module(cells, nets, ports) -> dict[str, Any]:
        return {
            "cells": {name: {"type": kind, "connections": pins} for name, (kind, pins) in cells.items()},
            "netnames": {name: {"bits": bits} for name, bits in nets.items()},
            "ports": {name: {"direction": way, "bits": bits} for name, (way, bits) in (ports or {}).items()},
        }

    others = {name: module(*content) for name, content in modules.items()}
    return json.dumps({"modules": {"top": module(cells, nets, ports or {}), **others}})


def flop(d: int, q: int) -> tuple[str, dict[str, list]]:
    return "TRELLIS_FF", {"CLK": [1], "DI": [d], "Q": [q]}


def lut(z: int, *inputs: Any) -> tuple[str, dict[str, list]]:
    pins = dict(zip("ABCD", [[bit] for bit in inputs], strict=False))
    return "LUT4", {**pins, "Z": [z]}


NETS = {"a": [2], "b": [3], "part.c": [4], "d": [5]}


def test_luts_between_registers_are_counted():
    # a -> LUT -> LUT -> b, and a -> LUT -> c
    cells = {
        "fb": flop(11, 3),
        "l1": lut(10, 2, "1"),
        "l2": lut(11, 10, 2),
        "fa": flop(3, 2),
        "l3": lut(12, 2),
        "fc": flop(12, 4),
    }
    first, second, *_rest = longest_paths(read_netlist(netlist(cells, NETS))["top"], ECP5)
    assert (first.luts, first.start, first.end, first.registers) == (2, "a", "b", True)
    assert (second.luts, second.start, second.end) == (1, "a", "part.c")
    assert (first.carries, first.muxes) == (0, 0)


def test_the_order_of_cells_does_not_matter():
    cells = {"l1": lut(10, 2), "l2": lut(11, 10), "fb": flop(11, 3), "fa": flop(3, 2)}
    turned = dict(reversed(cells.items()))
    for some in (cells, turned):
        assert longest_paths(read_netlist(netlist(some, NETS))["top"], ECP5)[0].luts == 2


def test_a_carry_chain_is_one_level_and_multiplexers_are_beside():
    # a enters the low half of a chain of two CCU2C, leaves at the top, passes a PFUMX, and ends in b.
    low = ("CCU2C", {"A0": [2], "B0": ["0"], "CIN": ["0"], "A1": ["0"], "COUT": [20], "S0": [21], "S1": [22]})
    high = ("CCU2C", {"A0": ["0"], "CIN": [20], "A1": ["0"], "S0": [23], "S1": [24], "COUT": [25]})
    mux = ("PFUMX", {"ALUT": [24], "BLUT": ["0"], "C0": [4], "Z": [26]})
    cells = {"low": low, "high": high, "mux": mux, "fb": flop(26, 3), "fa": flop(3, 2), "fc": flop(3, 4)}
    path = longest_paths(read_netlist(netlist(cells, NETS))["top"], ECP5)[0]
    assert (path.luts, path.carries, path.muxes) == (1, 1, 1)
    assert (path.start, path.end) == ("a", "b")


def test_the_second_input_of_a_carry_does_not_reach_the_first_sum():
    cell = ("CCU2C", {"A1": [2], "A0": [4], "CIN": ["0"], "S0": [10], "S1": [11], "COUT": [12]})
    cells = {"sum": cell, "fb": flop(10, 3), "fa": flop(11, 2), "fc": flop(12, 4)}
    paths = {path.end: path.start for path in longest_paths(read_netlist(netlist(cells, NETS))["top"], ECP5)}
    assert paths["b"] == "part.c"


def test_reading_lut_ram_is_a_level_and_writing_it_ends_a_path():
    ram = ("TRELLIS_DPR16X4", {"RAD": [2, "0", "0", "0"], "DO": [10, 11, 12, 13], "DI": [14], "WRE": [14]})
    cells = {"ram": ram, "l1": lut(15, 10), "fb": flop(15, 3), "l2": lut(14, 3), "fa": flop(3, 2)}
    paths = longest_paths(read_netlist(netlist(cells, NETS))["top"], ECP5)
    assert [(path.luts, path.start, path.end) for path in paths[:2]] == [(2, "a", "b"), (1, "b", "ram")]


def test_xilinx_cells():
    carry = ("CARRY8", {"S": [10, 2], "DI": ["0", "0"], "CI": ["0"], "O": [20, 21], "CO": [22, 23]})
    cells = {
        "fa": ("FDRE", {"D": [21], "Q": [2]}),
        "inv": ("LUT1", {"I0": [2], "O": [10]}),
        "carry": carry,
        "fb": ("FDRE", {"D": [30], "Q": [3]}),
        "f7": ("MUXF7", {"I0": [20], "I1": ["0"], "S": ["0"], "O": [30]}),
    }
    path = longest_paths(read_netlist(netlist(cells, NETS))["top"], XILINX)[0]
    assert (path.luts, path.carries, path.muxes, path.end) == (1, 1, 1, "b")
    counts = cell_counts(read_netlist(netlist(cells, NETS))["top"], XILINX)
    assert (counts["lut"], counts["ff"], counts["carry"], counts["mux"]) == (1, 2, 1, 1)


def test_paths_of_ports_come_last():
    cells = {"l1": lut(10, 7), "l2": lut(11, 10), "fa": flop(11, 2), "l3": lut(12, 2), "fb": flop(12, 3)}
    ports = {"clk": ("input", [1]), "go": ("input", [7]), "out": ("output", [2])}
    paths = longest_paths(read_netlist(netlist(cells, {**NETS, "go": [7]}, ports))["top"], ECP5)
    assert [(path.luts, path.registers) for path in paths if path.luts] == [(1, True), (2, False)]
    assert (paths[-1].start, paths[-1].end) == ("go", "a")


def test_a_loop_is_an_error():
    cells = {"l1": lut(10, 11), "l2": lut(11, 10), "fa": flop(11, 2)}
    with pytest.raises(ValueError, match="a loop without a register at x"):
        longest_paths(read_netlist(netlist(cells, {"x": [10], "y": [11]}))["top"], ECP5)


def test_names_that_the_tool_made_are_not_shown():
    cells = {"l1": lut(10, 2), "fa": flop(10, 3)}
    nets = {"deep.inside.a": [2], "a": [2], "b_LUT4_Z_D": [10], "b": [3]}
    path = longest_paths(read_netlist(netlist(cells, nets))["top"], ECP5)[0]
    assert (path.start, path.end, path.through) == ("a", "b", ())


def test_blocks_are_counted_with_all_that_is_in_them():
    inner = ({"l": lut(2, 3), "r": ("DP16KD", {})}, {}, {})
    outer = ({"one": ("inner", {}), "two": ("inner", {}), "f": flop(2, 3)}, {}, {})
    cells = {"big": ("outer", {}), "small": ("inner", {}), "x": ("UNKNOWN", {})}
    tree = block_tree(read_netlist(netlist(cells, {}, None, inner=inner, outer=outer)), "top", ECP5)
    assert (tree.counts["lut"], tree.counts["bram"], tree.counts["ff"]) == (3, 3, 1)
    assert [(part.name, part.counts["lut"]) for part in tree.parts] == [("big", 2), ("small", 1)]
    assert [part.name for part in tree.parts[0].parts] == ["one", "two"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"])
def test_what_is_no_netlist_is_refused(text):
    with pytest.raises(ValueError, match="not a netlist"):
        read_netlist(text)
    with pytest.raises(ValueError, match="no module 'other'"):
        block_tree(read_netlist(netlist({}, {})), "other", ECP5)
