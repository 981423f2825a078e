"""The whole device: wiring only. docs/architecture.md draws it."""

from functools import reduce
from operator import and_
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from .buffers import HalfBuffer
from .component import Component
from .config import DeviceConfig
from .function.kind import function_kind
from .pci.capabilities import bars, device_config_bytes
from .pci.completer import Completer
from .pci.config_space import ConfigSpace
from .pci.msix import MsixTable
from .queue.lanes import Lanes
from .queue.table import QueueTable
from .spec.features import Feature
from .spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR,
    ISR_BASE,
    MSIX_BAR,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
)
from .streams import completion_beat, request_beat, stream_of
from .tlp.arbiter import TlpArbiter
from .transport.common_config import CommonConfig
from .transport.field_face import FieldFace
from .transport.interrupt_router import InterruptRouter
from .transport.isr import Isr
from .transport.notify import Notify
from .transport.register_router import RegisterArbiter, RegisterRouter
from .transport.reset_sequencer import ResetSequencer

__all__ = ["TRANSPORT_FEATURES", "VirtioPciDevice"]

TRANSPORT_FEATURES = (
    1 << Feature.VERSION_1
    | 1 << Feature.RING_RESET
    | 1 << Feature.INDIRECT_DESC
    | 1 << Feature.EVENT_IDX
    | 1 << Feature.NOTIFICATION_DATA
)
"""Feature bits that every function is offered with."""


class VirtioPciDevice(Component):
    """A virtio PCI function behind four TLP streams.

    Members (W is ``config.data_width``): ``completer_request`` In and ``completer_completion`` Out, the
    requests of the host and our answers; ``requester_request`` Out and ``requester_completion`` In, our
    requests and the host's answers (its ready is always 1); ``intx`` Out 1, the level of INTA, to be told to
    the host as a message or a pin; ``idle`` Out 1: nothing will happen before the next request or answer of
    the host or change of the function's ports. Those are, for the block device, ``storage``
    Out(StoragePort(W)) and ``capacity`` In 64, its size in 512-byte sectors; for others see ``ports`` of the
    function's :class:`~.function.kind.FunctionKind`.

    One clock, ``sync``; its reset is the fundamental reset of the function.
    """

    def __init__(self, config: DeviceConfig):
        self.config = config
        width = config.data_width
        self._kind = function_kind(config.function)
        super().__init__(
            {
                "completer_request": In(stream_of(request_beat(width))),
                "completer_completion": Out(stream_of(completion_beat(width))),
                "requester_request": Out(stream_of(request_beat(width))),
                "requester_completion": In(stream_of(completion_beat(width))),
                "intx": Out(1),
                **self._kind.ports(config),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config = self.config
        m.submodules.config_space = space = ConfigSpace(config)
        m.submodules.completer = completer = Completer(config)
        m.submodules.function = function = self._kind.component(config)
        m.submodules.common = common = CommonConfig(config, TRANSPORT_FEATURES | self._kind.features(config))
        m.submodules.notify = notify = Notify(config)
        m.submodules.isr = isr = Isr()
        m.submodules.msix = msix = MsixTable(config)
        m.submodules.interrupts = interrupts = InterruptRouter()
        m.submodules.sequencer = sequencer = ResetSequencer(config)
        lanes = self._kind.lanes(config)
        write_only = [n for n, name in enumerate(lanes) if name in self._kind.write_only]
        m.submodules.walker = walker = Lanes(config, tuple(lanes.values()), write_only)
        requester: Any = TlpArbiter(config.data_width, 3)
        m.submodules.requester = requester
        state = space.state

        # The host's requests.
        connect(m, flipped(self.completer_request), completer.requests)
        connect(m, completer.completions, flipped(self.completer_completion))
        connect(m, completer.config, space.config)
        registers = self._registers(m, completer, space, common, notify, isr, function, msix)

        # Our requests.
        connect(m, walker.reads, requester.i0)
        connect(m, msix.messages, requester.i1)
        connect(m, walker.posted, requester.i2)
        connect(m, requester.o, flipped(self.requester_request))
        connect(m, flipped(self.requester_completion), walker.completions)
        m.d.comb += requester.requester_id.eq(state.requester_id)

        # Chains, and the notifications both ways.
        connect(m, notify.doorbells, walker.doorbells)
        for n, name in enumerate(lanes):
            connect(m, getattr(walker, f"function{n}"), getattr(function, name))
        # An access to the table, or a message that waits for the link, holds up the walker a cycle later.
        m.submodules.vectors = vectors = HalfBuffer(16)
        connect(m, walker.interrupts, interrupts.interrupts)
        connect(m, interrupts.vectors, vectors.i)
        connect(m, vectors.o, msix.vectors)

        self._queue_table(m, common, sequencer, walker)
        # What is on its way to the host counts too: nothing may leave once the status reads 0.
        outbound = (notify, interrupts, vectors, msix, requester)
        quiet = Signal()
        m.d.comb += [
            quiet.eq(reduce(and_, (block.idle for block in outbound))),
            sequencer.idle.eq(quiet & walker.halted),
        ]
        self._control(m, space, completer, common, sequencer, walker, function)
        self._outside(m, function)
        m.d.comb += [
            notify.enable.eq(common.driver_ok),
            notify.with_data.eq(common.driver_features[Feature.NOTIFICATION_DATA]),
            interrupts.config_change.eq(function.config_change | common.config_change),
            interrupts.config_vector.eq(common.config_vector),
            interrupts.msix_enable.eq(state.msix_enable),
            isr.set_queue.eq(interrupts.set_queue),
            isr.set_config.eq(interrupts.set_config),
            isr.clear.eq(sequencer.clearing),
            msix.enable.eq(state.msix_enable & state.bus_master_enable),
            msix.function_mask.eq(state.msix_function_mask),
            space.intx_asserted.eq(isr.asserted & ~state.msix_enable),
            self.intx.eq(space.intx_asserted & ~state.intx_disable),
            self.idle.eq(
                completer.idle
                & space.idle
                & registers
                & quiet
                & walker.still
                & ~walker.waiting
                & sequencer.ready
                & ~sequencer.halt
            ),
        ]
        return m

    def _outside(self, m: Any, function: Any) -> None:
        """The function's own ports."""
        for name, member in self._kind.ports(self.config).items():
            inner, outer = getattr(function, name), getattr(self, name)
            if member.is_port:
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
            else:
                connect(m, inner, flipped(outer))

    def _registers(self, m: Any, completer, space, common, notify, isr, function, msix) -> Any:
        """The blocks behind the BARs; gives whether no access is under way."""
        config = self.config
        sizes = {bar.index: bar.size for bar in bars(config)}
        targets = (
            ("common", common.registers, FACE_BAR, COMMON_BASE, COMMON.size),
            ("isr", isr.registers, FACE_BAR, ISR_BASE, ISR.size),
            ("device", function.registers, FACE_BAR, DEVICE_BASE, device_config_bytes(config)),
            ("notify", notify.registers, FACE_BAR, NOTIFY_BASE, config.queues * NOTIFY_MULTIPLIER),
            ("msix", msix.registers, MSIX_BAR, 0, sizes[MSIX_BAR]),
        )
        windows = [(name, bar, base, size) for name, _port, bar, base, size in targets]
        m.submodules.register_arbiter = arbiter = RegisterArbiter()
        m.submodules.register_router = router = RegisterRouter(windows)
        connect(m, completer.registers, arbiter.a)
        connect(m, space.window, arbiter.b)
        idle, initiator = arbiter.idle & router.idle, arbiter.o
        if config.has_fields:
            m.submodules.fields = fields = FieldFace(config)
            connect(m, initiator, fields.i)
            idle, initiator = idle & fields.idle, fields.o
        connect(m, initiator, router.i)
        for name, port, *_window in targets:
            connect(m, getattr(router, name), port)
        connect(m, space.state, completer.state)
        return idle

    def _queue_table(self, m: Any, common, sequencer, walker) -> None:
        """The table, its readers, and its two writers, of which the sequencer goes first."""
        m.submodules.queue_table = table = QueueTable(self.config, walker.table_reads + 1)
        for n in range(walker.table_reads):
            connect(m, getattr(walker, f"table{n}"), table.reads[n])
        connect(m, common.table_read, table.reads[-1])
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

    def _control(self, m: Any, space, completer, common, sequencer, walker, function) -> None:
        """Reset, failure, and what configuration space is told."""
        state, completion = space.state, self.requester_completion
        needs_reset = Signal()
        for name, value in (("driver_ok", common.driver_ok), ("clear", sequencer.clearing)):
            if name in function.signature.members:
                m.d.comb += getattr(function, name).eq(value)
        m.d.comb += [
            sequencer.device_request.eq(common.reset_request),
            sequencer.queue_request.eq(common.queue_reset_request),
            sequencer.queue_index.eq(common.queue_reset_index),
            common.reset_done.eq(sequencer.device_done),
            common.queue_reset_done.eq(sequencer.queue_done),
            common.hold.eq(~sequencer.ready),
            common.config_generation.eq(function.generation),
            common.needs_reset.eq(walker.fail),
            walker.halt.eq(sequencer.halt | needs_reset),
            walker.halt_all.eq(sequencer.whole | needs_reset),
            walker.halt_queue.eq(common.queue_reset_index),
            walker.active.eq(function.active),
            walker.features.eq(common.driver_features),
            walker.abort.eq(needs_reset | ~state.bus_master_enable),
            walker.msix_enable.eq(state.msix_enable),
            walker.max_payload.eq(state.max_payload),
            walker.max_read_request.eq(state.max_read_request),
            walker.extended_tags.eq(state.extended_tags),
            space.transactions_pending.eq(~walker.idle),
            space.completion_unsupported.eq(walker.unsupported),
            space.completion_aborted.eq(walker.aborted),
            space.unsupported_request.eq(completer.unsupported),
            space.unsupported_posted.eq(completer.unsupported_posted),
            space.poisoned_request.eq(completer.poisoned),
            space.poisoned.eq(completion.valid & completion.p.first & completion.p.header.poisoned),
        ]
        # From the failure itself on, not only from the cycle in which the status shows it.
        with m.If(sequencer.clearing):
            m.d.sync += needs_reset.eq(0)
        with m.Elif(walker.fail):
            m.d.sync += needs_reset.eq(1)
