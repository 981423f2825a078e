"""The legacy header in front of the registers: what a driver of virtio 0.9.5 reads and writes.

Ref: virtio 1.4, 4.1.4.10, 3.1.2.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import RegisterPort
from ..spec.legacy import LEGACY_BAR, legacy_device_config_offset
from ..spec.modern import FACE_BAR
from ..streams import RegisterRequest
from .face import RegisterFace, Window, pass_on, within
from .legacy_steps import HEADER_DWORDS, MOST_STEPS, LegacyStep, claims, device_config_steps, header_steps

__all__ = ["HOLD_CYCLES", "LEGACY_FACE", "LegacyFace"]

HOLD_CYCLES = 8192
"""How long the access after one that resets may have to wait: more than a reset takes, unless the link holds
it up, for which no request of the host may wait."""


class _Choice(data.Struct):
    """A step: the access of a register, whether it is made at all, and what follows."""

    access: RegisterRequest
    wanted: unsigned(1)
    last: unsigned(1)
    again: unsigned(32)
    """What of the dword that is read has to be 0."""
    saves: unsigned(1)
    """The dword that is read is written back later."""


class LegacyFace(Component):
    """Shows the legacy header and the device configuration at LEGACY_BAR, and passes on all other accesses.

    An access becomes accesses of registers, one after the other, with nothing else in between:

    - The select registers of features are read, written, and written back, so a driver of the virtio
      structures does not notice. ``device_features`` has NOTIFY_ON_EMPTY and ANY_LAYOUT beside bits 31:0 of
      the registers.
    - ``queue_pfn`` that is not 0 sets the size of the queue to the largest, its three areas as
      :mod:`~ringwalker.spec.legacy` lays them out, and enables it. A queue that is enabled stays as it is. 0
      resets the queue; the next access waits until that is done. A write of less than four bytes has no
      effect.
    - ``device_status`` 0 resets the device; the next access waits until that is done, since legacy drivers do
      not look. Neither waits longer than ``hold_cycles``.
    - ``isr_status`` is read, and so cleared, only if its byte is asked for.
    - ``queue_notify`` of a queue that does not exist has no effect. It reads 0.
    - Bytes that are not writable ignore writes. Any bytes of a dword may be accessed together.

    During a device reset that others began the registers take no writes, so what features read as is
    undefined.

    Latency: none outside the window, requests and responses pass in the same cycle. A notification is offered
    2 cycles after it was taken. Other accesses take 2 cycles, and for each register 2 and what it takes
    itself. While a read waits for its response, or a reset is not done, no further access is taken.
    """

    i: In(RegisterPort())
    """The initiator."""
    o: Out(RegisterPort())
    """The registers."""
    msix_enable: In(1)
    """The vectors follow the header, and the device configuration begins behind them."""
    claim: Out(1)
    """A write by which a legacy driver begins is made: up before it has any effect, until it is taken."""
    idle: Out(1)
    """No access is in flight."""

    def __init__(self, config: DeviceConfig, hold_cycles: int = HOLD_CYCLES):
        self._config = config
        self._hold = hold_cycles
        self._size = _windows(config)[0].size
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        asked: Any = Signal(RegisterRequest)
        own: Any = Signal(RegisterRequest)
        moved, passing, answer, saved = Signal(), Signal(), Signal(32), Signal(32)
        step, kept = Signal(range(MOST_STEPS)), Signal(32)
        choice: Any = Signal(_Choice)
        patience = Signal(range(self._hold + 1))
        response = self.o.responses
        self._choose(m, asked, moved, saved, step, choice, kept)

        def advance() -> None:
            m.d.sync += step.eq(step + 1)
            m.next = "CHOOSE"
            with m.If(choice.last):
                m.next = "WAIT_TAKEN"
                with m.If(asked.write):
                    m.next = "WAIT_REQUEST"

        with m.If(patience != 0):
            m.d.sync += patience.eq(patience - 1)
        with m.FSM() as fsm:
            m.d.comb += [
                self.o.requests.p.eq(Mux(fsm.ongoing("WAIT_REQUEST"), self.i.requests.p, own)),
                self.i.responses.p.data.eq(Mux(fsm.ongoing("WAIT_TAKEN"), answer, response.p.data)),
                self.claim.eq(~fsm.ongoing("WAIT_REQUEST") & asked.write & claims(self._place(asked), asked)),
            ]
            with m.State("WAIT_REQUEST"):
                m.d.comb += self.idle.eq(~passing)
                m.d.sync += [step.eq(0), answer.eq(0), patience.eq(self._hold)]
                with m.If(~passing & self._inside(self.i.requests.p)):
                    m.d.comb += self.i.requests.ready.eq(1)
                    m.d.sync += [asked.eq(self.i.requests.p), moved.eq(self.msix_enable)]
                    with m.If(self.i.requests.valid):
                        m.next = "CHOOSE"
                with m.Else():
                    pass_on(m, self.i, self.o, passing)
            with m.State("CHOOSE"):
                m.d.sync += own.eq(choice.access)
                m.next = "WAIT_REGISTER"
                with m.If(~choice.wanted):
                    advance()
            with m.State("WAIT_REGISTER"):
                m.d.comb += self.o.requests.valid.eq(1)
                with m.If(self.o.requests.ready):
                    m.next = "WAIT_ANSWER"
                    with m.If(own.write):
                        advance()
            with m.State("WAIT_ANSWER"):
                m.d.comb += response.ready.eq(1)
                with m.If(response.valid):
                    m.d.sync += [
                        answer.eq(answer | kept),
                        saved.eq(Mux(choice.saves, response.p.data, saved)),
                    ]
                    with m.If((response.p.data & choice.again).any() & (patience != 0)):
                        m.next = "WAIT_REGISTER"
                    with m.Else():
                        advance()
            with m.State("WAIT_TAKEN"):
                m.d.comb += self.i.responses.valid.eq(1)
                with m.If(self.i.responses.ready):
                    m.next = "WAIT_REQUEST"
        return m

    def _place(self, request: Any) -> Any:
        """The dword in the window that ``request`` is for."""
        return request.offset[2 : (self._size - 1).bit_length()]

    def _inside(self, request: Any) -> Any:
        return (request.bar == LEGACY_BAR) & within(request.offset, 0, self._size)[0]

    def _choose(self, m: Any, asked: Any, moved: Any, saved: Any, step: Any, choice: Any, kept: Any) -> None:
        """The step number ``step`` of the access ``asked``; ``kept`` is what its answer adds."""
        queue_size = self._config.queue_size
        place, header = self._place(asked), Signal(range(HEADER_DWORDS + 1))
        m.d.comb += header.eq(Mux(moved, HEADER_DWORDS, HEADER_DWORDS - 1))
        for write, asks in ((True, asked.write), (False, ~asked.write)):
            with m.If(asks & (place >= header)):
                self._offer(m, device_config_steps(place - header, write, asked), step, choice, kept)
            with m.If(asks & (place < header)), m.Switch(place):
                for number in range(HEADER_DWORDS):
                    with m.Case(number):
                        steps = header_steps(number, write, asked, saved, queue_size)
                        self._offer(m, steps, step, choice, kept)

    def _offer(self, m: Any, steps: Sequence[LegacyStep], step: Any, choice: Any, kept: Any) -> None:
        """One of ``steps``; if there are none, the access is over."""
        m.d.comb += choice.last.eq(1)
        with m.Switch(step):
            for number, item in enumerate(steps):
                with m.Case(number):
                    m.d.comb += [
                        choice.access.bar.eq(FACE_BAR),
                        choice.access.offset.eq(item.register),
                        choice.access.write.eq(item.keep is None),
                        choice.access.strobe.eq(item.strobe),
                        choice.access.data.eq(item.data),
                        choice.wanted.eq(Value.cast(item.strobe) != 0),
                        choice.last.eq(number == len(steps) - 1),
                        choice.again.eq(item.again),
                        choice.saves.eq(item.saves),
                    ]
                    if item.keep is not None:
                        m.d.comb += kept.eq(item.keep(self.o.responses.p.data))


def _windows(config: DeviceConfig) -> tuple[Window, ...]:
    table = config.kind.device_config
    size = legacy_device_config_offset(True) + (0 if table is None else -(-table.size // 4) * 4)
    return (Window("legacy", LEGACY_BAR, 0, size, io=config.legacy_io, is_64=False),)


LEGACY_FACE = RegisterFace("legacy", lambda config: config.has_legacy, _windows, LegacyFace)
"""The header, for legacy drivers."""
