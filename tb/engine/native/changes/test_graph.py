"""Which statements stay together, and in which order the rest may be run."""

import random

from ringwalker_sim.engine.native.changes.graph import Graph, exposed, nodes_in_order
from ringwalker_sim.engine.native.changes.rates import Rates
from ringwalker_sim.engine.native.changes.source import Model
from ringwalker_sim.engine.native.changes.statements import parse_statements


def model(text: str, *own: str) -> Model:
    statements = parse_statements(text, frozenset(own), frozenset())
    names = {name for statement in statements for name in statement.reads | statement.writes}
    return Model("root", statements, dict.fromkeys(names, "IData"), set(own), [], [])


def order(text: str, *own: str, cycles: int = 8, **changes: int) -> list[list[int]]:
    before, behind = nodes_in_order(Graph(model(text, *own)), Rates(cycles, changes))
    assert not before
    return [node.statements for node in behind]


def all_exposed(text: str) -> set[str]:
    statements = model(text).statements
    return exposed(range(len(statements)), statements)


def test_all_writers_of_a_variable_are_one_node():
    nodes = order("vlSelfRef.a = 1U; vlSelfRef.b = 2U; if (vlSelfRef.c) vlSelfRef.a = 3U;")
    assert sorted(nodes) == [[0, 2], [1]]


def test_statements_that_share_a_variable_of_a_function_are_one_node():
    assert order("t = vlSelfRef.a; vlSelfRef.b = 1U; vlSelfRef.c = t;", "t").count([0, 2]) == 1


def test_a_reader_stays_on_its_side_of_the_writer():
    nodes = order("vlSelfRef.old = vlSelfRef.a; vlSelfRef.a = vlSelfRef.i; vlSelfRef.new = vlSelfRef.a;")
    assert nodes == [[0], [1], [2]]


def test_a_reader_between_two_writers_joins_them():
    nodes = order("vlSelfRef.a = vlSelfRef.i; vlSelfRef.b = vlSelfRef.a; vlSelfRef.a = vlSelfRef.j;")
    assert nodes == [[0, 1, 2]]


def test_what_is_busy_in_the_same_cycles_is_side_by_side():
    text = "vlSelfRef.a = vlSelfRef.i; vlSelfRef.b = vlSelfRef.j; vlSelfRef.c = vlSelfRef.i; "
    nodes = order(text + "vlSelfRef.d = vlSelfRef.j;", i=0b1010_1010, j=0b0101_0101)
    assert {frozenset(node[0] for node in nodes[at : at + 2]) for at in (0, 2)} == {
        frozenset((0, 2)),
        frozenset((1, 3)),
    }


def test_what_must_come_before_registers_are_loaded_is_apart():
    """The register is a node that is left out: the first statement needs what it was."""
    text = "vlSelfRef.old = vlSelfRef.a; vlSelfRef.a = vlSelfRef.next; vlSelfRef.next = vlSelfRef.a;"
    graph = Graph(model(text))
    (register,) = [number for number, node in graph.nodes.items() if node.writes == {"a"}]
    before, behind = nodes_in_order(graph, Rates(8, {}), {register})
    assert [[node.writes for node in nodes] for nodes in (before, behind)] == [[{"old"}], [{"next"}]]


def test_random_statements_keep_every_order_that_matters():
    choose = random.Random(3)
    for _ in range(200):
        names = [f"v{n}" for n in range(8)]
        text = " ".join(
            f"vlSelfRef.{choose.choice(names)} = vlSelfRef.{choose.choice(names)};" for _ in range(12)
        )
        parsed = model(text).statements
        place = {number: at for at, node in enumerate(order(text)) for number in node}
        for second, after in enumerate(parsed):
            for first, before in enumerate(parsed[:second]):
                if before.writes & (after.reads | after.writes) or before.reads & after.writes:
                    assert place[first] <= place[second], text


def test_what_is_written_whole_before_it_is_read_is_not_exposed():
    assert all_exposed("vlSelfRef.a = vlSelfRef.i; vlSelfRef.b = vlSelfRef.a;") == {"i"}


def test_what_is_read_first_is_exposed():
    assert all_exposed("vlSelfRef.b = vlSelfRef.a; vlSelfRef.a = vlSelfRef.i;") == {"a", "i"}


def test_a_counter_is_exposed_to_itself():
    assert all_exposed("if (vlSelfRef.i) { vlSelfRef.a = (1U + vlSelfRef.a); }") == {"a", "i"}


def test_what_may_keep_its_value_is_not_exposed_behind_its_last_writer():
    assert all_exposed("if (vlSelfRef.i) { vlSelfRef.a = 1U; } vlSelfRef.b = vlSelfRef.a;") == {"i"}


def test_what_may_keep_its_value_is_exposed_between_its_writers():
    text = "if (vlSelfRef.i) { vlSelfRef.a = 1U; } vlSelfRef.b = vlSelfRef.a; vlSelfRef.a = vlSelfRef.j;"
    assert all_exposed(text) == {"i", "j", "a"}
