"""The ports of one model as C++, ``ports.h``, and what is behind them, ``peripherals.h``."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringwalker.verilog import PortInfo

from ..peripherals import peripherals_of
from .abi import HEADERS, c_type, fields_of

__all__ = ["peripherals_header", "ports_header", "registered_inputs"]

_REQUESTS, _COMPLETIONS = "requester_request", "completer_completion"
_TLP_STREAMS = (_REQUESTS, _COMPLETIONS, "completer_request", "requester_completion")
_CLOCKING = ("clk", "rst")
_WORD = 32


@dataclass
class _Stream:
    """A stream among the ports: whether the device drives it, and the ports of its payload by field."""

    from_device: bool
    fields: dict[str, PortInfo] = field(default_factory=dict)


def _streams(ports: Sequence[PortInfo]) -> dict[str, _Stream]:
    """All streams, by name."""
    names = {port.name for port in ports}
    found: dict[str, _Stream] = {}
    for port in ports:
        name = port.name.removesuffix("_valid")
        if name == port.name or f"{name}_ready" not in names or not port.path.endswith(".valid"):
            continue
        stream = found[name] = _Stream(port.direction == "output")
        payload = port.path.removesuffix("valid") + "payload"
        for other in ports:
            if other.path == payload or other.path.startswith(f"{payload}."):
                stream.fields[other.name.removeprefix(f"{name}_")] = other
    return found


def registered_inputs(ports: Sequence[PortInfo]) -> list[str]:
    """The reset and the inputs that belong to a stream: what the host knows before an edge for after it."""
    names = ["rst"]
    for name, stream in _streams(ports).items():
        if stream.from_device:
            names.append(f"{name}_ready")
        else:
            names += [f"{name}_valid", *(port.name for port in stream.fields.values())]
    return names


def _words(name: str, port: PortInfo, data_width: int) -> bool:
    """Whether a field is words, lowest first, and no number."""
    return port.width > 64 or name == "data" or (name == "payload" and port.width == data_width)


def _field_type(name: str, port: PortInfo, data_width: int) -> str:
    if not _words(name, port, data_width):
        return c_type(port.width)
    return f"std::array<std::uint32_t, {-(-port.width // _WORD)}>"


def _payload(stream: _Stream, data_width: int) -> list[str]:
    """The declaration of a payload."""
    if list(stream.fields) == ["payload"]:
        return [f"  using Payload = {_field_type('payload', stream.fields['payload'], data_width)};"]
    header = {name.removeprefix("header_") for name in stream.fields if name.startswith("header_")}
    rows = [
        f"    {kind} header{{}};" for kind, layout in HEADERS.items() if fields_of(layout).keys() == header
    ]
    rows += [
        f"    {_field_type(name, port, data_width)} {name}{{}};"
        for name, port in stream.fields.items()
        if not (rows and name.startswith("header_"))
    ]
    equal = "    bool operator==(const Payload&) const = default;"
    return ["  struct Payload {", *rows, equal, "  };"]


def _stream(name: str, stream: _Stream, data_width: int) -> list[str]:
    """A class with what the host can do at its end of a stream, for ``m``, the model."""
    lines = [f"struct {name} {{", f'  static constexpr const char* name = "{name}";']
    lines += _payload(stream, data_width)
    copies = []
    for key, port in stream.fields.items():
        place = "p" if key == "payload" else f"p.{key.replace('header_', 'header.', 1)}"
        pair = f"{place}, m.{port.name}" if stream.from_device else f"m.{port.name}_next, {place}"
        copies.append(f"    assign({pair});")
    const, change = "const Vringwalker& m", "Vringwalker& m"
    if stream.from_device:
        lines += [
            f"  static bool valid({const}) {{ return m.{name}_valid != 0; }}",
            f"  static void ready({change}, bool on) {{ m.{name}_ready_next = on; }}",
            f"  static void get({const}, Payload& p) {{",
        ]
    else:
        lines += [
            f"  static bool ready({const}) {{ return m.{name}_ready != 0; }}",
            f"  static void valid({change}, bool on) {{ m.{name}_valid_next = on; }}",
            f"  static void put({change}, const Payload& p) {{",
        ]
    return [*lines, *copies, "  }", "};", ""]


def _input(name: str, port: PortInfo | None) -> list[str]:
    """An input that is no stream; ``set`` says whether it has changed."""
    if port is None:
        return [
            f"struct {name} {{",
            "  static bool set(Vringwalker&, std::uint64_t) { return false; }",
            "};",
            "",
        ]
    return [
        f"struct {name} {{",
        "  static bool set(Vringwalker& m, std::uint64_t value) {",
        f"    const bool changed = m.{name} != value;",
        f"    assign(m.{name}, value);",
        "    return changed;",
        "  }",
        "};",
        "",
    ]


def _output(name: str, port: PortInfo | None) -> list[str]:
    """An output of one bit; always 0 where it does not exist."""
    shown = "false" if port is None else f"m.{name} != 0"
    argument = "" if port is None else " m"
    return [
        f"struct {name} {{",
        f"  static bool get(const Vringwalker&{argument}) {{ return {shown}; }}",
        "};",
        "",
    ]


def _initial(ports: Sequence[PortInfo]) -> list[str]:
    """Sets inputs that are no streams to what they have while nothing drives them."""
    registered = {*registered_inputs(ports), *_CLOCKING}
    rows = []
    for port in ports:
        if port.direction != "input" or port.name in registered or port.init == 0:
            continue
        if port.width <= 64:
            rows.append(f"  assign(m.{port.name}, std::uint64_t{{{port.init:#x}u}});")
            continue
        words = [port.init >> at & 0xFFFF_FFFF for at in range(0, port.width, _WORD)]
        rows += [f"  m.{port.name}[{n}] = {word:#x}u;" for n, word in enumerate(words)]
    return [f"inline void initial_inputs(Vringwalker&{' m' if rows else ''}) {{", *rows, "}", ""]


def ports_header(ports: Sequence[PortInfo], edge: bool) -> str:
    """The header for a model with ``ports``; ``edge`` says that it offers ``rising_edge`` (see ``build.py``).

    Errors: ``ValueError`` when they are not those of a PCIe device.
    """
    names = {port.name: port for port in ports}
    streams = _streams(ports)
    for name in _TLP_STREAMS:
        if name not in streams:
            raise ValueError(f"the component has no stream {name}; it is not a PCIe device")
    width = names[f"{_REQUESTS}_data"].width
    kinds = peripherals_of(names)
    lines = ["// Generated; do not edit.", "#pragma once", "", "#include <array>", ""]
    lines += ['#include "Vringwalker.h"', '#include "spec.h"', '#include "assign.h"', ""]
    lines += [f"#define RW_EDGE {int(edge)}", "", "namespace rw {", ""]
    lines += [f"inline constexpr unsigned beat_dwords = {width // _WORD};", "", "namespace port {", ""]
    for name in [*_TLP_STREAMS, *(name for kind in kinds for name in kind.streams)]:
        lines += _stream(name, streams[name], width)
    for name in (name for kind in kinds for name in kind.pins):
        lines += _input(name, names.get(name))
    for name in ("intx", "idle"):
        lines += _output(name, names.get(name))
    lines += [*_initial(ports), "}  // namespace port", ""]
    return "\n".join([*lines, "}  // namespace rw", ""])


def peripherals_header(ports: Sequence[PortInfo]) -> str:
    """``peripherals.h``: the classes that are behind the ports of a device, as one type."""
    kinds = peripherals_of({port.name for port in ports})
    classes = [kind.name.capitalize() for kind in kinds]
    return "\n".join(
        [
            "// Generated; do not edit.",
            "#pragma once",
            "",
            "#include <tuple>",
            "",
            '#include "peripheral.h"',
            *(f'#include "{kind.name}.h"' for kind in kinds),
            "",
            "namespace rw {",
            "",
            f"using Peripherals = std::tuple<{', '.join(classes)}>;",
            "",
            "}  // namespace rw",
            "",
        ]
    )
