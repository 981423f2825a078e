"""The PCI edge: configuration space, BARs, MSI-X and the requester, around the core."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Out, connect, flipped

from ..apart import ResetInserter
from ..buffers import HalfBuffer
from ..component import Component
from ..interfaces import CorePort, tlp_streams
from ..spec.tlp import CompletionHeader, with_tag
from ..tlp.arbiter import TlpArbiter
from ..tlp.raw_header import raw_completion_header, raw_request_header
from ..transport.face import Window
from ..transport.register_router import RegisterArbiter, RegisterRouter
from .capabilities import bars, expansion_rom, msix_bar
from .completer import Completer
from .config_space import ConfigSpace
from .endpoint import EdgeConfig
from .error_reporting import ErrorReporting
from .msi import MsiSender
from .msix import MsixTable
from .rom import RomContent
from .ten_bit_tags import TenBitTags
from .timeout_steps import TimeoutSteps

__all__ = ["PciEdge"]

UNCLAIMED_CYCLES, UNEXPECTED_CYCLES = 1, 5
"""Cycles from a completion to the pulse of the core that its tag is nobody's, or was not waited for."""


class PciEdge(Component):
    """A PCI function between four TLP streams and the core.

    Members (W is ``config.data_width``; tags have ``config.pci.tag_bits``):

    - ``completer_request`` In stream of request_beat(W): requests of the host
    - ``completer_completion`` Out stream of completion_beat(W): answers to them
    - ``requester_request`` Out stream of request_beat(W): requests of the core, and messages of MSI-X and MSI
    - ``requester_completion`` In stream of completion_beat(W): the host's answers; ready is always 1
    - ``intx`` Out 1: level of INTA, as a message or a pin would carry it
    - ``core`` Out(CorePort(W)): the core
    - ``idle`` Out 1: nothing will happen in the edge before the next request, answer or item from the core

    Accesses to the BAR of the MSI-X table go there, those of the expansion ROM to it, all others to the core.

    Latency: 1 cycle from ``core.reads`` and ``core.posted`` to ``requester_request``; 3 cycles from
    ``core.vectors`` to the message of a vector that is not masked, and 1 more through the requester.
    Completions pass in the same cycle.
    """

    def __init__(self, config: EdgeConfig):
        self.config = config
        width, tag_bits = config.data_width, config.pci.tag_bits
        self._stray: Any = Signal(name="stray") if config.pci.tags == 10 else None
        super().__init__(
            {
                **tlp_streams(width, tag_bits),
                "intx": Out(1),
                "core": Out(CorePort(width)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config = self.config
        core: Any = flipped(self.core)
        sizes = {bar.index: bar.size for bar in bars(config)}
        m.submodules.config_space = space = ConfigSpace(config)
        m.submodules.completer = completer = Completer(config)
        m.submodules.msix = msix = MsixTable(config)
        messages, others_idle = [msix.messages], Const(1)
        if config.pci.msi:
            m.submodules.msi = msi = MsiSender(config.data_width)
            self._msi(m, msi, space)
            messages.append(msi.messages)
            others_idle = msi.idle
        if config.pci.aer:
            m.submodules.error_reporting = reporting = ErrorReporting(config.data_width)
            self._report_errors(m, reporting, space, completer)
            messages.append(reporting.messages)
            others_idle = others_idle & reporting.idle
        m.submodules.requester = requester = TlpArbiter(config.data_width, 2 + len(messages))
        m.submodules.register_arbiter = arbiter = RegisterArbiter(3)
        windows = [Window("msix", msix_bar(config), 0, sizes[msix_bar(config)])]
        windows += [Window("rom", bar.index, 0, bar.size) for bar in expansion_rom(config)]
        m.submodules.register_router = router = RegisterRouter(windows, rest="core")
        for bar in expansion_rom(config):
            m.submodules.rom = rom = RomContent(config.pci.rom_content, bar.size)
            connect(m, router.rom, rom.registers)
        # An access to the table, or a message that waits for the link, holds up the core a cycle later.
        state, errors, completion = space.state, core.errors, self.requester_completion
        m.submodules.vectors = ResetInserter(state.reset)(vectors := HalfBuffer(16))

        # ---- the host's requests
        connect(m, flipped(self.completer_request), completer.requests)
        connect(m, completer.completions, flipped(self.completer_completion))
        connect(m, completer.config, space.config)
        connect(m, space.state, completer.state)
        connect(m, completer.posted_registers, arbiter.i0)
        connect(m, completer.registers, arbiter.i1)
        connect(m, space.window, arbiter.i2)
        connect(m, arbiter.o, router.i)
        connect(m, router.msix, msix.registers)
        connect(m, router.core, core.registers)

        # ---- our requests
        connect(m, core.vectors, vectors.i)
        connect(m, vectors.o, msix.vectors)
        connect(m, core.reads, requester.i0)
        for n, stream in enumerate((messages[0], core.posted, *messages[1:]), 1):
            connect(m, stream, getattr(requester, f"i{n}"))
        self._requester(m, requester.o, space)

        if config.pci.timeout_ranges:
            m.submodules.timeout_steps = steps = TimeoutSteps(config)
            m.d.comb += [
                steps.code.eq(space.timeout),
                steps.disable.eq(space.timeout_disable),
                core.state.timeout_step.eq(steps.step),
            ]

        # ---- state, errors, interrupts
        m.d.comb += [
            *(
                getattr(core.state, name).eq(getattr(state, name))
                for name in core.state.signature.members
                if name in state.signature.members
            ),
            core.state.outbound_idle.eq(vectors.idle & msix.idle & requester.idle & others_idle),
            requester.requester_id.eq(state.requester_id),
            msix.enable.eq(state.msix_enable & state.bus_master_enable),
            msix.function_mask.eq(state.msix_function_mask),
            msix.clear.eq(state.reset),
            msix.forget.eq(core.forget),
            space.intx_asserted.eq(core.interrupt & ~state.msix_enable & ~space.msi.enable),
            self.intx.eq(space.intx_asserted & ~state.intx_disable),
            space.transactions_pending.eq(core.transactions_pending),
            space.completion_unsupported.eq(errors.unsupported),
            space.completion_aborted.eq(errors.aborted),
            space.unexpected_completion.eq(self._or_stray(errors.unexpected)),
            space.unsupported_request.eq(completer.unsupported),
            space.unsupported_posted.eq(completer.unsupported_posted),
            space.poisoned_request.eq(completer.poisoned | completer.poisoned_posted),
            space.poisoned.eq(completion.valid & completion.p.first & completion.p.header.poisoned),
            self.idle.eq(completer.idle & space.idle & arbiter.idle & router.idle & core.state.outbound_idle),
        ]
        return m

    def _or_stray(self, pulse: Any) -> Any:
        """``pulse``, or a completion that never reached the core was dropped ``UNCLAIMED_CYCLES`` ago."""
        return pulse if self._stray is None else pulse | self._stray

    def _requester(self, m: Any, requests: Any, space: Any) -> None:
        """Requests to the host, and completions to the core."""
        inside, outside = flipped(self.core).completions, flipped(self.requester_completion)
        if self._stray is None:
            connect(m, requests, flipped(self.requester_request))
            connect(m, outside, inside)
            return
        m.submodules.ten_bit_tags = tags = TenBitTags(self.config.data_width)
        connect(m, requests, tags.requests)
        connect(m, tags.long_requests, flipped(self.requester_request))
        connect(m, outside, tags.long_completions)
        connect(m, tags.completions, inside)
        m.d.comb += [tags.enable.eq(space.ten_bit_tags), self._stray.eq(tags.stray)]

    def _report_errors(self, m: Any, reporting: Any, space: Any, completer: Any) -> None:
        """Errors, each with the header that it is about."""
        connect(m, space.errors, reporting.registers)
        errors, completion = self.core.errors, self.requester_completion
        layout = with_tag(CompletionHeader, self.config.pci.tag_bits)
        # What a completion was is known so many cycles later.
        headers = [completion.p.header]
        for n in range(UNEXPECTED_CYCLES):
            following: Any = Signal(layout, name=f"header_{n + 1}")
            m.d.sync += following.eq(headers[-1])
            headers.append(following)
        early, late = (headers[cycles].as_value() for cycles in (UNCLAIMED_CYCLES, UNEXPECTED_CYCLES))
        unexpected = data.View(layout, Mux(self._or_stray(errors.unclaimed), early, late))
        poisoned = completion.valid & completion.p.first & completion.p.header.poisoned
        request, posted = raw_request_header(completer.header), raw_request_header(completer.header_posted)
        for name, happens, header in (
            ("unsupported", completer.unsupported, request),
            ("poisoned", completer.poisoned, request),
            ("unsupported_posted", completer.unsupported_posted, posted),
            ("poisoned_posted", completer.poisoned_posted, posted),
            ("poisoned_completion", poisoned, raw_completion_header(completion.p.header)),
            ("unexpected", self._or_stray(errors.unexpected), raw_completion_header(unexpected)),
            ("timed_out", errors.timed_out, Const(0, 128)),
        ):
            m.d.comb += [
                getattr(reporting, name).eq(happens),
                getattr(reporting, f"{name}_header").eq(header),
            ]

    def _msi(self, m: Any, msi: Any, space: Any) -> None:
        """The bits of the ISR become messages."""
        m.d.comb += [
            msi.bits.eq(self.core.isr),
            msi.raised.eq(self.core.isr_raised),
            *(getattr(msi.state, name).eq(getattr(space.msi, name)) for name in msi.state.signature.members),
            msi.state.enable.eq(space.msi.enable & ~space.state.msix_enable),
            msi.bus_master_enable.eq(space.state.bus_master_enable),
            space.msi_pending.eq(msi.pending),
        ]
