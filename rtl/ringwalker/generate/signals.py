"""The map from the device's streams, state machines and ports to their names in the Verilog.

It is read off the Verilog itself, whose modules, instances and wires are one a line, and off the place of
each state register. ``SIGNALS_FORMAT`` says what is in it.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Fragment, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ..verilog import VerilogDesign
from ..verilog_names import plain_name

__all__ = ["SIGNALS_FORMAT", "signal_map"]

SIGNALS_FORMAT = """\
top      name of the top module
ports    of the top, each with name, direction, width, path (its Amaranth name), and values if it is an enum
streams  of every component, each with scope (instances from the top down), name, direction, width of the
         payload, valid, ready, payload, and fields: signal, width, and values if it is an enum
fsms     each with scope, signal, width, and states
signals  others worth a look (enums and idle), each with scope, name, signal, width, and values
valid, ready, payload and signal are places: instances below the top and the name there, joined by dots.
values and states map decimal numbers to names."""

_MODULE = re.compile(r"^module (\S+?) ?\(")
_INSTANCE = re.compile(r"^  ([A-Za-z_][\w$]*) \\?([A-Za-z_][\w$]*) +\($")
_WIRE = re.compile(r"^  (input|output|wire|reg) (?:signed )?(?:\[(\d+):0\] )?(\\\S+|[A-Za-z_][\w$]*)")
_ENUM_VALUE = re.compile(r'^  \(\* enum_value_([01]+) = "(.*)" \*\)$')


@dataclass
class _Wire:
    name: str
    width: int
    direction: str | None = None
    values: dict[int, str] = field(default_factory=dict)


@dataclass
class _Module:
    name: str
    wires: dict[str, _Wire] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)

    def wire(self, name: str, width: int) -> _Wire:
        return self.wires.setdefault(name, _Wire(name, width))


def _modules(text: str) -> dict[str, _Module]:
    modules: dict[str, _Module] = {}
    module: _Module | None = None
    values: dict[int, str] = {}
    for line in text.splitlines():
        if match := _MODULE.match(line):
            module = modules[match[1]] = _Module(match[1])
        elif module is None:
            continue
        elif match := _ENUM_VALUE.match(line):
            values[int(match[1], 2)] = match[2]
        elif match := _WIRE.match(line):
            wire = module.wire(match[3].lstrip("\\"), int(match[2] or 0) + 1)
            if match[1] in ("input", "output"):
                wire.direction = match[1]
            wire.values.update(values)
            values = {}
        elif match := _INSTANCE.match(line):
            module.instances[match[2]] = match[1]
    return modules


def _instances(modules: Mapping[str, _Module], top: str) -> Iterator[tuple[tuple[str, ...], _Module]]:
    """Every instance of a module of the design with its path below the top, parents first."""
    pending: list[tuple[tuple[str, ...], str]] = [((), top)]
    while pending:
        path, name = pending.pop()
        module = modules[name]
        yield path, module
        below = [(instance, kind) for instance, kind in module.instances.items() if kind in modules]
        pending.extend(((*path, instance), kind) for instance, kind in reversed(below))


class _Places:
    """Where signals are, and what the Verilog says of them."""

    def __init__(self, design: VerilogDesign, top: str):
        self._places = design.places
        modules = _modules(design.text)
        self.modules = dict(_instances(modules, top))

    def of(self, value: Any) -> tuple[tuple[str, ...], str] | None:
        """The instances and the name of a signal; None if there is nothing left of it."""
        signal = Value.cast(value)
        place = self._places.get(signal) if isinstance(signal, Signal) else None
        if place is None or place[1:-1] not in self.modules:
            return None
        scope, name = tuple(place[1:-1]), plain_name(place[-1])
        return (scope, name) if name in self.modules[scope].wires else None

    def described(self, scope: tuple[str, ...], wire: _Wire) -> dict[str, Any]:
        entry: dict[str, Any] = {"signal": ".".join((*scope, wire.name)), "width": wire.width}
        if wire.values:
            entry["values"] = _values(wire.values)
        return entry

    def fields(self, scope: tuple[str, ...], payload: str) -> dict[str, Any]:
        """The fields of a payload by name; structs inside join with an underscore."""
        prefix = f"{payload}__"
        wires = {n: wire for n, wire in self.modules[scope].wires.items() if n.startswith(prefix)}
        return {
            name[len(prefix) :].replace("__", "_"): self.described(scope, wires[name])
            for name in sorted(wires)
            if not any(other.startswith(f"{name}__") for other in wires)
        }


def _values(names: Mapping[int, str]) -> dict[str, str]:
    return {str(value): names[value] for value in sorted(names)}


def _components(
    fragment: Fragment, scope: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], wiring.Component]]:
    """Every component of the hierarchy with its instances below the top, parents first."""
    for origin in fragment.origins or ():
        if isinstance(origin, wiring.Component):
            yield scope, origin
            break
    for below, name, _src_loc in fragment.subfragments:
        if name is not None:
            yield from _components(below, (*scope, name))


def _streams(places: _Places, scope: tuple[str, ...], component: Any) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for path, member, value in component.signature.flatten(component):
        group = groups.setdefault(tuple(str(part) for part in path[:-1]), {})
        group[str(path[-1])] = value
        if path[-1] == "valid":
            group["flow"] = "output" if member.flow is Out else "input"
    for path, group in groups.items():
        if not {"valid", "ready", "payload"} <= set(group):
            continue
        found = {key: places.of(group[key]) for key in ("valid", "ready", "payload")}
        if found["valid"] is None or found["ready"] is None:
            continue
        entry: dict[str, Any] = {"scope": list(scope), "name": ".".join(path), "direction": group["flow"]}
        entry |= {key: ".".join((*place[0], place[1])) for key, place in found.items() if place}
        entry["width"] = len(Value.cast(group["payload"]))
        entry["fields"] = places.fields(*found["payload"]) if found["payload"] else {}
        yield entry


def _states(signal: Any) -> dict[int, str]:
    """The names of the states of an FSM's register, which Amaranth gives as ``NAME/number``."""
    states = {}
    for value in range(1 << len(signal)):
        try:
            states[value] = signal.decoder(value).rpartition("/")[0]
        except (KeyError, ValueError):
            continue
    return states


def _fsms(design: VerilogDesign, places: _Places) -> Iterator[dict[str, Any]]:
    for signal in design.places:
        described: Any = signal
        place = places.of(signal)
        if place and callable(described.decoder) and described.name.endswith("_state"):
            yield {
                "scope": list(place[0]),
                "signal": ".".join((*place[0], place[1])),
                "width": len(described),
                "states": _values(_states(described)),
            }


def _others(places: _Places) -> Iterator[dict[str, Any]]:
    """Enums that are no part of a payload, and the ``idle`` of each block."""
    for scope, module in places.modules.items():
        for name, wire in sorted(module.wires.items()):
            plain = scope and "__payload" not in name and "$" not in name and not name.startswith("_")
            if plain and (wire.values or (name == "idle" and wire.direction == "output")):
                yield {"scope": list(scope), "name": name, **places.described(scope, wire)}


def signal_map(design: VerilogDesign, top: str) -> dict[str, Any]:
    """The map of a design whose top module is ``top``; see ``SIGNALS_FORMAT``."""
    places = _Places(design, top)
    ports = []
    for port in design.ports:
        entry: dict[str, Any] = dataclasses.asdict(port)
        inner = places.modules[()].wires.get(port.path.replace(".", "__"))
        if inner is not None and inner.values:
            entry["values"] = _values(inner.values)
        ports.append(entry)
    streams = [
        entry
        for scope, component in _components(design.hierarchy)
        if scope
        for entry in _streams(places, scope, component)
    ]
    return {
        "top": top,
        "ports": ports,
        "streams": streams,
        "fsms": sorted(_fsms(design, places), key=lambda fsm: (fsm["scope"], fsm["signal"])),
        "signals": list(_others(places)),
    }
