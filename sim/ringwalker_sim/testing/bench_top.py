"""The Verilog module around a component under test: its ports again, and what makes reading them cheap.

Every access from Python to a signal costs about as much as simulating a cycle of a small design. So the
module has vectors besides the ports:

- ``bits__``: every port of one bit, the first port in bit 0. One read a cycle says what happens.
- ``NAME__beat`` for each stream ``NAME``: the fields of its payload, the first in the lowest bits. For a
  stream into the component this vector is what is driven, and the ports of the fields are wires from it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ringwalker.verilog import PortInfo

__all__ = ["BITS", "BenchPorts", "beat_name", "bench_verilog", "initialised"]

BITS = "bits__"
"""The vector of all ports of one bit."""


def beat_name(stream: str) -> str:
    """The vector of the payload of ``stream``."""
    return f"{stream}__beat"


@dataclass(frozen=True)
class BenchPorts:
    """Where ports stand in the vectors.

    ``bits`` leads from a port of one bit to its place in :data:`BITS`. ``streams`` leads from a stream to the
    fields of its payload, each with the range of its bits in the stream's vector; ``driven`` names the
    streams into the component.
    """

    bits: dict[str, int]
    streams: dict[str, dict[str, range]]
    driven: frozenset[str]

    @classmethod
    def of(cls, ports: Sequence[PortInfo]) -> "BenchPorts":
        """The places of ``ports``; ports without bits have none."""
        shown = [port for port in ports if port.width]
        bits = {port.name: n for n, port in enumerate(port for port in shown if port.width == 1)}
        streams: dict[str, dict[str, range]] = {}
        driven = set()
        for port in shown:
            name, path = port.name.removesuffix("_valid"), port.path.removesuffix(".valid")
            if path == port.path or f"{name}_ready" not in bits:
                continue
            at, fields = 0, {}
            for field in shown:
                if field.path == f"{path}.payload" or field.path.startswith(f"{path}.payload."):
                    fields[field.name[len(name) + 1 :]] = range(at, at + field.width)
                    at += field.width
            streams[name] = fields
            if port.direction == "input":
                driven.add(name)
        return cls(bits, streams, frozenset(driven))

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        streams = {
            name: {key: [bits.start, bits.stop] for key, bits in fields.items()}
            for name, fields in self.streams.items()
        }
        return {"bits": self.bits, "streams": streams, "driven": sorted(self.driven)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "BenchPorts":
        """The inverse of :meth:`to_json`."""
        streams = {
            name: {key: range(*bits) for key, bits in fields.items()}
            for name, fields in values["streams"].items()
        }
        return cls(values["bits"], streams, frozenset(values["driven"]))


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def bench_verilog(ports: Sequence[PortInfo], top: str, component: str, variables: bool) -> str:
    """Module ``top`` around module ``component``, whose ports are ``ports``.

    Inputs are inputs of ``top``; if ``variables``, they are variables that begin with 0 instead, for a
    simulator in which an input that nobody drives is unknown.
    """
    places = BenchPorts.of(ports)
    shown = [port for port in ports if port.width]
    sources = {}
    for stream in places.driven:
        fields = places.streams[stream]
        for field, bits in fields.items():
            part = f"[{bits.stop - 1}:{bits.start}]" if sum(map(len, fields.values())) > 1 else ""
            sources[f"{stream}_{field}"] = beat_name(stream) + part
    lines = [f"wire {_range(len(places.bits))}{BITS} = {{{', '.join(reversed(places.bits))}}};"]
    inputs = {
        port.name: port.width for port in shown if port.direction == "input" and port.name not in sources
    }
    for stream, fields in places.streams.items():
        width = sum(map(len, fields.values()))
        if width and stream in places.driven:
            inputs[beat_name(stream)] = width
        elif width:
            names = ", ".join(f"{stream}_{field}" for field in reversed(fields))
            lines.append(f"wire {_range(width)}{beat_name(stream)} = {{{names}}};")
    declarations = [
        f"wire {_range(port.width)}{port.name}"
        + (f" = {source};" if (source := sources.get(port.name)) else ";")
        for port in shown
        if port.name not in inputs
    ]
    if variables:
        declarations = [f"reg {_range(width)}{name} = 0;" for name, width in inputs.items()] + declarations
        head = f"module {top};"
    else:
        head = f"module {top}({', '.join(f'input {_range(width)}{name}' for name, width in inputs.items())});"
    connections = ", ".join(f".{port.name}({port.name})" for port in shown)
    body = "\n".join(
        f"  {line}" for line in [*declarations, *lines, f"{component} component__({connections});"]
    )
    return f"{head}\n{body}\nendmodule\n"


_REGISTER = re.compile(r"^(  reg (?:\[\d+:\d+\] )?\S+);$", re.MULTILINE)


def initialised(verilog: str) -> str:
    """``verilog`` with 0 in every variable that has no initial value, as in a simulator with two states.

    Those are what a memory's read port gives before it was read, and results of ``always @*``.
    """
    return _REGISTER.sub(r"\1 = 0;", verilog)
