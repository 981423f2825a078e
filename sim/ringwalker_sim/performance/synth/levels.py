"""The longest paths of a netlist, counted in LUTs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .netlist import Bit, Module, signal_names
from .targets import Target

__all__ = ["LogicPath", "longest_paths"]

_INDEX = re.compile(r"(\[\d+\]|\.\d+)$")


@dataclass(frozen=True)
class LogicPath:
    """From ``start`` to ``end``: ``luts`` on the path, and carries and multiplexers beside them.

    ``start`` and ``end`` are names of signals, or of cells whose signals have none; ``registers`` says that
    both are inside, not ports. ``through`` are the named signals between.
    """

    luts: int
    carries: int
    muxes: int
    start: str
    end: str
    registers: bool
    through: tuple[str, ...]


@dataclass(frozen=True)
class _Step:
    """The path to a net: its counts, and the net before it; None at its start."""

    luts: int
    carries: int
    muxes: int
    before: Bit | None
    port: bool

    @property
    def order(self) -> tuple[int, int]:
        return self.luts, self.carries + self.muxes


class _Graph:
    """What drives each net, and by what it can be reached."""

    def __init__(self, module: Module, target: Target):
        self.names = signal_names(module)
        self.inputs: dict[Bit, list[tuple[Bit, str]]] = {}
        self.ends: list[tuple[Bit, str, bool]] = []
        self.outer: set[Bit] = set()
        for name, (kind, pins) in module.cells.items():
            self._add_cell(name, pins, target, kind)
        for name, (direction, bits) in module.ports.items():
            if direction == "input":
                self.outer.update(bits)
            else:
                self.ends += [(bit, name, True) for bit in bits if isinstance(bit, int)]
        self.steps: dict[Bit, _Step] = {}

    def _add_cell(self, name: str, pins: Mapping[str, list[Bit]], target: Target, kind: str) -> None:
        paths = target.paths.get(kind, ())
        passing = set()
        for arc in paths:
            sources = [pins[port][bit] for port, bit in arc.inputs if bit < len(pins.get(port, ()))]
            passing.update(port for port, _bit in (*arc.inputs, *arc.outputs))
            for port, bit in arc.outputs:
                if bit < len(pins.get(port, ())):
                    net = pins[port][bit]
                    sinks = self.inputs.setdefault(net, [])
                    sinks += [(source, arc.kind) for source in sources if isinstance(source, int)]
        label = self._label(name, pins)
        for port, nets in pins.items():
            if port not in passing:
                self.ends += [(net, label, False) for net in nets if isinstance(net, int)]

    def _label(self, name: str, pins: Mapping[str, list[Bit]]) -> str:
        for port in ("Q", "O"):
            for net in pins.get(port, ()):
                if net in self.names:
                    return self.names[net]
        return name

    def step(self, net: Bit) -> _Step:
        """The longest path to ``net``. Errors: ``ValueError`` for a loop without a register."""
        stack, open_nets = [net], set()
        while stack:
            here = stack[-1]
            if here in self.steps:
                stack.pop()
                continue
            sources = self.inputs.get(here, ())
            missing = [source for source, _kind in sources if source not in self.steps]
            if missing:
                if here in open_nets:
                    looped = next(source for source in missing if source in open_nets)
                    raise ValueError(f"a loop without a register at {self.names.get(looped, looped)}")
                open_nets.add(here)
                stack += missing
                continue
            self.steps[here] = self._best(here, sources)
            open_nets.discard(here)
            stack.pop()
        return self.steps[net]

    def _best(self, net: Bit, sources) -> _Step:
        best = _Step(0, 0, 0, None, net in self.outer)
        for source, kind in sources:
            way = self.steps[source]
            step = _Step(
                way.luts + (kind == "lut"),
                way.carries + (kind == "carry"),
                way.muxes + (kind == "mux"),
                source,
                way.port,
            )
            if best.before is None or step.order > best.order:
                best = step
        return best

    def path(self, net: Bit, end: str, at_port: bool) -> LogicPath:
        """The longest path to ``net``, which ``end`` takes in."""
        step = self.step(net)
        names, here = [], net
        while (before := self.steps[here].before) is not None:
            if here in self.names:
                names.append(self.names[here])
            here = before
        return LogicPath(
            step.luts,
            step.carries,
            step.muxes,
            self.names.get(here, str(here)),
            end,
            not (at_port or step.port),
            tuple(reversed(names)),
        )


def longest_paths(module: Module, target: Target, count: int = 10) -> list[LogicPath]:
    """The longest paths of a flat ``module``, at most one to each signal, whatever its bits.

    Paths run from registers, memories and ports to registers, memories and ports; those from and to registers
    and memories come first. Of two with as many LUTs the one with more carries and multiplexers is longer.
    """
    graph = _Graph(module, target)
    best: dict[tuple[str, bool], tuple[tuple[int, int], Bit, str, bool]] = {}
    for net, end, at_port in graph.ends:
        step = graph.step(net)
        key = (_INDEX.sub("", end), at_port or step.port)
        if key not in best or step.order > best[key][0]:
            best[key] = (step.order, net, end, at_port)
    ranked = sorted(best.items(), key=lambda item: (item[0][1], *(-n for n in item[1][0]), item[0][0]))
    inside = [item for item in ranked if not item[0][1]][:count]
    outside = [item for item in ranked if item[0][1]][:1]
    return [graph.path(net, end, at_port) for _key, (_order, net, end, at_port) in (*inside, *outside)]
