"""A design and its map as a PCI device."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from ringwalker.checks import ConfigError
from ringwalker.identity import Identity
from ringwalker.pci.capabilities import bars, layout
from ringwalker.pci.endpoint import EndpointConfig
from ringwalker.shim.axi import AxiEndpoint, RegisterBus
from ringwalker.shim.foreign import Foreign, Line, VectorStream
from ringwalker.shim.tlp import TlpEndpoint
from ringwalker.transport.face import Window
from ringwalker.verilog import PortInfo

from ..verilog_cache import TOP, component_verilog
from .buses import Ports
from .keys import MapError, read_map, size_of
from .top import Top, read_top

__all__ = ["ForeignDevice", "foreign_device", "mapped"]

_BARS = range(6)
_OF_TLPS = ("id", "memory_enable")
"""What only a design with streams of TLPs is shown."""
_LEAST, _MOST = 1 << 12, 1 << 24


@dataclass(frozen=True)
class ForeignDevice:
    """A design as a device: what its edge is, and the component around the design. ``timeout``: cycles that
    the host waits for a register.
    """

    top: Top
    config: EndpointConfig
    component: wiring.Component
    timeout: int

    runs_on: bool
    """Its clock never stops."""

    def verilog(self) -> tuple[str, list[PortInfo]]:
        """Verilog of all of it, with the ports of a device, and these. Errors: :class:`MapError`."""
        text, ports = component_verilog(self.component, TOP)
        ours = {line.split("(")[0].split()[1] for line in text.splitlines() if line.startswith("module ")}
        both = sorted(ours & self.top.modules)
        if both:
            raise MapError(f"the design has a module {both[0]}, and so has what is put around it")
        return f'{text}\n{self.top.text}\n`line 1 "{TOP}" 0\n', ports


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _windows(rows: Sequence[dict[str, Any]]) -> tuple[Window, ...]:
    windows = []
    for n, row in enumerate(rows):
        size, index = size_of(row["size"]), row["index"]
        if size is None or not _LEAST <= size <= _MOST or size & size - 1:
            raise MapError(f'bar[{n}].size is {row["size"]!r}; it must be a power of two from "4K" to "16M"')
        is_64 = row.get("bits", 32) == 64
        if index not in _BARS or (is_64 and index + 1 not in _BARS):
            raise MapError(f"bar[{n}].index is {index}; it must be 0 to 5, and to 4 for one of 64 bits")
        windows.append(Window(f"bar{index}", index, 0, size, is_64=is_64))
    return tuple(windows)


def _msix_bar(given: int | None, windows: Sequence[Window]) -> int:
    taken = {n for one in windows for n in range(one.bar, one.bar + 1 + one.is_64)}
    if len(taken) != sum(1 + one.is_64 for one in windows):
        raise MapError("bar: two BARs have the same index, or one has that of the upper half of another")
    free = [n for n in _BARS if n not in taken]
    if not free:
        raise MapError("bar: no BAR is left for the MSI-X table")
    if given is not None and given not in free:
        raise MapError(f"msix_bar is {given}; it must be a BAR that is free: {', '.join(map(str, free))}")
    return free[0] if given is None else given


def _identity(table: dict[str, Any]) -> Identity:
    return Identity(**table)


def _design(found: dict[str, Any], top: Top, ports: Ports) -> Foreign:
    """All of the design's ports but for its buses."""
    clock = found["clock"]
    low = clock.get("reset_level", 1) == 0
    clocks = [ports.pin(name, "input", "clock.port", 1).name for name in _names(clock.get("port", "clk"))]
    resets = [ports.pin(name, "input", "clock.reset", 1).name for name in _names(clock.get("reset", "rst"))]
    for name, value in found["tie"].items():
        ports.tie(name, value, "tie")
    lines = []
    for n, row in enumerate(found["interrupt"]):
        pin = ports.pin(row["port"], "output", f"interrupt[{n}].port", 1)
        lines.append(Line(pin, row.get("vector", 0), row.get("kind", "level") == "level"))
    stream = None
    if table := found["vector"]:
        stream = VectorStream(
            ports.pin(table["valid"], "output", "vector.valid", 1),
            ports.pin(table["ready"], "input", "vector.ready", 1) if "ready" in table else None,
            ports.pin(table["number"], "output", "vector.number") if "number" in table else None,
        )
    return Foreign(
        module=top.module,
        parameters=tuple(found["parameters"].items()),
        clocks=tuple(clocks),
        resets=tuple((name, low) for name in resets),
        lines=tuple(lines),
        vector_stream=stream,
        state=tuple((name, ports.pin(port, "input", f"show.{name}")) for name, port in found["show"].items()),
        idle=ports.pin(clock["idle"], "output", "clock.idle", 1) if "idle" in clock else None,
        linger=clock.get("linger", Foreign.linger),
    )


def mapped(found: dict[str, Any], top: Top) -> ForeignDevice:
    """The device that a map, as :func:`~.keys.table_of_keys` gives it, makes of ``top``.

    Errors: :class:`~ringwalker.checks.ConfigError`.
    """
    alone, rows = found[""], found["bar"]
    if (found["tlp"] is None) == (found["axi"] is None and not any("axi_lite" in row for row in rows)):
        raise MapError("the map must have either [tlp], or axi_lite of a [[bar]] or [axi]")
    if found["tlp"] is None:
        for where, there in (
            ("vector", found["vector"]),
            *((f"show.{n}", n in found["show"]) for n in _OF_TLPS),
        ):
            if there:
                raise MapError(f"{where} is of use with [tlp] only")
    ports = Ports(top)
    windows = _windows(rows)
    msix_bar = _msix_bar(alone.get("msix_bar"), windows)
    design = _design(found, top, ports)
    used = max([line.vector + 1 for line in design.lines], default=1)
    if design.vector_stream is not None and design.vector_stream.vector is not None:
        used = max(used, min(1 << design.vector_stream.vector.width, 32))
    vectors = alone.get("vectors", used)
    if any(line.vector >= vectors for line in design.lines):
        raise MapError(f"vectors is {vectors}; interrupts have vectors up to {used - 1}")
    if found["tlp"] is not None:
        receive = ports.stream(found["tlp"]["receive"], "tlp.receive", sends=False)
        send = ports.stream(found["tlp"]["send"], "tlp.send", sends=True)
        if receive.width != send.width:
            raise MapError(f"tlp: data has {receive.width} bits one way and {send.width} the other")
        width, master, registers = receive.width, None, ()
    else:
        registers = []
        for n, (row, window) in enumerate(zip(rows, windows, strict=True)):
            if "axi_lite" not in row:
                raise MapError(f"bar[{n}].axi_lite is missing: the slave behind the BAR")
            bus = ports.axi(row["axi_lite"], f"bar[{n}].axi_lite", initiator=False)
            registers.append(RegisterBus(window.name, bus, row.get("base", 0)))
        master = None if found["axi"] is None else ports.axi(found["axi"], "axi", initiator=True)
        width = 64 if master is None else max(64, master.width)
    ports.finish()
    config = EndpointConfig(
        identity=_identity(found["identity"]),
        windows=windows,
        vectors=vectors,
        msix_bar=msix_bar,
        data_width=width,
        max_payload=alone.get("max_payload", 512),
        max_read_request=alone.get("max_read_request", 512),
        clock_mhz=found["clock"].get("mhz", 250),
    )
    bars(config)
    layout(config)
    design = dataclasses.replace(design, ties=tuple(ports.ties))
    timeout = alone.get("timeout", 250_000)
    if not 64 <= timeout < 1 << 30:
        raise MapError(f"timeout is {timeout}; it must be from 64 to {(1 << 30) - 1}")
    if found["tlp"] is not None:
        big = found["tlp"].get("bytes", "big") == "big"
        component = TlpEndpoint(config, design, receive, send, big)
    else:
        component = AxiEndpoint(config, design, tuple(registers), master, timeout)
    return ForeignDevice(top, config, component, timeout, design.linger == 0)


def foreign_device(
    files: Sequence[str | Path], map_file: str | Path, include: Sequence[str | Path] = ()
) -> ForeignDevice:
    """The design in ``files`` by the map in ``map_file``, with ``include`` as for :func:`~.top.read_top`.

    Errors: :class:`~ringwalker.checks.ConfigError`, which names the map; :class:`~.top.DesignError`.
    """
    found = read_map(map_file)
    top = read_top(files, found[""].get("top"), found["parameters"], include)
    try:
        return mapped(found, top)
    except (ConfigError, ValueError) as error:
        raise MapError(f"{map_file}: {error}") from None
