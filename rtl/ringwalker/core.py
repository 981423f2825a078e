"""The device behind its edge: registers in, DMA and notifications out. docs/architecture.md draws it."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from .component import Component
from .config import DeviceConfig
from .function.chain_guard import ChainGuard
from .function.parts import GuardedFunction, function_component, function_parts, optional_output
from .interfaces import CorePort
from .queue.formats import FORMATS
from .queue.lanes import Lanes
from .queue.table import QueueTable
from .spec.features import Feature
from .transport.common_config import CommonConfig
from .transport.faces import RegisterFaces
from .transport.interrupt_router import InterruptRouter
from .transport.isr import Isr
from .transport.legacy_common import LegacyCommonConfig
from .transport.notify import Notify
from .transport.reset_sequencer import ResetSequencer

__all__ = ["TRANSPORT_FEATURES", "VirtioCore"]

TRANSPORT_FEATURES = (
    1 << Feature.VERSION_1
    | 1 << Feature.RING_RESET
    | 1 << Feature.INDIRECT_DESC
    | 1 << Feature.EVENT_IDX
    | 1 << Feature.NOTIFICATION_DATA
    | 1 << Feature.NOTIF_CONFIG_DATA
    | 1 << Feature.ACCESS_PLATFORM
    | 1 << Feature.ORDER_PLATFORM
)
"""Feature bits that every function is offered with, whatever its rings."""


class VirtioCore(Component):
    """A virtio device without an edge: what is the same behind PCIe, a hard block, or a bus on the chip.

    Members:

    - ``edge`` In(CorePort(W)), all that passes between core and edge; W is ``config.data_width``
    - the ports of the function: ``ports`` of its :class:`~.function.kind.FunctionKind`
    - ``idle`` Out 1: nothing will happen in the core before the next access, completion, or change of the
      function's ports

    What is where:

    - The core has the register faces, the queues, DMA, the function, and the decision between a vector
      and the interrupt status (InterruptRouter), since that is virtio's, whoever delivers the interrupt.
    - The edge has configuration space, what turns a request of the host into an access to a BAR, the
      requester ID, and the MSI-X table.

    So there is an edge for each of these, of the same blocks:

    - *Nothing but TLPs*: all of it, which is :class:`~.pci.edge.PciEdge`.
    - *A hard block with configuration space, but no MSI-X table*: Completer, MsixTable and the arbiters,
      without ConfigSpace. The block's own outputs become ``edge.state`` and the mask of MsixTable.
    - *A hard block with configuration space and MSI-X table*: the same without MsixTable; ``edge.vectors`` go
      to the block's interrupt port.
    - *A bus on the chip*: neither. Its accesses become those of ``edge.registers``; reads and writes of its
      memory come from ``edge.reads`` and ``edge.posted``. ``edge.interrupt`` is the interrupt line, with
      ``state.msix_enable`` 0.

    One clock, ``sync``; its reset is the fundamental reset of the function.
    """

    def __init__(self, config: DeviceConfig):
        self.config = config
        self._parts = function_parts(config)
        super().__init__({"edge": In(CorePort(config.data_width)), **self._parts.ports, "idle": Out(1)})

    def elaborate(self, platform):
        m: Any = Module()
        config, parts = self.config, self._parts
        edge: Any = flipped(self.edge)
        function = function_component(config)
        m.submodules.function = GuardedFunction(config, function)
        ring = FORMATS[config.ring]
        features = TRANSPORT_FEATURES | ring.features | parts.features
        features |= 1 << Feature.SUSPEND if config.suspend else 0
        common_config = LegacyCommonConfig if config.has_legacy else CommonConfig
        m.submodules.common = common = common_config(config, features, ring.required)
        m.submodules.notify = notify = Notify(config)
        m.submodules.isr = isr = Isr()
        m.submodules.interrupts = interrupts = InterruptRouter()
        m.submodules.sequencer = sequencer = ResetSequencer(config)
        m.submodules.walker = walker = Lanes(config, parts.lanes, parts.write_only, ring)
        state = edge.state

        # ---- registers
        m.submodules.faces = faces = RegisterFaces(config)
        connect(m, edge.registers, faces.i)
        connect(m, faces.common, common.registers)
        connect(m, faces.notify, notify.registers)
        connect(m, faces.isr, isr.registers)
        if config.kind.device_config is not None:
            self._device_config(m, faces.device, function.registers, common.suspended)
        if config.has_legacy:
            self._legacy(m, faces, common, function)
        self._queue_table(m, common, sequencer, walker)

        # ---- chains, and the notifications both ways
        connect(m, notify.doorbells, walker.doorbells)
        guards = [
            self._chains(m, name, getattr(walker, f"function{n}"), getattr(function, name))
            for n, name in enumerate(parts.chain_ports)
        ]
        connect(m, walker.interrupts, interrupts.interrupts)
        connect(m, interrupts.vectors, edge.vectors)
        self._notifications(m, common, sequencer, function, notify, isr, interrupts)
        self._function_ports(m, function)

        # ---- DMA
        connect(m, walker.reads, edge.reads)
        connect(m, walker.posted, edge.posted)
        connect(m, edge.completions, walker.completions)
        self._dma_state(m, walker)

        # ---- control
        aborts = self._resets(m, common, sequencer, walker, function)
        outbound_idle = Signal()
        m.d.comb += [
            # What is on its way to the host counts too: nothing may leave once the status reads 0.
            outbound_idle.eq(walker.passed & interrupts.idle & state.outbound_idle),
            sequencer.settled.eq(outbound_idle),
            common.settled.eq(outbound_idle),
            walker.active.eq(reduce(or_, guards, optional_output(function, "active"))),
            walker.features.eq(common.driver_features),
            walker.abort.eq(aborts | ~state.bus_master_enable),
            self.idle.eq(
                faces.idle
                & notify.idle
                & outbound_idle
                & walker.still
                & ~walker.waiting
                & sequencer.ready
                & ~sequencer.halt
                & (common.suspended | ~common.suspend_halt)
            ),
        ]
        return m

    def _notifications(
        self, m: Any, common: Any, sequencer: Any, function: Any, notify: Any, isr: Any, interrupts: Any
    ) -> None:
        """What doorbells mean, which interrupts there are, and what of them the edge sees."""
        edge: Any = self.edge
        m.d.comb += [
            notify.enable.eq(common.driver_ok),
            notify.with_data.eq(common.driver_features[Feature.NOTIFICATION_DATA]),
            notify.config_data.eq(common.driver_features[Feature.NOTIF_CONFIG_DATA]),
            interrupts.hold.eq(sequencer.hold | common.suspend_hold),
            interrupts.clear.eq(sequencer.clearing | edge.state.reset),
            interrupts.config_change.eq(optional_output(function, "config_change") | common.config_change),
            interrupts.config_vector.eq(common.config_vector),
            interrupts.msix_enable.eq(edge.state.msix_enable),
            isr.set_queue.eq(interrupts.set_queue),
            isr.set_config.eq(interrupts.set_config),
            isr.clear.eq(sequencer.clearing),
            edge.forget.eq(sequencer.forget),
            edge.interrupt.eq(isr.asserted),
            edge.isr.eq(isr.bits),
            edge.isr_raised.eq(isr.raised),
        ]

    def _dma_state(self, m: Any, walker: Any) -> None:
        """What the edge lets DMA do, and what became of it."""
        edge: Any = self.edge
        state, errors = edge.state, edge.errors
        m.d.comb += [
            walker.msix_enable.eq(state.msix_enable),
            walker.max_payload.eq(state.max_payload),
            walker.max_read_request.eq(state.max_read_request),
            walker.extended_tags.eq(state.extended_tags),
            edge.transactions_pending.eq(~walker.idle),
            errors.unsupported.eq(walker.unsupported),
            errors.aborted.eq(walker.aborted),
            errors.unexpected.eq(walker.unexpected),
            errors.unclaimed.eq(walker.unclaimed),
            errors.timed_out.eq(walker.timed_out),
        ]
        if self.config.pci.timeout_ranges:
            m.d.comb += walker.timeout_step.eq(state.timeout_step)

    def _device_config(self, m: Any, source: Any, sink: Any, suspended: Any) -> None:
        """Accesses to the device configuration. A device that is suspended ignores writes."""
        if not self.config.suspend:
            connect(m, source, sink)
            return
        ignored = suspended & source.requests.p.write
        m.d.comb += [
            sink.requests.p.eq(source.requests.p),
            sink.requests.valid.eq(source.requests.valid & ~ignored),
            source.requests.ready.eq(sink.requests.ready | ignored),
            source.responses.p.eq(sink.responses.p),
            source.responses.valid.eq(sink.responses.valid),
            sink.responses.ready.eq(source.responses.ready),
        ]

    def _legacy(self, m: Any, faces: Any, common: Any, function: Any) -> None:
        """What there is beside if there is a legacy face."""
        m.d.comb += [
            faces.msix_enable.eq(self.edge.state.msix_enable),
            common.claim.eq(faces.claim),
        ]
        if "legacy" in function.signature.members:
            m.d.comb += function.legacy.eq(common.legacy)

    def _chains(self, m: Any, name: str, source: Any, sink: Any) -> Any:
        """Chains from ``source`` to ``sink``; gives whether those that ``sink`` cannot forget move."""
        if self.config.kind.forgets:
            connect(m, source, sink)
            return Const(0)
        m.submodules[f"{name}_guard"] = guard = ChainGuard(self.config.data_width)
        connect(m, source, guard.walker)
        connect(m, guard.function, sink)
        return guard.active

    def _function_ports(self, m: Any, function: Any) -> None:
        """The function's own ports."""
        for name, member in self._parts.ports.items():
            inner, outer = getattr(function, name), getattr(self, name)
            if member.is_port:
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
            else:
                connect(m, inner, flipped(outer))

    def _queue_table(self, m: Any, common: Any, sequencer: Any, walker: Any) -> None:
        """The table, its readers, and its two writers, of which the sequencer goes first."""
        m.submodules.queue_table = table = QueueTable(self.config, (*walker.tables, "common"))
        for name in walker.tables:
            connect(m, getattr(walker, name), getattr(table, name))
        connect(m, common.table_read, table.common)
        first, second = sequencer.table_write, common.table_write
        m.d.comb += [
            table.write.en.eq(first.en | second.en),
            *(
                getattr(table.write, name).eq(Mux(first.en, getattr(first, name), getattr(second, name)))
                for name in ("index", "mask")
            ),
            table.write.row.eq(Mux(first.en, first.row.as_value(), second.row.as_value())),
        ]
        connect(m, sequencer.clear, walker.clear)
        connect(m, sequencer.restore, walker.restore)

    def _resets(self, m: Any, common: Any, sequencer: Any, walker: Any, function: Any) -> Any:
        """Resets and failure; gives whether nothing may leave any more."""
        needs_reset, stops, fails = Signal(), Signal(), Signal()
        for name, value in (("driver_ok", common.driver_ok), ("clear", sequencer.clearing)):
            if name in function.signature.members:
                m.d.comb += getattr(function, name).eq(value)
        m.d.comb += [
            common.reset.eq(self.edge.state.reset),
            sequencer.device_request.eq(common.reset_request),
            sequencer.queue_request.eq(common.queue_reset_request),
            common.halted.eq(walker.halted),
            common.busy.eq(sequencer.halt),
            sequencer.queue_index.eq(common.queue_reset_index),
            common.reset_done.eq(sequencer.device_done),
            common.queue_reset_done.eq(sequencer.queue_done),
            common.hold.eq(~sequencer.ready),
            common.config_generation.eq(optional_output(function, "generation")),
            common.withheld.eq(optional_output(function, "withheld")),
            # What is lost by a reset is no failure.
            stops.eq(sequencer.stop & sequencer.whole),
            fails.eq((walker.fail & ~stops) | common.fail),
            common.needs_reset.eq(fails),
            sequencer.failed.eq(needs_reset),
            sequencer.halted.eq(walker.halted),
            sequencer.departed.eq(walker.departed),
            sequencer.answered.eq(walker.answered),
            walker.halt.eq(sequencer.halt | needs_reset | common.suspend_halt),
            walker.halt_all.eq(sequencer.whole | needs_reset | common.suspend_halt),
            walker.halt_queue.eq(common.queue_reset_index),
            walker.stop.eq(sequencer.stop),
            walker.flush.eq(sequencer.flush),
            walker.hold.eq(sequencer.hold),
        ]
        # From the failure itself on, not only from the cycle in which the status shows it.
        with m.If(sequencer.clearing):
            m.d.sync += needs_reset.eq(0)
        with m.Elif(fails):
            m.d.sync += needs_reset.eq(1)
        return needs_reset | stops
