"""Registers that are loaded all at once, and where they lie."""

import pytest

from ringwalker_sim.engine.native.changes.graph import Graph
from ringwalker_sim.engine.native.changes.registers import LINE, Layout, Register, find_registers, with_layout
from ringwalker_sim.engine.native.changes.source import Model, NotUnderstood
from ringwalker_sim.engine.native.changes.statements import parse_statements


def registers(text: str, **types: str) -> dict[str, str]:
    statements = parse_statements(text, frozenset(), frozenset())
    names = {name for statement in statements for name in statement.reads | statement.writes}
    model = Model("root", statements, dict.fromkeys(names, "IData") | types, set(), [], [])
    return {item.name: item.following for item in find_registers(model, Graph(model))}


def layout(**types: str) -> Layout:
    items = [Register(name, f"{name}_next", number) for number, name in enumerate(types)]
    return Layout(items, types | {f"{name}_next": kind for name, kind in types.items()})


def test_a_register_gets_a_variable_as_it_is():
    text = "vlSelfRef.a = vlSelfRef.b; vlSelfRef.c = (1U & vlSelfRef.d); vlSelfRef.b = (1U & vlSelfRef.a);"
    assert registers(text) == {"a": "b"}


def test_all_words_of_a_wide_register_are_needed():
    text = "vlSelfRef.a[0U] = vlSelfRef.b[0U]; vlSelfRef.a[1U] = vlSelfRef.b[1U];"
    assert registers(text, a="VlWide<2>", b="VlWide<2>") == {"a": "b"}
    assert registers(text, a="VlWide<3>", b="VlWide<3>") == {}


def test_a_register_and_what_it_gets_are_of_one_type():
    assert registers("vlSelfRef.a = vlSelfRef.b;", a="IData", b="CData") == {}


def test_what_is_computed_before_it_is_copied_is_no_register():
    """It would get the value of the cycle before."""
    text = "vlSelfRef.a = vlSelfRef.x; vlSelfRef.b = (1U & vlSelfRef.a); vlSelfRef.c = vlSelfRef.b;"
    assert registers(text) == {"a": "x"}


def test_a_register_that_gets_another_is_not_among_them():
    assert registers("vlSelfRef.a = vlSelfRef.b; vlSelfRef.b = vlSelfRef.c;") == {"b": "c"}


def test_of_two_registers_that_get_the_same_one_is_among_them():
    assert len(registers("vlSelfRef.a = vlSelfRef.c; vlSelfRef.b = vlSelfRef.c;")) == 1


def test_registers_lie_aligned_and_by_module():
    names = {"m__DOT__a": "CData", "m__DOT__b": "QData", "m__DOT__c": "VlWide<3>", "n__DOT__d": "SData"}
    found = layout(**names)
    assert [item.name for item in found.registers] == ["m__DOT__b", "m__DOT__c", "m__DOT__a", "n__DOT__d"]
    assert found.begins == [0, 8, 20, 22]
    assert found.lines == 1


def test_what_a_register_gets_is_in_all_lines_that_it_touches():
    found = layout(a="VlWide<15>", b="VlWide<2>", c="CData")
    assert [list(found.lines_of(f"{name}_next")) for name in "abc"] == [[0], [0, 1], [1]]
    assert list(found.lines_of("a")) == []
    assert found.lines == 2
    assert found.begins[2] == LINE + 4


def test_a_header_without_the_declaration_is_refused():
    with pytest.raises(NotUnderstood, match="the declaration of a"):
        with_layout("class V final {\n  public:\n    IData/*31:0*/ a_next;\n};\n", layout(a="IData"))


def test_the_header_has_both_side_by_side():
    header = (
        "class alignas(VL_CACHE_LINE_BYTES) Vtop___024root final {\n  public:\n    struct {\n"
        "        VL_IN8(b_next,0,0);\n        CData/*0:0*/ other;\n        CData/*0:0*/ b;\n"
        "        VlWide<3>/*95:0*/ a;\n        VL_INW(a_next,95,0,3);\n    };\n};\n"
    )
    assert with_layout(header, layout(a="VlWide<3>", b="CData")) == (
        "class alignas(VL_CACHE_LINE_BYTES) Vtop___024root final {\n  public:\n"
        "    struct alignas(64) {\n        VL_INW(a_next,95,0,3);\n        VL_IN8(b_next,0,0);\n    };\n"
        "    struct alignas(64) {\n        VlWide<3>/*95:0*/ a;\n        CData/*0:0*/ b;\n    };\n"
        "    struct {\n        CData/*0:0*/ other;\n    };\n};\n"
    )
