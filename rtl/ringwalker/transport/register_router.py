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

__all__ = ["RegisterArbiter", "RegisterRouter", "Window", "check_windows", "within"]

Window = tuple[str, int, int, int]
"""Name of the port, BAR, first offset and size in bytes."""


def check_windows(windows: Sequence[Window], rest: str | None = None) -> None:
    """Errors: ``ValueError`` if names repeat, windows overlap, or one is not within a BAR."""
    names = [name for name, _bar, _base, _size in windows]
    names += [] if rest is None else [rest]
    for name in names:
        if not name.isidentifier() or name in ("i", "idle", "signature") or names.count(name) > 1:
            raise ValueError(f"windows: the name {name!r} is taken or not an identifier")
    for name, bar, base, size in windows:
        if bar not in range(6):
            raise ValueError(f"windows: {name} has BAR {bar}; there are 0 to 5")
        if base < 0 or base % 4 or size <= 0 or base + size > 1 << 24:
            raise ValueError(f"windows: {name} has base {base:#x} and size {size:#x}")
    for n, (name, bar, base, size) in enumerate(windows):
        for other, other_bar, other_base, other_size in windows[n + 1 :]:
            if bar == other_bar and base < other_base + other_size and other_base < base + size:
                raise ValueError(f"windows: {name} and {other} overlap")


def within(offset: Any, base: int, size: int) -> tuple[Any, Any]:
    """Whether ``offset`` is from ``base`` on and below ``base + size``, and how far from ``base`` it is then.

    A base that is aligned for its size needs no arithmetic.
    """
    bits = (size - 1).bit_length()
    if base % (1 << bits):
        return (offset >= base) & (offset < base + size), offset - base
    low = offset[:bits]
    return (offset[bits:] == base >> bits) & (low < size), low


class RegisterRouter(Component):
    """Passes each access to the window that its BAR and offset lie in.

    Parameters: ``windows``, a list of :data:`Window`; ``base`` is a multiple of 4 and ``size`` is rounded up
    to whole dwords. ``rest`` names a port for all accesses outside the windows, with the offset as it came;
    without it such a read gives 0 and such a write has no effect. Errors: ``ValueError`` for bad or
    overlapping windows.

    Members:

    - ``i`` In(RegisterPort()): from the initiator
    - for each window a port of its name Out(RegisterPort()), with ``offset`` counted from the window's base
    - the port named by ``rest``, if there is one, Out(RegisterPort())
    - ``idle`` Out 1: no read waits for its response

    Latency: none, requests and responses pass in the same cycle. While a read waits for its response no
    further access is passed on, so the responses are in order.
    """

    def __init__(self, windows: Sequence[Window], rest: str | None = None):
        check_windows(windows, rest)
        self._windows = tuple(windows)
        self._rest = rest
        names = [*(name for name, *_ in windows), *([] if rest is None else [rest])]
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
        for n, (name, bar, base, size) in enumerate(self._windows):
            inside, offset = within(request.offset, base, size)
            hits.append((request.bar == bar) & inside)
            with m.If(hits[n]):
                m.d.comb += selected.eq(n)
            self._connect(m, name, offset, hits[n] & ~waiting, waiting & (owner == n))
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
    """Lets two initiators share one register port.

    Members: ``a`` and ``b`` from the initiators, ``o`` to the registers; ``idle``. Each initiator gets the
    responses to its own reads, in order. When both ask, they take turns.

    Latency: 1 cycle for requests, which go through a buffer, so no register depends on who asks in the same
    cycle; none for responses. An access every two cycles. While a read waits for its response no further
    access is taken.
    """

    def __init__(self):
        super().__init__(
            {"a": In(RegisterPort()), "b": In(RegisterPort()), "o": Out(RegisterPort()), "idle": Out(1)}
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.buffer = buffer = HalfBuffer(RegisterRequest)
        connect(m, buffer.o, flipped(self.o.requests))
        waiting, owner = Signal(), Signal()
        # An access that was offered stays the one that is offered until it is taken.
        locked, chosen, last = Signal(), Signal(), Signal()
        preferred = Mux(self.a.requests.valid & self.b.requests.valid, ~last, self.b.requests.valid)
        grant = Signal()
        m.d.comb += [grant.eq(Mux(locked, chosen, preferred)), self.idle.eq(~waiting & ~locked & buffer.idle)]
        for n, port in enumerate((self.a, self.b)):
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
