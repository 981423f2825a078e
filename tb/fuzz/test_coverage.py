"""What can toggle: nets and constants of a small netlist, and what explanations say of the rest."""

from typing import Any

import numpy as np
import pytest

from ringwalker_sim.engine.native.coverage import CoverageLayout, SignalPoints
from ringwalker_sim.fuzz.coverage import check, points_of
from ringwalker_sim.fuzz.explained import Explanation, judge
from ringwalker_sim.fuzz.fixed import Fixed, canonical
from ringwalker_sim.fuzz.netlist import Netlist
from ringwalker_sim.toolchain import ToolError

MEMORY = "\\device.core.x.rows"
A, B, STUCK, FREE_RUN, LOW, HIGH, TOP, ROW, MASKED, QUIET = range(10, 20)
NAMES: dict[str, list[int | str]] = {
    "a": [A],
    "view": [A, B],
    "stuck": [STUCK],
    "free": [FREE_RUN],
    "sum": [LOW, HIGH, TOP],
    "row": [ROW, ROW + 100],
    "masked": [MASKED],
    "quiet": [QUIET],
}


def netlist() -> Netlist:
    """A register that stays 0, one that follows ``a``, a sum of two bits, a memory, ``a & b``,
    and a choice between 0 and nothing."""
    cells: list[Any] = [
        ["$dff", {}, {"D": [30], "Q": [STUCK], "CLK": [9]}],
        ["$and", {}, {"A": [STUCK], "B": [A], "Y": [30]}],
        ["$dff", {}, {"D": [A], "Q": [FREE_RUN], "CLK": [9]}],
        ["$add", {}, {"A": [A], "B": [B], "Y": [LOW, HIGH, TOP]}],
        ["$meminit_v2", {"MEMID": MEMORY}, {"ADDR": ["0"], "DATA": ["0"] * 4, "EN": ["1"] * 4}],
        ["$memwr_v2", {"MEMID": MEMORY}, {"ADDR": [A], "DATA": [B, "0"], "EN": ["1", "1"]}],
        ["$memrd", {"MEMID": MEMORY, "CLK_ENABLE": "0"}, {"ADDR": [A], "DATA": [ROW, ROW + 100]}],
        ["$and", {}, {"A": [A], "B": [B], "Y": [MASKED]}],
        ["$mux", {}, {"A": [A], "B": ["x"], "S": [B], "Y": [50]}],
        ["$mux", {}, {"A": ["x"], "B": ["0"], "S": [FREE_RUN], "Y": [QUIET]}],
    ]
    names = {"chosen": [50], **{f"device.core.x.{name}": bits for name, bits in NAMES.items()}}
    return Netlist({"names": names, "inits": {str(STUCK): "0", str(FREE_RUN): "0"}, "cells": cells})


def layout(*names: str) -> CoverageLayout:
    """Counters of the signals, in this order."""
    signals, first = [], 0
    for name in names:
        bits = len(NAMES.get(name, [0, 0]))
        signals.append(SignalPoints("core.x", name, first, bits))
        first += 2 * bits
    return CoverageLayout(first, signals, [], [])


def constant(name: str) -> list[bool]:
    found = netlist()
    nets = found.of(f"device.core.x.{name}")
    assert nets is not None
    return [Fixed(found).constant(net) for net in nets]


def test_what_no_input_can_change_is_constant() -> None:
    assert constant("stuck") == constant("quiet") == [True]
    assert constant("sum") == [False, False, True]
    assert constant("row") == [False, True]
    assert constant("free") == constant("a") == constant("masked") == [False]


def test_a_bit_with_several_names_is_one_net() -> None:
    found = netlist()
    same = canonical(found, Fixed(found))
    (a,), (chosen,) = found.names["device.core.x.a"], found.names["chosen"]
    assert same[a] == same[chosen]
    points = points_of(layout("a", "view", "stuck"), found, Fixed(found))
    assert [point.places for point in points.points] == [
        (("core.x.a", 0), ("core.x.view", 0)),
        (("core.x.view", 1),),
    ]
    assert points.names["transport"] == 4
    assert points.constant["transport"] == 1


def test_a_constant_that_toggles_and_names_that_differ_are_errors() -> None:
    found = netlist()
    points = points_of(layout("a", "view", "stuck"), found, Fixed(found))
    counted = np.zeros(8, bool)
    check(points, counted)
    counted[[6, 7]] = True
    with pytest.raises(ToolError, match="stuck bit 0: has toggled"):
        check(points, counted)
    counted[[6, 7, 0]] = False, False, True
    check(points, counted)
    assert points.points[0].toggled(counted) == (False, False)
    counted[1] = True
    with pytest.raises(ToolError, match="a bit 0: names of one net"):
        check(points, counted)


def test_what_follows_from_an_explanation_is_explained() -> None:
    found = netlist()
    free = Fixed(found)
    points = points_of(layout("view", "free", "masked"), found, free).points
    counted = np.array([True, True, False, False, True, True, False, False])
    table = (Explanation(("core.x.view",), "", lowest=1),)
    judged = judge(points, counted, found, free, table)
    assert (judged.direct, judged.following, judged.wrong, judged.open) == ([2], [2], [], [])
    other = judge(points, counted, found, free, ())
    assert [point.places[0][0] for point, _missing in other.open] == ["core.x.view", "core.x.masked"]


def test_rows_of_a_memory_have_the_names_of_what_is_written_into_them() -> None:
    found = netlist()
    free = Fixed(found)
    points = points_of(layout("view", "rows[1]"), found, free).points
    assert [(point.places[0], point.written) for point in points if point.row] == [
        (("core.x.rows[1]", 0), (("core.x.view", 1),)),
    ]
    counted = np.array([True] * 4 + [False] * 4)
    table = (Explanation(("core.x.view",), "", lowest=1),)
    assert judge(points, counted, found, free, table).direct == [2]


def test_what_has_moved_in_another_row_is_counted_apart() -> None:
    found = netlist()
    free = Fixed(found)
    points = points_of(layout("rows[0]", "rows[1]"), found, free).points
    judged = judge(points, np.array([True, False, False, False, False, False, False, False]), found, free, ())
    assert judged.rows == 1
    assert [(point.row, missing) for point, missing in judged.open] == [("[0]", 1), ("[1]", 1)]


def test_an_explanation_says_what_a_bit_is_all_the_time() -> None:
    found = netlist()
    free = Fixed(found)
    points = points_of(layout("view", "free", "masked"), found, free).points
    counted = np.array([True, True, False, False, True, True, True, True])
    low, high = (Explanation(("core.x.view",), "", lowest=1, value=value) for value in (0, 1))
    assert judge(points, counted, found, free, (low,)).wrong == ["core.x.masked bit 0"]
    assert judge(points, counted, found, free, (high,)).wrong == []


def test_an_explanation_of_what_has_toggled_is_wrong() -> None:
    found = netlist()
    free = Fixed(found)
    points = points_of(layout("view", "free", "masked"), found, free).points
    counted = np.array([True, True, False, False, True, True, True, True])
    assert judge(points, counted, found, free, (Explanation(("core.x.view",), ""),)).wrong == [
        "core.x.view bit 0",
        "core.x.masked bit 0",
    ]
    counted[3] = True
    table = (Explanation(("core.x.view",), "", lowest=1, way="fall"),)
    assert judge(points, counted, found, free, table).direct == [1]
