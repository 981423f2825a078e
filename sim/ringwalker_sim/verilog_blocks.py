"""Verilog of a device for simulation, block by block: what has not changed is taken from the cache.

Each component of a design becomes a module of its own, with the ports of its signature, ``clk`` and ``rst``,
named by its class and by a hash of all that it is made of. Equal components share a module. A component stays
a part of its parent where that cannot be: when nothing describes its parameters, when its ports are no
signals, or when it shares signals with its parent beside its ports.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockDomain, ClockSignal, Fragment, Instance, ResetSignal, Signal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from ringwalker.apart import Placement
from ringwalker.verilog import FlatTop, PortInfo, readable, without_collector

from .source_closure import source_closure
from .toolchain import cache_dir, content_hash
from .verilog_cache import describe, tool_versions

__all__ = ["block_verilog"]

_KIND = "verilog-blocks"
_MODULE = re.compile(r"^(?:\(\*[^\n]*\*\)\n)*module (\\\S+|\w+) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)


@dataclass
class _Block:
    """A module with what is below it, and the names of the blocks that it has instances of.

    ``text`` is RTLIL until it is ``kept``, then Verilog."""

    text: str
    blocks: list[str]
    kept: bool


@dataclass
class _Reached:
    """What hangs on the attributes of a component: signals that are none of its ports, and modules."""

    signals: dict[int, Signal]
    modules: set[str]


@cache
def _module_sources(module: str) -> str:
    return content_hash(text for path in source_closure(module) for text in (path.name, path.read_text()))


def _ports(component: wiring.Component) -> dict[str, tuple[Signal, bool]] | None:
    """The ports of a component by name, and which are inputs; None if one is no signal."""
    found: dict[str, tuple[Signal, bool]] = {}
    for path, member, value in component.signature.flatten(component):
        signal = Value.cast(value)
        if not isinstance(signal, Signal):
            return None
        if len(signal):
            found["__".join(str(part) for part in path)] = (signal, member.flow is In)
    signals = {id(signal) for signal, _input in found.values()}
    return found if len(signals) == len(found) and not {"clk", "rst"} & found.keys() else None


def _reach(value: Any, reached: _Reached, seen: set[int]) -> None:
    if id(value) in seen or value is None or isinstance(value, str | bytes | int | float | range):
        return
    seen.add(id(value))
    kind = value if isinstance(value, type) else type(value)
    reached.modules.add(kind.__module__)
    if isinstance(value, Signal):
        reached.signals[id(value)] = value
    elif isinstance(value, data.View):
        _reach(Value.cast(value), reached, seen)
    elif isinstance(value, Mapping):
        for item in value.values():
            _reach(item, reached, seen)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            _reach(item, reached, seen)
    elif not isinstance(value, type | Value) and hasattr(value, "__dict__"):
        for item in vars(value).values():
            _reach(item, reached, seen)


class _Blocks(Placement):
    """All blocks of a design. ``flushes`` reset what is below, beside the reset of the domain."""

    def __init__(self) -> None:
        self.blocks: dict[str, _Block] = {}
        self.inside: list[str] = []
        """Instances of the block that is being elaborated."""
        self._apart: list[tuple[str, dict[int, Signal]]] = []
        """Signals of the components that have become these instances."""
        self._parts: set[str] = set()
        """Names of blocks that must be parts of their parents."""
        self._signals: dict[wiring.Component, dict[int, Signal]] = {}

    def place(self, component: wiring.Component, elaborate: Callable[[Any], Any]) -> Any:
        """See :class:`Placement`."""
        return self.placed(component, elaborate, (), self)

    def flushed(self, flush: Value) -> Placement:
        """See :class:`Placement`."""
        return _Flushed(self, (flush,))

    def placed(
        self,
        component: wiring.Component,
        elaborate: Callable[[Any], Any],
        flushes: tuple[Value, ...],
        platform: Placement,
    ) -> Any:
        """``component`` as an instance of a block if that can be, else as a part of its parent."""
        described, ports = describe(component), _ports(component)
        if described is None or ports is None:
            return elaborate(platform)
        reached = _Reached({}, set())
        _reach(component, reached, set())
        roots = {"ringwalker", "ringwalker_sim", type(component).__module__.partition(".")[0]}
        modules = sorted(name for name in reached.modules if name.partition(".")[0] in roots)
        own = Path(__file__).read_text()
        key = [described, *tool_versions(), own, *(_module_sources(name) for name in modules)]
        name = f"{type(component).__name__}_{content_hash(key)}"
        if name in self._parts or not self._is_there(name, component, ports, elaborate):
            return elaborate(platform)
        for signal, _input in ports.values():
            reached.signals.pop(id(signal), None)
        self.inside.append(name)
        self._apart.append((name, reached.signals | self._own_signals(component, ports)))
        reset = ResetSignal("sync")
        for flush in flushes:
            reset = reset | flush
        pins = [("i" if is_input else "o", port, signal) for port, (signal, is_input) in ports.items()]
        return Instance(name, ("i", "clk", ClockSignal("sync")), ("i", "rst", reset), *pins)

    def _own_signals(
        self, component: wiring.Component, ports: Mapping[str, tuple[Signal, bool]]
    ) -> dict[int, Signal]:
        """The signals of a component that was converted here, but for its ports."""
        signals = dict(self._signals.get(component, {}))
        for signal, _input in ports.values():
            signals.pop(id(signal), None)
        return signals

    def _is_there(
        self,
        name: str,
        component: wiring.Component,
        ports: Mapping[str, tuple[Signal, bool]],
        elaborate: Callable[[Any], Any],
    ) -> bool:
        """Whether there is a block, after it has been taken from the cache or converted."""
        if name not in self.blocks and not self._take(name):
            block = self._convert(name, component, ports, elaborate)
            if block is None:
                self._parts.add(name)
                return False
            self.blocks[name] = block
        return True

    def _take(self, name: str) -> bool:
        """Take a block and all that it is made of from the cache, if all are there."""
        block = _read(name)
        if block is None or not all(other in self.blocks or self._take(other) for other in block.blocks):
            return False
        self.blocks[name] = block
        return True

    def _convert(
        self,
        name: str,
        component: wiring.Component,
        ports: Mapping[str, tuple[Signal, bool]],
        elaborate: Callable[[Any], Any],
    ) -> _Block | None:
        domain = ClockDomain("sync")
        pins: dict[str, Any] = {
            "clk": (domain.clk, PortDirection.Input),
            "rst": (domain.rst, PortDirection.Input),
        }
        for port, (signal, is_input) in ports.items():
            pins[port] = (signal, PortDirection.Input if is_input else PortDirection.Output)
        text, inside, signals = self.converted(name, pins, lambda: self._fragment(elaborate, domain))
        self._signals[component] = signals
        return _Block(text, inside, False) if f"\nmodule \\{name}\n" in text else None

    def _fragment(self, elaborate: Callable[[Any], Any], domain: ClockDomain) -> Fragment:
        fragment = Fragment.get(elaborate(self), self)
        fragment.add_domains(domain)
        return fragment

    def converted(
        self, name: str, ports: Any, fragment: Callable[[], Fragment]
    ) -> tuple[str, list[str], dict[int, Signal]]:
        """RTLIL of what ``fragment`` gives, the blocks in it, and its signals.

        It is made once more when a block in it turns out to share signals with it.
        """
        while True:
            outer = self.inside, self._apart
            self.inside, self._apart = [], []
            try:
                places: Any
                text, places = rtlil.convert_fragment(fragment(), ports, name, emit_src=False)
                signals = {id(signal): signal for signal in places}
                shared = {block for block, others in self._apart if others.keys() & signals.keys()}
                inside = sorted(set(self.inside))
            finally:
                self.inside, self._apart = outer
            if not shared:
                return text, inside, signals
            self._parts |= shared


class _Flushed(Placement):
    """As its blocks, with further resets."""

    def __init__(self, blocks: _Blocks, flushes: tuple[Value, ...]):
        self._blocks = blocks
        self._flushes = flushes

    def place(self, component: wiring.Component, elaborate: Callable[[Any], Any]) -> Any:
        """See :class:`Placement`."""
        return self._blocks.placed(component, elaborate, self._flushes, self)

    def flushed(self, flush: Value) -> Placement:
        """See :class:`Placement`."""
        return _Flushed(self._blocks, (*self._flushes, flush))


def _path(name: str) -> Path:
    return cache_dir() / _KIND / f"{name}.json"


def _read(name: str) -> _Block | None:
    """A block from the cache. One that was cut is none."""
    try:
        kept = json.loads(_path(name).read_text())
        return _Block(kept["text"], kept["blocks"], True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(name: str, block: _Block) -> None:
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({"text": block.text, "blocks": block.blocks}))
    new.replace(path)


def _modules(text: str) -> Iterator[tuple[str, str]]:
    """The modules of Verilog of yosys: the block that each is a part of, and its text."""
    for match in _MODULE.finditer(text):
        yield match[1].removeprefix("\\").partition(".")[0], match[0]


def _below(names: Iterable[str], blocks: Mapping[str, _Block]) -> set[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += blocks[name].blocks
    return found


def block_verilog(component: wiring.Component, name: str) -> tuple[str, list[PortInfo]]:
    """As :func:`ringwalker.verilog.to_verilog`, with modules and names inside that are cut by blocks."""
    top, blocks = FlatTop(component), _Blocks()
    with without_collector():
        own, inside, _signals = blocks.converted(name, top.port_signals(), lambda: Fragment.get(top, blocks))
    used = sorted(_below(inside, blocks.blocks))
    new = [block for block in used if not blocks.blocks[block].kept]
    # One run for all: it takes yosys as long to start as to convert most of a device.
    convert = verilog._convert_rtlil_text  # pyright: ignore[reportPrivateUsage]: the rest makes the RTLIL too
    texts: dict[str, str] = dict.fromkeys([name, *new], "")
    made = convert("".join([own, *(blocks.blocks[block].text for block in new)]), strip_internal_attrs=True)
    for block, text in _modules(made):
        texts[block] += text
    for block in new:
        blocks.blocks[block] = _Block(readable(texts[block]), blocks.blocks[block].blocks, True)
        _keep(block, blocks.blocks[block])
    return "".join([readable(texts[name]), *(blocks.blocks[block].text for block in used)]), top.ports
