"""A design with streams of raw TLPs as a PCI function: what a hard block has, and the design."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ..apart import ResetInserter
from ..buffers import HalfBuffer
from ..component import Component
from ..interfaces import TLP_STREAMS, tlp_streams
from ..pci.bar import BarDecode
from ..pci.capabilities import bars
from ..pci.completer import Completer
from ..pci.config_space import ConfigSpace
from ..pci.endpoint import EndpointConfig
from ..pci.msix import MsixTable
from ..spec.tlp import RequestKind, completion_beat
from ..streams import stream_of
from ..tlp.arbiter import PacketArbiter, TlpArbiter
from ..tlp.raw_header import raw_completion_header, raw_request_header
from ..transport.register_router import RegisterArbiter
from .foreign import Bus, Foreign, ForeignCore, LineVectors, Linger
from .raw_beats import RawPacker, RawUnpacker, raw_packet_beat
from .raw_header import decoded_completion, decoded_request, is_completion, swapped

__all__ = ["HardBlock", "TlpEndpoint"]

_INTERRUPT_CYCLES = 32
"""From an interrupt of the design to its message, as a hard block takes. A design may well give it while the
data that it is about is still on the way through a pipeline of its own."""


def _dwords_first(raw: Any) -> Any:
    """A header whose first byte is highest, with dword 0 in bits 31:0."""
    return Cat(raw[96:128], raw[64:96], raw[32:64], raw[:32])


class HardBlock(Component):
    """Configuration space, MSI-X, and the BARs of a user as two streams of raw TLPs.

    Memory requests that hit a window of ``config`` go to the user, and completions of its reads. All other
    requests are answered here. Requests of the user get the function's requester ID.

    Parameters: ``config``.

    Members (W is ``config.data_width``):

    - ``completer_request`` In stream of request_beat(W)
    - ``completer_completion`` Out stream of completion_beat(W)
    - ``requester_request`` Out stream of request_beat(W)
    - ``requester_completion`` In stream of completion_beat(W)
    - ``receive`` Out stream of raw_packet_beat(W): to the user
    - ``send`` In stream of raw_packet_beat(W): of the user
    - ``vectors`` In stream of 16
    - ``interrupt`` In 1: the level of INTA, while MSI-X is off
    - ``intx`` Out 1: the level of INTA; it rises after what was sent before ``interrupt`` rose
    - ``id`` Out 16, ``bus_master_enable``, ``memory_enable``, ``msix_enable`` Out 1, ``max_payload``,
      ``max_read_request`` Out 13: as configuration space says
    - ``reset`` Out 1, a pulse: a function-level reset
    - ``idle`` Out 1: nothing is in flight
    """

    def __init__(self, config: EndpointConfig):
        self._config = config
        width = config.data_width
        vector: Any = 16
        super().__init__(
            {
                **tlp_streams(width),
                "receive": Out(stream_of(raw_packet_beat(width))),
                "send": In(stream_of(raw_packet_beat(width))),
                "vectors": In(stream_of(vector)),
                "interrupt": In(1),
                "intx": Out(1),
                "id": Out(16),
                **{name: Out(1) for name in ("bus_master_enable", "memory_enable", "msix_enable")},
                **{name: Out(13) for name in ("max_payload", "max_read_request")},
                "reset": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config, width = self._config, self._config.data_width
        own = [bar for bar in bars(config) if bar.index == config.msix_bar]
        users = [bar for bar in bars(config) if bar.index != config.msix_bar]
        m.submodules.config_space = space = ConfigSpace(config)
        m.submodules.completer = completer = Completer(config, own)
        m.submodules.msix = msix = MsixTable(config)
        m.submodules.accesses = accesses = RegisterArbiter(2)
        state: Any = space.state
        m.submodules.held = ResetInserter(state.reset)(held := HalfBuffer(16))
        m.submodules.requester = requester = TlpArbiter(width, 2)
        m.submodules.answers = answers = PacketArbiter(completion_beat(width), 2)
        m.submodules.received = received = PacketArbiter(raw_packet_beat(width), 2)
        connect(m, completer.config, space.config)
        connect(m, space.state, completer.state)
        connect(m, completer.posted_registers, accesses.i0)
        connect(m, completer.registers, accesses.i1)
        connect(m, accesses.o, msix.registers)
        connect(m, flipped(self.vectors), held.i)
        connect(m, held.o, msix.vectors)
        connect(m, msix.messages, requester.i0)
        connect(m, requester.o, flipped(self.requester_request))
        connect(m, completer.completions, answers.i0)
        connect(m, answers.o, flipped(self.completer_completion))
        connect(m, received.o, flipped(self.receive))
        self._receive(m, users, state, completer, received)
        self._send(m, state, requester, answers)

        # ---- interrupts and state
        raised, seen = Signal(), Signal()
        left = ~requester.o.valid | requester.o.ready
        m.d.sync += [seen.eq(self.interrupt), raised.eq(self.interrupt & (raised | (seen & left)))]
        completion = self.requester_completion
        m.d.comb += [
            space.window.requests.ready.eq(1),
            requester.requester_id.eq(state.requester_id),
            msix.enable.eq(state.msix_enable & state.bus_master_enable),
            msix.function_mask.eq(state.msix_function_mask),
            msix.clear.eq(state.reset),
            space.intx_asserted.eq(raised & self.interrupt & ~state.msix_enable),
            self.intx.eq(space.intx_asserted & ~state.intx_disable),
            space.unsupported_request.eq(completer.unsupported),
            space.unsupported_posted.eq(completer.unsupported_posted),
            space.poisoned_request.eq(completer.poisoned | completer.poisoned_posted),
            space.poisoned.eq(completion.valid & completion.p.first & completion.p.header.poisoned),
            self.id.eq(state.requester_id),
            *(getattr(self, name).eq(getattr(state, name)) for name in _SHOWN),
            self.reset.eq(state.reset),
        ]
        parts = (space, completer, msix, held, requester, answers, received)
        idle: Any = Cat(part.idle for part in parts)
        m.d.comb += self.idle.eq(idle.all() & (raised == self.interrupt))
        return m

    def _receive(self, m: Any, users: Any, state: Any, completer: Any, received: Any) -> None:
        """The host's requests, to the user or to us, and its completions."""
        m.submodules.decode = decode = BarDecode(users)
        for name in state.signature.members:
            m.d.comb += getattr(decode.state, name).eq(getattr(state, name))
        requests, completions = self.completer_request, self.requester_completion
        header = requests.p.header
        memory = (header.kind == RequestKind.MEMORY_READ) | (header.kind == RequestKind.MEMORY_WRITE)
        ours, theirs = completer.requests, received.i0
        hit: Any = memory & decode.hit
        m.d.comb += [
            decode.address.eq(header.address),
            decode.length.eq(header.length),
            ours.p.eq(requests.p),
            ours.valid.eq(requests.valid & ~hit),
            theirs.valid.eq(requests.valid & hit),
            requests.ready.eq(Mux(hit, theirs.ready, ours.ready)),
            theirs.p.header.eq(_dwords_first(raw_request_header(header))),
            received.i1.p.header.eq(_dwords_first(raw_completion_header(completions.p.header))),
            received.i1.valid.eq(completions.valid),
            completions.ready.eq(received.i1.ready),
        ]
        for one, other in ((theirs, requests), (received.i1, completions)):
            for name in ("data", "dwords", "first", "last"):
                m.d.comb += getattr(one.p, name).eq(getattr(other.p, name))

    def _send(self, m: Any, state: Any, requester: Any, answers: Any) -> None:
        """The user's requests, which are dropped without bus mastering, and its completions."""
        send, requests, completions = self.send, requester.i1, answers.i1
        completes: Any = is_completion(send.p.header)
        inside, drops = Signal(), Signal()
        dropping: Any = Mux(inside, drops, ~state.bus_master_enable)
        with m.If(send.valid & send.ready):
            m.d.sync += [inside.eq(~send.p.last), drops.eq(dropping)]
        decoded_request(m, requests.p.header, send.p.header)
        decoded_completion(m, completions.p.header, send.p.header)
        m.d.comb += [
            requests.valid.eq(send.valid & ~completes & ~dropping),
            completions.valid.eq(send.valid & completes),
            send.ready.eq(Mux(completes, completions.ready, requests.ready | dropping)),
        ]
        for stream in (requests, completions):
            for name in ("data", "dwords", "first", "last"):
                m.d.comb += getattr(stream.p, name).eq(getattr(send.p, name))


_SHOWN = ("bus_master_enable", "memory_enable", "msix_enable", "max_payload", "max_read_request")


class TlpEndpoint(Component):
    """A PCI function that is a HardBlock and a design behind it::

        four TLP streams ─ HardBlock ─┬─ RawPacker ─► receive ─┐
                                      ├─ RawUnpacker ◄─ send ──┤ the design
                                      └─ vectors ◄─────────────┘

    An interrupt takes ``_INTERRUPT_CYCLES``, and waits until the TLP has ended that is being sent. A
    function-level reset resets the design.

    Parameters: ``config``; ``design``; ``receive`` and ``send``, its streams; ``big``: the first byte of a
    dword of payload is in bits 31:24.

    Members: as of :class:`~.axi.AxiEndpoint`.
    """

    def __init__(self, config: EndpointConfig, design: Foreign, receive: Bus, send: Bus, big: bool):
        self._config, self._design = config, design
        self._receive, self._send, self._big = receive, send, big
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
        design, width = self._design, self._config.data_width
        m.submodules.block = block = HardBlock(self._config)
        for name in TLP_STREAMS:
            connect(m, getattr(block, name), flipped(getattr(self, name)))
        m.submodules.packer = packer = RawPacker(width)
        m.submodules.unpacker = unpacker = RawUnpacker(width)
        foreign = ForeignCore(m, design, block.reset)
        m.d.comb += unpacker.cut.eq(block.reset)
        self._join_receive(m, foreign, block, packer)
        self._join_send(m, foreign, block, unpacker)

        # ---- interrupts
        m.submodules.vectors = vectors = LineVectors(tuple(line.vector for line in design.lines))
        lines = [foreign.read(line.pin).any() for line in design.lines]
        levels = [now for now, line in zip(lines, design.lines, strict=True) if line.level]
        level, up = Signal(), Signal(range(_INTERRUPT_CYCLES + 1), init=_INTERRUPT_CYCLES)
        m.d.comb += [
            vectors.lines.eq(Cat(lines)),
            vectors.enable.eq(block.msix_enable),
            level.eq(reduce(or_, levels, Const(0))),
            block.interrupt.eq(level & (up == 0)),
        ]
        with m.If(~level):
            m.d.sync += up.eq(_INTERRUPT_CYCLES)
        with m.Elif((up != 0) & ((up != 1) | unpacker.idle)):
            m.d.sync += up.eq(up - 1)
        source, valid = vectors.o, vectors.o.valid
        if design.vector_stream is not None:
            source, valid = self._vector_stream(m, foreign, vectors.o)
        waits = Signal(range(_INTERRUPT_CYCLES + 1), init=_INTERRUPT_CYCLES)
        goes = (waits == 0) & unpacker.idle
        with m.If(~valid | (block.vectors.valid & block.vectors.ready)):
            m.d.sync += waits.eq(_INTERRUPT_CYCLES)
        with m.Elif(waits != 0):
            m.d.sync += waits.eq(waits - 1)
        m.d.comb += [
            block.vectors.valid.eq(valid & goes),
            block.vectors.payload.eq(source.payload),
            source.ready.eq(block.vectors.ready & goes),
        ]

        # ---- state
        foreign.show({name: getattr(block, name) for name in ("id", *_SHOWN)})
        m.submodules.linger = linger = Linger(design.linger)
        busy = ~block.idle | ~packer.idle | ~unpacker.idle | packer.o.valid | unpacker.i.valid | valid
        busy = busy | (level != (up == 0))
        m.d.comb += [
            linger.traffic.eq(busy),
            linger.quiet.eq(Const(0) if design.idle is None else foreign.read(design.idle)),
            self.idle.eq(linger.idle),
            self.intx.eq(block.intx),
        ]
        foreign.finish()
        return m

    def _vector_stream(self, m: Any, foreign: ForeignCore, lines: Any) -> tuple[Any, Any]:
        """The design's own vectors and those of its lines, which wait, as one stream."""
        stream = self._design.vector_stream
        assert stream is not None
        arbiter = PacketArbiter(16, 2)
        m.submodules.vector_arbiter = arbiter
        connect(m, lines, arbiter.i1)
        m.d.comb += [
            arbiter.i0.valid.eq(foreign.read(stream.valid)),
            arbiter.i0.payload.eq(0 if stream.vector is None else foreign.read(stream.vector)),
        ]
        if stream.ready is not None:
            foreign.drive(stream.ready, arbiter.i0.ready)
        return arbiter.o, arbiter.o.valid

    def _ordered(self, payload: Any) -> Any:
        return swapped(payload) if self._big else payload

    def _join_receive(self, m: Any, foreign: ForeignCore, block: Any, packer: Any) -> None:
        """What the host sends. Its payload is turned before the header is put in front."""
        pins = dict(self._receive.pins)
        i, o = packer.i, packer.o
        m.d.comb += [
            i.valid.eq(block.receive.valid),
            block.receive.ready.eq(i.ready),
            i.p.eq(block.receive.p),
            i.p.data.eq(self._ordered(block.receive.p.data)),
            o.ready.eq(foreign.read(pins["ready"])),
        ]
        self._drive(foreign, pins, o)

    def _drive(self, foreign: ForeignCore, pins: Any, o: Any) -> None:
        lanes = self._config.data_width // 32
        values = {"valid": o.valid, "data": o.p.data, "first": o.p.first, "last": o.p.last}
        for name, value in values.items():
            if name in pins:
                foreign.drive(pins[name], value)
        if "keep" in pins:
            each = pins["keep"].width // lanes
            foreign.drive(pins["keep"], Cat(o.p.dwords[n].replicate(each) for n in range(lanes)))

    def _join_send(self, m: Any, foreign: ForeignCore, block: Any, unpacker: Any) -> None:
        """What the design sends."""
        pins = dict(self._send.pins)
        lanes = self._config.data_width // 32
        i, o = unpacker.i, unpacker.o
        dwords: Any = Const((1 << lanes) - 1, lanes)
        if "keep" in pins:
            keep = foreign.read(pins["keep"])
            each = pins["keep"].width // lanes
            dwords = Cat(keep[each * n] for n in range(lanes))
        m.d.comb += [
            i.valid.eq(foreign.read(pins["valid"])),
            i.p.data.eq(foreign.read(pins["data"])),
            i.p.dwords.eq(dwords),
            i.p.last.eq(foreign.read(pins["last"])),
            block.send.valid.eq(o.valid),
            o.ready.eq(block.send.ready),
            block.send.p.eq(o.p),
            block.send.p.data.eq(self._ordered(o.p.data)),
        ]
        foreign.drive(pins["ready"], i.ready)
