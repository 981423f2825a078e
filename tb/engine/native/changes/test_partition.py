"""Where an order of nodes is cut."""

from ringwalker_sim.engine.native.changes.graph import Node
from ringwalker_sim.engine.native.changes.partition import Costs, cut
from ringwalker_sim.engine.native.changes.rates import Rates
from ringwalker_sim.engine.native.changes.statements import Statement

CYCLES = 64
EVEN = sum(1 << n for n in range(0, CYCLES, 2))
ALL = (1 << CYCLES) - 1


def node(writes: str, *reads: str, weight: int = 30) -> Node:
    names = set(reads)
    statement = Statement("", names, names, {writes}, {writes}, [], weight)
    return Node([0], [statement], set())


def chunks(nodes: list[Node], changes: dict[str, int], costs: Costs | None = None) -> list[int]:
    return [len(chunk) for chunk in cut(nodes, Rates(CYCLES, changes), costs)]


def test_what_is_busy_is_cut_from_what_is_not():
    nodes = [node("a", "i"), node("b", "i"), node("c", "j"), node("d", "j")]
    assert chunks(nodes, {"i": ALL, "j": 1}) == [2, 2]


def test_what_is_busy_together_stays_together():
    nodes = [node("a", "i"), node("b", "i"), node("c", "j"), node("d", "j")]
    assert chunks(nodes, {"i": EVEN, "j": EVEN}) == [4]


def test_as_often_but_at_other_times_is_not_together():
    nodes = [node("a", "i"), node("b", "i"), node("c", "j"), node("d", "j")]
    assert chunks(nodes, {"i": EVEN, "j": ALL ^ EVEN}) == [2, 2]


def test_a_register_is_seen_by_those_before_it_a_cycle_later():
    """The reader comes before the writer: it is busy in the cycles after those in which ``a`` changes."""
    nodes = [node("b", "a"), node("a", "i"), node("c", "j")]
    assert chunks(nodes, {"a": EVEN, "i": EVEN, "j": EVEN}) == [1, 2]


def test_what_a_chunk_writes_does_not_make_it_run():
    nodes = [node("a", "i", weight=1), node("b", "a", weight=50)]
    assert chunks(nodes, {"a": ALL, "i": 1}) == [2]


def test_no_chunk_is_larger_than_allowed_but_for_a_single_node():
    nodes = [node("a", "i", weight=500), node("b", "i"), node("c", "i")]
    assert chunks(nodes, {"i": ALL}, Costs(most=70)) == [1, 2]


def test_all_nodes_are_there_once_in_their_order():
    nodes = [node(f"v{n}", f"v{n - 1}") for n in range(1, 50)]
    changes = {f"v{n}": (n * 0x9E3779B97F4A7C15) & ALL for n in range(50)}
    found = [item for chunk in cut(nodes, Rates(CYCLES, changes)) for item in chunk]
    assert found == nodes
