"""The map from the device's streams, state machines and ports to their names in the Verilog.

It is read off the Verilog itself, whose modules, instances and wires are one a line, and off the place of
each state register. ``SIGNALS_FORMAT`` says what is in it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Signal

from ..verilog import PortInfo
from ..verilog_names import plain_name

__all__ = ["SIGNALS_FORMAT", "signal_map"]

SIGNALS_FORMAT = """\
top      name of the top module
ports    of the top, each with name, direction, width, path (its Amaranth name), and values if it is an enum
streams  each with scope (instances from the top down), name, direction, the names of valid, ready and
         payload in that scope, and fields: name, width, and values if it is an enum
fsms     each with scope, signal, width, and states
signals  other one-word facts worth a look (enums and idle), each with scope, name, width, values
values and states map decimal numbers to names"""

_MODULE = re.compile(r"^module (\S+?) ?\(")
_INSTANCE = re.compile(r"^  ([A-Za-z_][\w$]*) ([A-Za-z_][\w$]*) \($")
_WIRE = re.compile(r"^  (input|output|wire|reg) (?:signed )?(?:\[(\d+):0\] )?(\\\S+|[A-Za-z_][\w$]*)")
_ENUM_VALUE = re.compile(r'^  \(\* enum_value_([01]+) = "(.*)" \*\)$')
_DISAMBIGUATION = re.compile(r"\$\d+")


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


def _values(names: Mapping[int, str]) -> dict[str, str]:
    return {str(value): names[value] for value in sorted(names)}


def _described(wire: _Wire, **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": wire.name, "width": wire.width, **more}
    if wire.values:
        entry["values"] = _values(wire.values)
    return entry


def _streams(path: Sequence[str], module: _Module) -> Iterator[dict[str, Any]]:
    """Streams among the ports of a module; the number that tells namesakes apart is not part of a name."""
    ports = {_DISAMBIGUATION.sub("", w.name): w for w in module.wires.values() if w.direction}
    for base, valid in sorted(ports.items()):
        name = base.removesuffix("__valid")
        ready, payload = ports.get(f"{name}__ready"), ports.get(f"{name}__payload")
        if name == base or ready is None or payload is None:
            continue
        prefix = f"{payload.name}__"
        fields = {
            wire.name[len(prefix) :]: _described(wire)
            for wire in module.wires.values()
            if wire.name.startswith(prefix)
        }
        yield {
            "scope": list(path),
            "name": name,
            "direction": valid.direction,
            "valid": valid.name,
            "ready": ready.name,
            "payload": payload.name,
            "width": payload.width,
            "fields": {key: fields[key] for key in sorted(fields)},
        }


def _states(signal: Any) -> dict[int, str]:
    """The names of the states of an FSM's register, which Amaranth gives as ``NAME/number``."""
    states = {}
    for value in range(1 << len(signal)):
        try:
            states[value] = signal.decoder(value).rpartition("/")[0]
        except (KeyError, ValueError):
            continue
    return states


def _fsms(places: Mapping[Signal, tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    for signal, place in places.items():
        described: Any = signal
        if callable(described.decoder) and described.name.endswith("_state") and len(described) > 0:
            yield {
                "scope": list(place[1:-1]),
                "signal": plain_name(place[-1]),
                "width": len(described),
                "states": _values(_states(described)),
            }


def signal_map(
    text: str, top: str, ports: Sequence[PortInfo], places: Mapping[Signal, tuple[str, ...]]
) -> dict[str, Any]:
    """The map of a design from its Verilog, as ``to_verilog_with_names`` gives it; see ``SIGNALS_FORMAT``."""
    modules = _modules(text)
    top_wires = modules[top].wires
    streams, signals = [], []
    for path, module in _instances(modules, top):
        if path:
            streams.extend(_streams(path, module))
        for wire in sorted(module.wires.values(), key=lambda wire: wire.name):
            plain = "__payload" not in wire.name and "$" not in wire.name
            if path and plain and (wire.values or (wire.name == "idle" and wire.direction == "output")):
                signals.append(_described(wire, scope=list(path)))
    shown = []
    for port in ports:
        entry: dict[str, Any] = {
            "name": port.name,
            "direction": port.direction,
            "width": port.width,
            "path": port.path,
        }
        inner = top_wires.get(port.path.replace(".", "__"))
        if inner is not None and inner.values:
            entry["values"] = _values(inner.values)
        shown.append(entry)
    return {
        "top": top,
        "ports": shown,
        "streams": streams,
        "fsms": sorted(_fsms(places), key=lambda fsm: (fsm["scope"], fsm["signal"])),
        "signals": signals,
    }
