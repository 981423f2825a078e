"""A design with AXI as a PCI function: our edge, bridges, and the design."""

from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import Out, connect, flipped

from ..apart import ResetInserter
from ..component import Component
from ..interfaces import TLP_STREAMS, tlp_streams
from ..pci.edge import PciEdge
from ..pci.endpoint import EndpointConfig
from ..transport.register_router import RegisterRouter
from .axi_lite import AxiLiteMaster
from .axi_read import AxiReader
from .axi_write import AxiWriter
from .foreign import Bus, Foreign, ForeignCore, LineVectors, Linger

__all__ = ["AxiEndpoint", "RegisterBus"]

_MARGIN = 64
"""Cycles after the host's time-out after which a transfer on a register bus is given up."""

_RESET_CYCLES = 8
"""For which a function-level reset resets the design, at least."""


@dataclass(frozen=True)
class RegisterBus:
    """The AXI-Lite slave of the design behind window ``window``; ``base`` is added to each offset."""

    window: str
    bus: Bus
    base: int = 0


class AxiEndpoint(Component):
    """A PCI function whose registers and DMA are those of a design with AXI::

        four TLP streams ─ PciEdge ─┬─ RegisterRouter ─ AxiLiteMaster ─► slaves of the design
                                    ├─ AxiWriter, AxiReader ◄────────── its master
                                    └─ LineVectors ◄─────────────────── its interrupt lines

    A function-level reset resets the design and the bridges, once no TLP has begun that has not ended and the
    host has answered all reads.

    Parameters: ``config``; ``design``; ``registers``, a bus for each window of ``config``; ``master``, if the
    design has one; ``timeout``, the cycles that the host waits for a register.

    Members (W is ``config.data_width``):

    - ``completer_request`` In stream of request_beat(W)
    - ``completer_completion`` Out stream of completion_beat(W)
    - ``requester_request`` Out stream of request_beat(W)
    - ``requester_completion`` In stream of completion_beat(W)
    - ``intx`` Out 1: level of INTA; it rises after the writes that were answered before its line rose
    - ``idle`` Out 1: time may stop
    """

    def __init__(
        self,
        config: EndpointConfig,
        design: Foreign,
        registers: tuple[RegisterBus, ...],
        master: Bus | None,
        timeout: int,
    ):
        self._config, self._design, self._registers = config, design, registers
        self._master, self._timeout = master, timeout
        width = config.data_width
        super().__init__(
            {
                **tlp_streams(width),
                "intx": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config, design = self._config, self._design
        m.submodules.edge = edge = PciEdge(config)
        for name in TLP_STREAMS:
            connect(m, getattr(edge, name), flipped(getattr(self, name)))
        core = edge.core
        reset, again = Signal(), Signal()
        foreign = ForeignCore(m, design, reset)
        busy: list[Any] = [~edge.idle]

        # ---- registers
        m.submodules.router = router = RegisterRouter(config.windows)
        connect(m, core.registers, router.i)
        for one in self._registers:
            bridge = AxiLiteMaster(one.bus.width, one.base, self._timeout + _MARGIN)
            m.submodules[f"bridge_{one.window}"] = ResetInserter(again)(bridge)
            connect(m, getattr(router, one.window), bridge.registers)
            foreign.join(bridge.bus, one.bus, ("aw", "w", "b", "ar", "r"), {})
            busy.append(~bridge.idle)

        # ---- DMA
        settled: list[Any] = [Const(1)]
        if self._master is not None:
            busy += self._dma(m, core, foreign, reset, again, settled)
        else:
            m.d.comb += core.completions.ready.eq(1)

        # ---- interrupts and reset
        m.submodules.vectors = vectors = LineVectors(tuple(line.vector for line in design.lines))
        lines = [foreign.read(line.pin).any() for line in design.lines]
        levels = [now for now, line in zip(lines, design.lines, strict=True) if line.level]
        connect(m, vectors.o, core.vectors)
        m.d.comb += [vectors.lines.eq(Cat(lines)), vectors.enable.eq(core.state.msix_enable)]
        level, raised, seen = Signal(), Signal(), Signal()
        left = ~edge.requester_request.valid | edge.requester_request.ready
        m.d.comb += [level.eq(reduce(or_, levels, Const(0))), core.interrupt.eq(raised & level)]
        m.d.sync += [seen.eq(level), raised.eq(level & (raised | (seen & left)))]
        busy += [~vectors.idle, level != raised]
        self._reset(m, core.state.reset, reset, again, settled)

        # ---- state
        state = core.state
        foreign.show(
            {
                "bus_master_enable": state.bus_master_enable,
                "msix_enable": state.msix_enable,
                "max_payload": state.max_payload,
                "max_read_request": state.max_read_request,
            }
        )
        m.submodules.linger = linger = Linger(design.linger)
        quiet = Const(0) if design.idle is None else foreign.read(design.idle)
        m.d.comb += [
            linger.traffic.eq(reduce(or_, busy) | reset),
            linger.quiet.eq(quiet),
            self.idle.eq(linger.idle),
            self.intx.eq(edge.intx),
            core.transactions_pending.eq(reduce(or_, busy[1:])),
        ]
        foreign.finish()
        return m

    def _dma(
        self, m: Any, core: Any, foreign: ForeignCore, reset: Any, again: Any, settled: list[Any]
    ) -> list[Any]:
        """The bridges behind the design's master; what says that they are busy."""
        config, bus = self._config, self._master
        assert bus is not None
        writer = AxiWriter(config.data_width, bus.width, config.max_payload)
        reader = AxiReader(config.data_width, bus.width, config.max_read_request, config.completion_timeout)
        m.submodules.writer = ResetInserter(again)(writer)
        m.submodules.reader = reader
        size = (bus.width // 8).bit_length() - 1
        whole = {"size": size, "burst": 1}
        absent = {f"{way}{name}": value for way in ("aw", "ar") for name, value in whole.items()}
        absent |= {"wstrb": (1 << bus.width // 8) - 1, "wlast": 1, "bready": 1, "rready": 1}
        foreign.join(writer.bus, bus, ("aw", "w", "b"), absent)
        foreign.join(reader.bus, bus, ("ar", "r"), absent)
        connect(m, writer.posted, core.posted)
        connect(m, reader.requests, core.reads)
        connect(m, core.completions, reader.completions)
        m.d.comb += [
            writer.limit.eq(core.state.max_payload),
            writer.enable.eq(core.state.bus_master_enable),
            writer.hold.eq(reset),
            reader.limit.eq(core.state.max_read_request),
            reader.enable.eq(core.state.bus_master_enable),
            reader.flush.eq(reset),
            core.errors.unsupported.eq(reader.unsupported),
            core.errors.aborted.eq(reader.aborted),
            core.errors.unexpected.eq(reader.unexpected),
            core.errors.timed_out.eq(reader.timed_out),
        ]
        settled += [writer.between, reader.answered]
        return [~writer.idle, ~reader.idle]

    def _reset(self, m: Any, pulse: Any, reset: Any, again: Any, settled: list[Any]) -> None:
        """``reset`` is up from a function-level reset until all has settled, ``again`` in its last cycle."""
        left = Signal(range(_RESET_CYCLES + 1))
        m.d.comb += again.eq(reset & (left == 0) & reduce(and_, settled))
        with m.If(pulse):
            m.d.sync += [reset.eq(1), left.eq(_RESET_CYCLES)]
        with m.Elif(again):
            m.d.sync += reset.eq(0)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
