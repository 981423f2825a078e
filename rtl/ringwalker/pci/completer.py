"""The completer: answers the requests that the host sends. Wiring only."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import StreamFifo
from ..component import Component
from ..interfaces import RegisterPort
from ..spec.tlp import RequestHeader, completion_beat, request_beat, with_tag
from ..streams import stream_of
from .bar import Bar
from .capabilities import bars, expansion_rom
from .endpoint import EdgeConfig
from .ports import ConfigPort, FunctionState
from .request_answers import RequestAnswers, nonposted_request
from .request_intake import RequestIntake

__all__ = ["NONPOSTED_REQUESTS", "Completer"]

NONPOSTED_REQUESTS = 8
"""How many requests that are not posted the device holds: as many headers, each with one unit of data, are
the non-posted credits that a link advertises for it. A credit returns with the last beat of the answer."""


class Completer(Component):
    """Takes request TLPs in order; carries them out; answers those that are not posted, in their order::

        requests ──► RequestIntake ──► FIFO of NONPOSTED_REQUESTS ──► RequestAnswers ──► completions
                          │                                             │      │
                          ▼ posted_registers                  registers ▼      ▼ config

    A request that is not posted is carried out after the posted ones before it, and posted ones are taken
    whatever becomes of it: none of them waits for ``completions``, as long as no more than
    ``NONPOSTED_REQUESTS`` others wait. One beyond them would block ``requests``, so the host's side must
    not send it before an answer was taken.

    What becomes of a request is said in :class:`~.request_intake.RequestIntake` and
    :class:`~.request_answers.RequestAnswers`.

    Parameters: ``config`` (the data width, the BARs and the tags); ``bar_list`` replaces its BARs.

    Members (W is ``config.data_width``; tags have ``config.pci.tag_bits``):

    - ``requests`` In stream of request_beat(W)
    - ``completions`` Out stream of completion_beat(W)
    - ``config`` Out(ConfigPort()): configuration space
    - ``posted_registers`` Out(RegisterPort()): memory writes of the blocks behind the BARs
    - ``registers`` Out(RegisterPort()): all other accesses of these. They must come after the writes that
      were taken before, which one of :class:`~..transport.register_router.RegisterArbiter` sees to
    - ``state`` In(FunctionState()): as ConfigSpace gives it
    - ``unsupported``, ``poisoned`` Out 1, pulses: a request that is not posted was refused, or poisoned
    - ``unsupported_posted``, ``poisoned_posted`` Out 1, pulses: the same of posted requests
    - ``header``, ``header_posted`` Out RequestHeader: with these pulses, what they are about
    - ``idle`` Out 1: no request is in flight

    Latency: after its beat was taken, the first dword of a memory write is offered 2 cycles later, that of a
    memory read 3, and a configuration request 2.

    Ref: PCIe 3.1, 2.4.1 (ordering), 2.6.1 (credits)
    """

    def __init__(self, config: EdgeConfig, bar_list: Sequence[Bar] | None = None):
        self._width, self._tag_bits = config.data_width, config.pci.tag_bits
        header = with_tag(RequestHeader, self._tag_bits)
        self._bars = (*bars(config), *expansion_rom(config)) if bar_list is None else tuple(bar_list)
        super().__init__(
            {
                "requests": In(stream_of(request_beat(self._width, self._tag_bits))),
                "completions": Out(stream_of(completion_beat(self._width, self._tag_bits))),
                "config": Out(ConfigPort()),
                "posted_registers": Out(RegisterPort()),
                "registers": Out(RegisterPort()),
                "state": In(FunctionState()),
                "unsupported": Out(1),
                "unsupported_posted": Out(1),
                "poisoned": Out(1),
                "poisoned_posted": Out(1),
                "header": Out(header),
                "header_posted": Out(header),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        bits = self._tag_bits
        m.submodules.intake = intake = RequestIntake(self._width, self._bars, bits)
        m.submodules.nonposted = nonposted = StreamFifo(nonposted_request(bits), NONPOSTED_REQUESTS)
        m.submodules.answers = answers = RequestAnswers(self._width, self._bars, bits)
        connect(m, flipped(self.requests), intake.requests)
        connect(m, intake.registers, flipped(self.posted_registers))
        connect(m, intake.nonposted, nonposted.i)
        connect(m, nonposted.o, answers.requests)
        connect(m, answers.completions, flipped(self.completions))
        connect(m, answers.config, flipped(self.config))
        connect(m, answers.registers, flipped(self.registers))
        for name in self.state.signature.members:
            m.d.comb += [
                getattr(part.state, name).eq(getattr(self.state, name)) for part in (intake, answers)
            ]
        m.d.comb += [
            self.unsupported.eq(answers.unsupported),
            self.unsupported_posted.eq(intake.unsupported),
            self.poisoned.eq(answers.poisoned),
            self.poisoned_posted.eq(intake.poisoned),
            self.header.eq(nonposted.o.p.header),
            self.header_posted.eq(intake.header),
            self.idle.eq(intake.idle & nonposted.idle & answers.idle),
        ]
        return m
