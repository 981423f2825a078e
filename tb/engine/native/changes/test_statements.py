"""What statements of generated C++ read and write."""

import pytest

from ringwalker_sim.engine.native.changes.statements import NotUnderstood, Statement, parse_statements


def parse(text: str, *own: str) -> list[Statement]:
    return parse_statements(text, frozenset(own), frozenset(("memory",)))


def one(text: str, *own: str) -> Statement:
    (statement,) = parse(text, *own)
    return statement


def test_an_assignment_reads_the_right_side_and_writes_the_left():
    statement = one("vlSelfRef.a = (3U & (IData)(vlSelfRef.b));")
    assert statement.reads == statement.exposed == {"b"}
    assert statement.writes == statement.whole == {"a"}
    assert statement.text == "vlSelfRef.a = (3U & (IData)(vlSelfRef.b));"


def test_statements_are_told_apart_with_their_text():
    first, second = parse("  vlSelfRef.a = 1U; // why\n  if (vlSelfRef.b) {\n vlSelfRef.c = 2U;\n }\n")
    assert first.text == "vlSelfRef.a = 1U;"
    assert second.text == "if (vlSelfRef.b) {\n vlSelfRef.c = 2U;\n }"


def test_an_index_is_read_and_an_element_is_not_the_whole():
    statement = one("vlSelfRef.memory[vlSelfRef.at][2U] = vlSelfRef.value[1U];")
    assert statement.reads == {"at", "value"}
    assert statement.writes == {"memory"}
    assert not statement.whole


def test_stores_into_arrays_are_found_where_they_end():
    statement = one("if (vlSelfRef.set) {vlSelfRef.memory[0U] = 1U; vlSelfRef.a = 2U;}")
    ((at, name),) = statement.stores
    assert (statement.text[:at], name) == ("if (vlSelfRef.set) {vlSelfRef.memory[0U] = 1U;", "memory")


def test_what_one_branch_writes_is_not_written_whole():
    statement = one("if (vlSelfRef.c) { vlSelfRef.a = 1U; } else { vlSelfRef.b = vlSelfRef.a; }")
    assert statement.writes == {"a", "b"}
    assert not statement.whole
    assert statement.exposed == {"c", "a"}


def test_what_both_branches_write_is_written_whole():
    first, second = "if (vlSelfRef.c) { vlSelfRef.a = 1U; } ", "else if (vlSelfRef.d) vlSelfRef.a = 2U; "
    assert one(f"{first}{second}else vlSelfRef.a = 3U;").whole == {"a"}


def test_a_variable_that_was_just_written_is_not_exposed():
    statement = one("{ vlSelfRef.a = vlSelfRef.b; vlSelfRef.c = vlSelfRef.a; }")
    assert statement.reads == {"a", "b"}
    assert statement.exposed == {"b"}


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("VL_ASSIGN_W(400, vlSelfRef.o, vlSelfRef.i);", "o"),
        ("VL_ADD_W(3, vlSelfRef.o, vlSelfRef.i, vlSelfRef.i);", "o"),
        ("VL_EXTENDS_WI(67,21, vlSelfRef.o, (IData)(vlSelfRef.i));", "o"),
        ("VL_SHIFTR_WWI(256,256,8, vlSelfRef.o, vlSelfRef.i, 3U);", "o"),
    ],
)
def test_functions_that_write_an_argument(text, output):
    statement = one(text)
    assert statement.writes == statement.whole == {output}
    assert statement.reads == {"i"}


def test_variables_of_a_function_are_known_by_their_names():
    statement = one("t = VL_EXTENDS_II(8,7, vlSelfRef.a);", "t")
    assert (statement.reads, statement.writes) == ({"a"}, {"t"})


def test_a_variable_of_a_block_stays_in_it():
    statement = one("{ VlWide<3>/*95:0*/ t; VL_ZERO_W(96, t); vlSelfRef.a = t[0U]; }")
    assert "a" in statement.writes


@pytest.mark.parametrize(
    "text",
    [
        "vlSelfRef.a += 1U;",
        "vlSelfRef.a = (vlSelfRef.b = 1U);",
        "++vlSelfRef.a;",
        "vlSelfRef.a = vlSelfRef.b++;",
        "vlSelfRef.a = t;",
        "vlSelfRef.a = f(vlSelfRef.b);",
        "vlSelfRef.a = VL_RAND_RESET_W(3, vlSelfRef.b);",
        "VL_WRITEF_NX(1, vlSelfRef.b);",
        "vlSelfRef.a.assign(vlSelfRef.b);",
        "vlSelfRef.a = Vtop__ConstPool->x;",
        "do { vlSelfRef.a = 1U; } while (0);",
        "for (;;) vlSelfRef.a = 1U;",
        "return;",
        "VL_ADD_W(3, vlSelfRef.o[1U], vlSelfRef.i, vlSelfRef.i);",
        'vlSelfRef.a = "text";',
        "vlSelfRef.a = 1U)",
        "vlSelfRef.a = 1U",
    ],
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(NotUnderstood):
        parse(text)
