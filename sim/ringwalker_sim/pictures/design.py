"""What is joined to what in the design: blocks, and the streams and ports between them.

A component is elaborated, and of those in it only the ones that are to be looked into; the others stay
closed, so this takes a moment. Then each input of a block is followed back through the assignments between
the blocks to the output whose data it has. Nothing is known here of the blocks that there are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Fragment, Module, Shape, Signal, Value
from amaranth.hdl._ast import Assign, Concat, Operator, Part, Slice, Switch, SwitchValue
from amaranth.lib import stream, wiring

from ringwalker import streams
from ringwalker.apart import Placement

__all__ = ["OUTSIDE", "Block", "Edge", "Graph", "design_graph"]

OUTSIDE = ""
"""The path of what is around the component: who is at its ports."""

_MOVES = {"&", "|", "^", "~", "m"}
"""Operators through which data passes."""

_WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True, order=True)
class Block:
    """A component of the picture: ``path`` from the top, ``kind`` its class, ``module`` where that is."""

    path: str
    kind: str
    module: str


@dataclass(frozen=True, order=True)
class Edge:
    """Something goes from ``source`` to ``sink``, which are paths of blocks or :data:`OUTSIDE`.

    ``leaves``, ``enters``: the members of the two that are joined. ``carries``: a struct, a group of ports,
    or a number of bits. ``stream``: it is a stream, or has some; otherwise these are signals.
    """

    source: str
    leaves: str
    sink: str
    enters: str
    carries: str
    stream: bool


@dataclass(frozen=True)
class Graph:
    """Blocks, and what is between them."""

    blocks: tuple[Block, ...]
    edges: tuple[Edge, ...]


class _Closed(Placement):
    """Only components that ``opened`` names are looked into."""

    def __init__(self, opened: Callable[[Any], bool]):
        self._opened = opened

    def place(self, component: wiring.Component, elaborate: Callable[[Any], Any]) -> Any:
        """See :class:`Placement`."""
        return elaborate(self) if self._opened(component) else Module()

    def flushed(self, flush: Value) -> Placement:
        """See :class:`Placement`."""
        return self


@dataclass(frozen=True)
class _Pin:
    """A signal of a port: of which block, and the members and signatures that lead to it."""

    owner: str
    path: tuple[str, ...]
    groups: tuple[Any, ...]
    is_input: bool
    shape: Any


def _pins(
    owner: str, interface: Any, path: tuple[str, ...] = (), groups: tuple[Any, ...] = ()
) -> Iterator[tuple[Signal, _Pin]]:
    for name, member in interface.signature.members.items():
        inner = getattr(interface, name)
        if member.is_signature:
            group = member.signature if member.flow is wiring.Out else member.signature.flip()
            yield from _pins(owner, inner, (*path, name), (*groups, group))
        else:
            yield (
                Value.cast(inner),
                _Pin(owner, (*path, name), groups, member.flow is wiring.In, member.shape),
            )


def _moved(value: Any) -> Iterator[Signal]:
    """The signals whose bits are in ``value``, not those that choose among them."""
    if isinstance(value, Signal):
        yield value
    elif isinstance(value, Slice | Part):
        yield from _moved(value.value)
    elif isinstance(value, Concat):
        for part in value.parts:
            yield from _moved(part)
    elif isinstance(value, SwitchValue):
        for _patterns, one in value.cases:
            yield from _moved(one)
    elif isinstance(value, Operator) and value.operator in _MOVES:
        for one in value.operands:
            yield from _moved(one)


def _assignments(statements: Iterable[Any]) -> Iterator[tuple[Signal, Signal]]:
    for statement in statements:
        if isinstance(statement, Assign):
            sources = list(_moved(statement.rhs))
            for target in _moved(statement.lhs):
                yield from ((target, source) for source in sources)
        elif isinstance(statement, Switch):
            for case in statement.cases:
                yield from _assignments(case[1])


@dataclass
class _Net:
    """Who drives whom outside of closed blocks, and the blocks."""

    drivers: dict[int, list[Signal]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    pins: list[tuple[Signal, _Pin]] = field(default_factory=list)

    def read(self, fragment: Any, path: tuple[str, ...], opened: Callable[[Any], bool]) -> None:
        """Read ``fragment``, which is at ``path``."""
        for target, source in _assignments(fragment.statements.get("comb", ())):
            self.drivers.setdefault(id(target), []).append(source)
        for part, name, _place in fragment.subfragments:
            component = next((one for one in part.origins or () if isinstance(one, wiring.Component)), None)
            inside = (*path, name or "")
            if component is None or opened(component):
                self.read(part, inside, opened)
                continue
            label, kind = ".".join(inside), type(component)
            self.blocks.append(Block(label, kind.__name__, kind.__module__))
            self.pins += _pins(label, component)

    def sources(self, signal: Signal, outputs: dict[int, _Pin]) -> list[_Pin]:
        """Those of ``outputs`` whose data ``signal`` has."""
        found: dict[int, _Pin] = {}
        seen, pending = {id(signal)}, list(self.drivers.get(id(signal), ()))
        while pending:
            one = pending.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            if id(one) in outputs:
                found[id(one)] = outputs[id(one)]
            else:
                pending += self.drivers.get(id(one), ())
        return list(found.values())


def _carried(shape: Any) -> str:
    """What a payload is called, and how many bits it has."""
    bits = Shape.cast(shape).width
    if isinstance(shape, type):
        return f"{shape.__name__} {bits}"
    for name in (name for name in streams.__all__ if name.endswith("_beat")):
        if any(shape == getattr(streams, name)(width) for width in _WIDTHS):
            return f"{name} {bits}"
    return "1 bit" if bits == 1 else f"{bits} bits"


def _is_group(signature: Any) -> bool:
    """Whether it is a group of ports with a name."""
    return type(signature) is not wiring.Signature and not isinstance(signature, stream.Signature)


@dataclass(frozen=True)
class _Link:
    """Two ports that are joined: of ``source``, which begins, and of ``sink``."""

    source: str
    leaves: tuple[str, ...]
    sink: str
    enters: tuple[str, ...]
    groups: tuple[Any, ...]
    carries: str
    stream: bool


def _ends(source: _Pin, sink: _Pin) -> _Link | None:
    """The stream or group of ports that two joined signals belong to; None for a signal by itself."""
    if not sink.groups or not source.groups or source.owner == sink.owner:
        return None
    group = sink.groups[-1]
    if isinstance(group, stream.Signature):
        if sink.path[-1] != "payload" or source.path[-1] != "payload":
            return None
        carries = _carried(sink.shape)
    elif _is_group(group) and type(source.groups[-1]) is type(group) and source.path[-1] == sink.path[-1]:
        carries = ""
    else:
        return None
    ends = (source.owner, source.path[:-1], sink.owner, sink.path[:-1])
    return _Link(*ends, sink.groups, carries, isinstance(group, stream.Signature))


def _grouped(links: list[_Link], pins: list[_Pin]) -> set[_Link]:
    """The links, where those of a whole group of ports with a name are one."""
    begins: dict[tuple[str, tuple[str, ...]], bool] = {}
    for pin in pins:
        for depth in range(1, len(pin.path)):
            begins.setdefault((pin.owner, pin.path[:depth]), not pin.is_input)
    partners: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for link in links:
        for owner, path, other in (
            (link.source, link.leaves, link.sink),
            (link.sink, link.enters, link.source),
        ):
            for depth in range(1, len(path) + 1):
                partners.setdefault((owner, path[:depth]), set()).add(other)
    found: set[_Link] = set()
    for link in links:
        leaves, enters, groups, carries, streams_in = (
            link.leaves, link.enters, link.groups, link.carries, link.stream,
        )  # fmt: skip
        if not carries:
            carries = type(groups[-1]).__name__
        turned = False
        while (
            len(groups) > 1
            and len(leaves) > 1
            and leaves[-1] == enters[-1]
            and _is_group(groups[-2])
            and len(partners[link.source, leaves[:-1]]) == len(partners[link.sink, enters[:-1]]) == 1
        ):
            leaves, enters, groups = leaves[:-1], enters[:-1], groups[:-1]
            carries = type(groups[-1]).__name__
        if leaves != link.leaves or not link.carries:
            turned = not begins[link.source, leaves]
        source, sink = (link.source, leaves), (link.sink, enters)
        if turned:
            source, sink = sink, source
        found.add(_Link(*source, *sink, (), carries, streams_in))
    return found


def design_graph(component: wiring.Component, opened: Iterable[str] = ()) -> Graph:
    """The blocks in ``component``; those of the classes ``opened`` are not shown, but what is in them.

    Signals that are in no stream and no group of ports are left out.
    """
    names = frozenset(opened)
    net = _Net()

    def is_opened(one: Any) -> bool:
        return one is component or type(one).__name__ in names

    net.read(Fragment.get(component, _Closed(is_opened)), (), is_opened)
    around = [
        (signal, _Pin(OUTSIDE, pin.path, pin.groups, not pin.is_input, pin.shape))
        for signal, pin in _pins(OUTSIDE, component)
    ]
    pins = [*net.pins, *around]
    outputs = {id(signal): pin for signal, pin in pins if not pin.is_input}
    links = [
        link
        for signal, pin in pins
        if pin.is_input
        for source in net.sources(signal, outputs)
        if (link := _ends(source, pin))
    ]
    merged: dict[tuple[str, ...], Edge] = {}
    for link in _grouped(links, [pin for _signal, pin in pins]):
        ends = (link.source, ".".join(link.leaves), link.sink, ".".join(link.enters), link.carries)
        has_stream = link.stream or (ends in merged and merged[ends].stream)
        merged[ends] = Edge(*ends, has_stream)
    return Graph(tuple(sorted(net.blocks)), tuple(sorted(merged.values())))
