"""Which statements must stay together, and an order of the rest.

A node is a set of statements. A variable has all its writers in one node, so that a node that does not run
leaves what it writes as it is. A statement that reads a variable stays on its side of every writer: before
it, it sees the value of the cycle before, behind it, that of now.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_

from .rates import Rates
from .source import Model
from .statements import Statement

__all__ = ["Graph", "Node", "nodes_in_order"]

_CANDIDATES = 200
"""Of how many nodes that could be next the most like the last one is."""

_SAME_MODULE = 0.05
"""What each level of the hierarchy that two nodes have in common counts, beside 1 for the same cycles."""


class Node:
    """Statements, as numbers in their order, with what they read and write together."""

    __slots__ = ("exposed", "place", "statements", "weight", "writes")

    def __init__(self, numbers: Iterable[int], statements: Sequence[Statement], own: set[str]):
        self.statements = sorted(numbers)
        self.writes: set[str] = set()
        for number in self.statements:
            self.writes |= statements[number].writes
        self.writes -= own
        self.exposed = exposed(self.statements, statements) - own
        """What it reads of other nodes, and what it reads of its own before it writes it."""
        self.weight = sum(statements[number].weight for number in self.statements)
        self.place = _place(self.writes)


def exposed(numbers: Sequence[int], statements: Sequence[Statement]) -> set[str]:
    """The variables whose change means that these statements, run in order, may give something else.

    Not one that is written before it is read, if it is then written whole, or not written any more: as long
    as nothing else changes that gives it the value that it has.
    """
    last_write: dict[str, int] = {}
    for number in numbers:
        for name in statements[number].writes:
            last_write[name] = number
    found: set[str] = set()
    covered: set[str] = set()
    for number in numbers:
        statement = statements[number]
        for name in statement.exposed:
            if name not in covered and last_write.get(name, number) >= number:
                found.add(name)
        covered |= statement.whole
    return found


def _place(names: Iterable[str]) -> tuple[str, ...]:
    """The module of the device that a node belongs to: that of its first variable."""
    for name in sorted(names):
        if "__DOT__" in name:
            return tuple(name.split("__DOT__")[:-1])
    return ()


class _Sets:
    """Disjoint sets of numbers."""

    def __init__(self, count: int):
        self._parent = list(range(count))

    def find(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(self, one: int, other: int) -> None:
        one, other = self.find(one), self.find(other)
        self._parent[max(one, other)] = min(one, other)


def _together(model: Model) -> _Sets:
    """Statements that write the same variable, or use the same variable of a function."""
    sets = _Sets(len(model.statements))
    first: dict[str, int] = {}
    for number, statement in enumerate(model.statements):
        for name in statement.writes | (statement.reads & model.own):
            sets.join(first.setdefault(name, number), number)
    return sets


def _edges(model: Model, sets: _Sets) -> dict[int, set[int]]:
    """From each set to those that must come behind it."""
    writers: dict[str, tuple[int, int]] = {}
    for number, statement in enumerate(model.statements):
        for name in statement.writes:
            writers[name] = (writers.get(name, (number, number))[0], number)
    edges: dict[int, set[int]] = defaultdict(set)
    for number, statement in enumerate(model.statements):
        here = sets.find(number)
        for name in statement.reads:
            if name not in writers:
                continue
            first, last = writers[name]
            there = sets.find(first)
            if here == there:
                continue
            if number > first:
                edges[there].add(here)
            if number < last:
                edges[here].add(there)
    return edges


def _cycles(nodes: Sequence[int], edges: Mapping[int, set[int]]) -> list[list[int]]:
    """The strongly connected components, by Tarjan's algorithm without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found = []
    for start in nodes:
        if start in index:
            continue
        work = [(start, iter(edges.get(start, ())))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, successors = work[-1]
            for other in successors:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    component = stack[at:]
                    del stack[at:]
                    on_stack -= set(component)
                    found.append(component)
    return found


def _closest(candidates: Sequence[int], nodes: Mapping[int, Node], busy: Mapping[int, int], last: int) -> int:
    """Which of ``candidates`` is most like node ``last``: busy in the same cycles, and of the same module."""
    best, best_score = candidates[0], -1.0
    for candidate in candidates:
        both, any_of = busy[candidate] & busy[last], busy[candidate] | busy[last]
        score = (1 + both.bit_count()) / (1 + any_of.bit_count())
        for one, other in zip(nodes[candidate].place, nodes[last].place, strict=False):
            if one != other:
                break
            score += _SAME_MODULE
        # The one that became ready last goes on from what was just computed.
        if score >= best_score:
            best, best_score = candidate, score
    return best


class Graph:
    """The nodes of a model, by a number each, and which must come behind which."""

    def __init__(self, model: Model):
        sets = _together(model)
        edges = _edges(model, sets)
        for component in _cycles(sorted({sets.find(n) for n in range(len(model.statements))}), edges):
            for other in component[1:]:
                sets.join(component[0], other)
        members: dict[int, list[int]] = defaultdict(list)
        for number in range(len(model.statements)):
            members[sets.find(number)].append(number)
        self.nodes = {name: Node(numbers, model.statements, model.own) for name, numbers in members.items()}
        self.successors = _edges(model, sets)
        """From each node to those that must come behind it."""
        self.predecessors: dict[int, set[int]] = defaultdict(set)
        for node, others in self.successors.items():
            for other in others:
                self.predecessors[other].add(node)

    def behind(self, start: Iterable[int]) -> set[int]:
        """All that must come behind one of ``start``."""
        return _reached(start, self.successors)

    def before(self, start: Iterable[int]) -> set[int]:
        """All that must come before one of ``start``."""
        return _reached(start, self.predecessors)


def _reached(start: Iterable[int], steps: Mapping[int, set[int]]) -> set[int]:
    found: set[int] = set()
    left = [other for node in start for other in steps.get(node, ())]
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += steps.get(node, ())
    return found


def _arranged(graph: Graph, among: set[int], rates: Rates) -> list[Node]:
    """The nodes ``among``; of the others, those that must come before them have gone."""
    nodes = graph.nodes
    before = {name: len(graph.predecessors.get(name, set()) & among) for name in among}
    busy = {name: reduce(or_, map(rates.of, nodes[name].exposed), 0) for name in among}
    ready = sorted((name for name in among if not before[name]), reverse=True)
    order: list[Node] = []
    last = ready[-1] if ready else 0
    while ready:
        last = _closest(ready[-_CANDIDATES:], nodes, busy, last)
        ready.remove(last)
        order.append(nodes[last])
        for other in sorted(graph.successors.get(last, set()) & among, reverse=True):
            before[other] -= 1
            if not before[other]:
                ready.append(other)
    assert len(order) == len(among), "cycles are joined"
    return order


def nodes_in_order(
    graph: Graph, rates: Rates, registers: Collection[int] = ()
) -> tuple[list[Node], list[Node]]:
    """All nodes but ``registers``: those that must come before one of these, and then the rest.

    Each is behind those that it must come behind, and otherwise next to those that are like it.
    """
    first = graph.before(registers) - set(registers)
    rest = graph.nodes.keys() - first - set(registers)
    return _arranged(graph, first, rates), _arranged(graph, rest, rates)
