"""A design that is not ours: which of its ports are what, and how it is joined to ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import stream_of

__all__ = [
    "STATE",
    "Bus",
    "Foreign",
    "ForeignCore",
    "Line",
    "LineVectors",
    "Linger",
    "Pin",
    "VectorStream",
]

STATE = ("id", "bus_master_enable", "memory_enable", "msix_enable", "max_payload", "max_read_request")
"""What a design can be shown of configuration space; the sizes are in bytes."""

VECTOR_BITS = 16


@dataclass(frozen=True)
class Pin:
    """A port of the design, and its width."""

    name: str
    width: int = 1


@dataclass(frozen=True)
class Bus:
    """A bus of the design: the pin of each of its signals that there is. ``width`` is that of its data."""

    pins: tuple[tuple[str, Pin], ...]
    width: int


@dataclass(frozen=True)
class Line:
    """An interrupt: when ``pin`` rises, ``vector`` is sent. ``level``: while MSI-X is off it drives INTA."""

    pin: Pin
    vector: int
    level: bool


@dataclass(frozen=True)
class VectorStream:
    """Interrupts as a stream of vectors; without a pin for them it is always vector 0."""

    valid: Pin
    ready: Pin | None = None
    vector: Pin | None = None


@dataclass(frozen=True)
class Foreign:
    """A module of Verilog: its name and parameters, and what its ports are but for those of buses."""

    module: str
    parameters: tuple[tuple[str, int | str], ...] = ()
    clocks: tuple[str, ...] = ()
    resets: tuple[tuple[str, bool], ...] = ()
    """Names, and whether each is active at 0."""
    ties: tuple[tuple[Pin, int], ...] = ()
    """Inputs that have one value for ever."""
    lines: tuple[Line, ...] = ()
    vector_stream: VectorStream | None = None
    state: tuple[tuple[str, Pin], ...] = ()
    """Inputs that are shown something of :data:`STATE`."""
    idle: Pin | None = None
    """The design says that nothing will happen by itself."""
    linger: int = 100_000
    """Cycles after the last traffic for which the clock runs on; 0: it always runs."""


class ForeignCore:
    """The instance of ``design`` in ``m``, pin by pin; ``reset`` resets it, beside the domain's reset."""

    def __init__(self, m: Any, design: Foreign, reset: Any):
        self._m = m
        self._design = design
        resets = ResetSignal() | reset
        self._ports: dict[str, Any] = {f"p_{name}": value for name, value in design.parameters}
        self._ports |= {f"i_{name}": ClockSignal() for name in design.clocks}
        self._ports |= {f"i_{name}": ~resets if low else resets for name, low in design.resets}
        self._ports |= {f"i_{pin.name}": Const(value, pin.width) for pin, value in design.ties}

    def drive(self, pin: Pin, value: Any) -> None:
        """``value``, with as many bits as the input has."""
        signal: Any = Signal(pin.width, name=f"to_{pin.name}")
        self._m.d.comb += signal.eq(value)
        self._ports[f"i_{pin.name}"] = signal

    def read(self, pin: Pin) -> Any:
        """What the output gives."""
        signal: Any = Signal(pin.width, name=f"from_{pin.name}")
        return self._ports.setdefault(f"o_{pin.name}", signal)

    def join(self, port: Any, bus: Bus, channels: tuple[str, ...], absent: Mapping[str, int]) -> None:
        """The signals of ``port``, an interface of ours, whose names begin with one of ``channels``. An input
        of ours for which the design has no pin is what ``absent`` says, or 0.
        """
        pins = dict(bus.pins)
        for name, member in port.signature.members.items():
            if not name.startswith(channels):
                continue
            ours = getattr(port, name)
            if member.flow is In:
                self._m.d.comb += ours.eq(self.read(pins[name]) if name in pins else absent.get(name, 0))
            elif name in pins:
                self.drive(pins[name], ours)

    def show(self, state: Mapping[str, Any]) -> None:
        """What the design is shown of configuration space."""
        for name, pin in self._design.state:
            self.drive(pin, state[name])

    def finish(self) -> None:
        """Add the instance."""
        self._m.submodules.foreign = Instance(self._design.module, **self._ports)


class LineVectors(Component):
    """Sends a vector each time an interrupt line rises while MSI-X is on, or is up when it is switched on.

    Parameters: ``vectors``, that of each line.

    Members:

    - ``lines`` In: a bit for each line
    - ``enable`` In 1: MSI-X is on; otherwise nothing is remembered
    - ``o`` Out stream of 16
    - ``idle`` Out 1: nothing is to be sent

    Latency: 1 cycle.
    """

    def __init__(self, vectors: tuple[int, ...]):
        self._vectors = vectors
        vector: Any = VECTOR_BITS
        super().__init__(
            {
                "lines": In(max(1, len(vectors))),
                "enable": In(1),
                "o": Out(stream_of(vector)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        count = len(self.lines)
        before, pending, sent, rises = Signal(count), Signal(count), Signal(count), Signal(count)
        now = Mux(self.enable, self.lines, 0)
        m.d.comb += [rises.eq(now & ~before), self.idle.eq(~pending.any()), self.o.valid.eq(pending.any())]
        m.d.sync += [before.eq(now), pending.eq(Mux(self.enable, (pending & ~sent) | rises, 0))]
        turn: Any = Signal(range(count))
        for n in reversed(range(len(self._vectors))):
            with m.If(pending[n]):
                m.d.comb += [self.o.payload.eq(self._vectors[n]), turn.eq(n)]
        with m.If(self.o.valid & self.o.ready):
            m.d.comb += sent.eq(1 << turn)
        return m


class Linger(Component):
    """Says when a design has been without traffic for as long as its clock is to run on.

    Parameters: ``cycles``, as ``linger`` of :class:`Foreign`.
    """

    traffic: In(1)
    """Something happens."""
    quiet: In(1)
    """The design says that nothing will."""
    idle: Out(1)
    """Time may stop."""

    def __init__(self, cycles: int):
        self._cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        if not self._cycles:
            m.d.comb += self.idle.eq(self.quiet & ~self.traffic)
            return m
        left = Signal(range(self._cycles + 1), init=self._cycles)
        m.d.comb += self.idle.eq(~self.traffic & (self.quiet | (left == 0)))
        with m.If(self.traffic):
            m.d.sync += left.eq(self._cycles)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return m
