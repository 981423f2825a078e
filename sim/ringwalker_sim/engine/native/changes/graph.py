"""Which statements must stay together, and an order of the rest.

A node is a set of statements. A variable has all its writers in one node, so that a node that does not run
leaves what it writes as it is. A statement that reads a variable stays on its side of every writer: before
it, it sees the value of the cycle before, behind it, that of now.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .source import Model
from .statements import Statement

__all__ = ["Node", "nodes_in_order"]


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


class _Ready:
    """Nodes whose predecessors are placed. The next is one of the same module, the most recent first."""

    def __init__(self):
        self._stacks: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._waiting: set[int] = set()

    def push(self, node: int, place: tuple[str, ...]) -> None:
        self._waiting.add(node)
        for length in range(len(place) + 1):
            self._stacks[place[:length]].append(node)

    def pop(self, place: tuple[str, ...]) -> int | None:
        for length in range(len(place), -1, -1):
            stack = self._stacks[place[:length]]
            while stack:
                node = stack.pop()
                if node in self._waiting:
                    self._waiting.discard(node)
                    return node
        return None


def nodes_in_order(model: Model) -> list[Node]:
    """All nodes, each behind those that it must come behind, and otherwise near those of its module."""
    sets = _together(model)
    edges = _edges(model, sets)
    for component in _cycles(sorted({sets.find(n) for n in range(len(model.statements))}), edges):
        for other in component[1:]:
            sets.join(component[0], other)
    edges = _edges(model, sets)
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(model.statements)):
        members[sets.find(number)].append(number)
    nodes = {name: Node(numbers, model.statements, model.own) for name, numbers in members.items()}
    before = dict.fromkeys(nodes, 0)
    for successors in edges.values():
        for other in successors:
            before[other] += 1
    ready = _Ready()
    for name in sorted(nodes, reverse=True):
        if not before[name]:
            ready.push(name, nodes[name].place)
    order: list[Node] = []
    place: tuple[str, ...] = ()
    while (name := ready.pop(place)) is not None:
        place = nodes[name].place
        order.append(nodes[name])
        for other in sorted(edges.get(name, ()), reverse=True):
            before[other] -= 1
            if not before[other]:
                ready.push(other, nodes[other].place)
    assert len(order) == len(nodes), "cycles are joined"
    return order
