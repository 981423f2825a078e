"""Register accesses on their way: from one initiator to the owner of the offset, and from two to one."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import HalfBuffer
from ..component import Component
from ..interfaces import RegisterPort
from ..streams import RegisterRequest
from .face import Window, check_windows, within

__all__ = ["RegisterArbiter", "RegisterRouter"]


class RegisterRouter(Component):
    """Passes each access to the window that its BAR and offset lie in.

    Parameters: ``windows``, whose sizes are rounded up to whole dwords; ``rest`` names a port for accesses
    outside the windows, with the offset as it came. Without it such a read gives 0 and such a write has no
    effect. Errors: ``ValueError`` for bad or overlapping windows.

    Members:

    - ``i`` In(RegisterPort()): from the initiator
    - for each window a port of its name Out(RegisterPort()), with ``offset`` counted from the window's base
    - the port named by ``rest``, if there is one, Out(RegisterPort())
    - ``idle`` Out 1: no read waits for its response

    Latency: none, requests and responses pass in the same cycle. While a read waits for its response no
    further access is passed on, so the responses are in order.
    """

    def __init__(self, windows: Sequence[Window], rest: str | None = None):
        check_windows(tuple(windows), rest)
        self._windows = tuple(windows)
        self._rest = rest
        names = [*(window.name for window in windows), *([] if rest is None else [rest])]
        super().__init__(
            {"i": In(RegisterPort()), **{name: Out(RegisterPort()) for name in names}, "idle": Out(1)}
        )

    def elaborate(self, platform):
        m: Any = Module()
        request = self.i.requests.p
        waiting = Signal()
        # The window that the read in flight went to; one more than there are stands for all the rest.
        outside = len(self._windows)
        owner = Signal(range(outside + 1))
        selected = Signal.like(owner)
        hits: list[Any] = []
        m.d.comb += [selected.eq(outside), self.idle.eq(~waiting)]
        for n, window in enumerate(self._windows):
            inside, offset = within(request.offset, window.base, window.size)
            hits.append((request.bar == window.bar) & inside)
            with m.If(hits[n]):
                m.d.comb += selected.eq(n)
            self._connect(m, window.name, offset, hits[n] & ~waiting, waiting & (owner == n))
        missed, nowhere = ~reduce(or_, hits) & ~waiting, waiting & (owner == outside)
        if self._rest is not None:
            self._connect(m, self._rest, request.offset, missed, nowhere)
        else:
            with m.If(missed):
                m.d.comb += self.i.requests.ready.eq(1)
            with m.If(nowhere):
                m.d.comb += self.i.responses.valid.eq(1)
        with m.If(self.i.requests.valid & self.i.requests.ready & ~request.write):
            m.d.sync += [waiting.eq(1), owner.eq(selected)]
        with m.If(self.i.responses.valid & self.i.responses.ready):
            m.d.sync += waiting.eq(0)
        return m

    def _connect(self, m: Any, name: str, offset: Any, asks: Any, answers: Any) -> None:
        """Requests go to the port ``name`` while ``asks``, its responses are taken while ``answers``."""
        port: Any = getattr(self, name)
        m.d.comb += [port.requests.payload.eq(self.i.requests.payload), port.requests.p.offset.eq(offset)]
        with m.If(asks):
            m.d.comb += [
                port.requests.valid.eq(self.i.requests.valid),
                self.i.requests.ready.eq(port.requests.ready),
            ]
        with m.If(answers):
            m.d.comb += [
                self.i.responses.valid.eq(port.responses.valid),
                self.i.responses.payload.eq(port.responses.payload),
                port.responses.ready.eq(self.i.responses.ready),
            ]


class RegisterArbiter(Component):
    """Lets several initiators share one register port.

    Each initiator gets the responses to its own reads, in order. When several ask, they take turns.

    Parameters: ``initiators``, how many there are.

    Members:

    - ``i0``, ``i1``, ... In(RegisterPort()): an initiator each
    - ``o`` Out(RegisterPort()): the registers
    - ``idle`` Out 1: no access is in flight

    Latency: 1 cycle for requests, which go through a buffer, so no register depends on who asks in the same
    cycle; none for responses. An access every two cycles. Accesses are made in the order in which they were
    taken. While a read waits for its response no further access is taken.

    Errors: ``ValueError`` for less than one initiator.
    """

    def __init__(self, initiators: int):
        if initiators < 1:
            raise ValueError(f"initiators is {initiators!r}; it must be at least 1")
        self._count = initiators
        ports = {f"i{n}": In(RegisterPort()) for n in range(initiators)}
        super().__init__({**ports, "o": Out(RegisterPort()), "idle": Out(1)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.buffer = buffer = HalfBuffer(RegisterRequest)
        connect(m, buffer.o, flipped(self.o.requests))
        ports = [getattr(self, f"i{n}") for n in range(self._count)]
        waiting, owner = Signal(), Signal(range(self._count))
        # An access that was offered stays the one that is offered until it is taken.
        locked, chosen, last = Signal(), Signal.like(owner), Signal.like(owner)
        preferred, grant = Signal.like(owner), Signal.like(owner)
        self._prefer(m, ports, last, preferred)
        m.d.comb += [
            grant.eq(Mux(locked, chosen, preferred)),
            self.idle.eq(~waiting & ~locked & buffer.idle),
        ]
        for n, port in enumerate(ports):
            with m.If(grant == n):
                m.d.comb += [
                    buffer.i.valid.eq(port.requests.valid & ~waiting),
                    buffer.i.payload.eq(port.requests.payload),
                    port.requests.ready.eq(buffer.i.ready & ~waiting),
                ]
            m.d.comb += port.responses.payload.eq(self.o.responses.payload)
            with m.If(waiting & (owner == n)):
                m.d.comb += [
                    port.responses.valid.eq(self.o.responses.valid),
                    self.o.responses.ready.eq(port.responses.ready),
                ]
        with m.If(buffer.i.valid):
            m.d.sync += [locked.eq(~buffer.i.ready), chosen.eq(grant)]
            with m.If(buffer.i.ready):
                m.d.sync += [last.eq(grant), waiting.eq(~buffer.i.p.write), owner.eq(grant)]
        with m.If(self.o.responses.valid & self.o.responses.ready):
            m.d.sync += waiting.eq(0)
        return m

    def _prefer(self, m: Any, ports: list[Any], last: Any, preferred: Any) -> None:
        """``preferred`` is the next one after ``last`` that asks; ``last`` itself comes at the end."""
        with m.Switch(last):
            for n in range(self._count):
                with m.Case(n):
                    for distance in reversed(range(1, self._count + 1)):
                        number = (n + distance) % self._count
                        with m.If(ports[number].requests.valid):
                            m.d.comb += preferred.eq(number)
