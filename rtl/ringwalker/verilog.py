"""A component as Verilog with one readable port for every field.

Amaranth itself would give a stream's whole payload as one wide port. Here each field of a payload is a
port: stream ``requests`` with a payload of ``address`` and ``length`` becomes ``requests_valid``,
``requests_ready``, ``requests_address`` and ``requests_length``; nested structs join with ``_`` too.
"""

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Elaboratable, Fragment, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from .verilog_names import plain_names, without_empty_wires

__all__ = [
    "FlatTop",
    "PortInfo",
    "VerilogDesign",
    "readable",
    "to_verilog",
    "verilog_design",
    "without_collector",
]


@dataclass(frozen=True)
class PortInfo:
    """One Verilog port: its name, direction (``"input"`` or ``"output"``), width, and the Amaranth path.

    ``init`` is the value that an input has while nobody drives it.
    """

    name: str
    direction: str
    width: int
    path: str
    init: int = 0


def _leaves(
    shape: object, value: Value, init: int, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Value, int]]:
    """The fields of ``value`` with their paths and their part of ``init``; arrays and scalars are leaves."""
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        shape = data.Layout.cast(shape)
    if isinstance(shape, data.StructLayout):
        for key, item in shape:
            part: Any = value[item.offset : item.offset + item.width]
            yield from _leaves(item.shape, part, init >> item.offset, (*path, str(key)))
    else:
        yield path, value, init & ((1 << len(value)) - 1)


class FlatTop(Elaboratable):
    """Wraps ``component`` so that every leaf of its interface is a plain port.

    ``ports`` lists them in a stable order: ``clk``, ``rst``, then the members in the order of the
    signature.
    """

    def __init__(self, component: wiring.Component):
        self.component = component
        self.ports: list[PortInfo] = [
            PortInfo("clk", "input", 1, "sync.clk"),
            PortInfo("rst", "input", 1, "sync.rst"),
        ]
        self._domain = ClockDomain("sync")
        self.signals: dict[str, Signal] = {}
        self._connections: list[tuple[Signal, Value, bool]] = []
        for path, member, value in component.signature.flatten(component):
            self._add_member(tuple(str(part) for part in path), member, value)

    def _add_member(self, path: tuple[str, ...], member: wiring.Member, value: Any) -> None:
        shown = tuple(part for part in path if part != "payload")
        whole = Value.cast(value)
        initial = whole.init if member.flow is In and isinstance(whole, Signal) else 0
        for leaf_path, leaf, init in _leaves(member.shape, whole, initial, shown):
            scalar_payload = path[-1] == "payload" and leaf_path == shown
            name = "_".join(path if scalar_payload else leaf_path)
            if name in self.signals:
                raise ValueError(f"two ports of {type(self.component).__name__} would be called {name}")
            is_input = member.flow is In
            port = Signal(len(leaf), name=name)
            self.signals[name] = port
            self._connections.append((port, leaf, is_input))
            amaranth_path = ".".join((*path, *leaf_path[len(shown) :]))
            direction = "input" if is_input else "output"
            self.ports.append(PortInfo(name, direction, len(leaf), amaranth_path, init))

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = self._domain
        m.submodules.device = self.component
        for port, leaf, is_input in self._connections:
            m.d.comb += leaf.eq(port) if is_input else port.eq(leaf)
        return m

    def port_signals(self) -> list[Any]:
        """The signals to hand to the back end, in the order of ``ports``."""
        return [self._domain.clk, self._domain.rst, *self.signals.values()]


_MODULE = re.compile(r"^module .*?^endmodule$", re.MULTILINE | re.DOTALL)
_TRIGGER = re.compile(r"^  reg (\\\S*dump_module\S*) +=", re.MULTILINE)
_BARE_ALWAYS = re.compile(r"^  always @\*\n    (\S.*;)$", re.MULTILINE)


def _trigger_constants(text: str) -> str:
    """Give ``always @*`` blocks of one statement the trigger at time 0 that the others have.

    Yosys writes the constant fields of a struct whose other fields are computed as ``always @* x[7:4] =
    4'h1``. A block that reads nothing never runs, and simulators would leave the field at 0.
    """

    def in_module(module: re.Match[str]) -> str:
        body = module[0]
        trigger = _TRIGGER.search(body)
        if trigger is None:
            return body
        start = f"  always @* begin\n    if ({trigger[1]} ) begin end\n    "
        return _BARE_ALWAYS.sub(lambda block: f"{start}{block[1]}\n  end", body)

    return _MODULE.sub(in_module, text)


@dataclass(frozen=True)
class VerilogDesign:
    """A component as Verilog, and what leads from its Python objects to names in it.

    ``places`` gives for each signal the instances from the top down, the top first, and its name;
    ``hierarchy`` is the elaborated design, whose fragments know the components that they come from.
    """

    text: str
    ports: list[PortInfo]
    places: Mapping[Signal, tuple[str, ...]]
    hierarchy: Fragment


@contextmanager
def without_collector() -> Iterator[None]:
    """All of millions of small objects stay; a search for garbage among them takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def verilog_design(component: wiring.Component, name: str) -> VerilogDesign:
    """As :func:`to_verilog`, with all that is known of names."""
    top = FlatTop(component)
    with without_collector():
        hierarchy = Fragment.get(top, None)
        text, places = verilog.convert_fragment(
            hierarchy, top.port_signals(), name, strip_internal_attrs=True, emit_src=False
        )
    return VerilogDesign(readable(text), top.ports, places, hierarchy)


def readable(text: str) -> str:
    """Verilog of yosys as it leaves this project: for all tools, with plain names."""
    return plain_names(without_empty_wires(_trigger_constants(text)))


def to_verilog(component: wiring.Component, name: str) -> tuple[str, list[PortInfo]]:
    """Verilog of ``component`` as module ``name``, without source locations, and its ports.

    Names are as in :func:`ringwalker.verilog_names.plain_names`.
    """
    design = verilog_design(component, name)
    return design.text, design.ports
