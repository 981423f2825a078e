"""Small devices that stand in for the whole one: a memory copier, and one that copies inside a disk.

They have the ports of the device's top, so that the host model can be tested and measured without it.
"""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ringwalker.component import Component
from ringwalker.interfaces import StoragePort
from ringwalker.spec.blk import SECTOR_BYTES
from ringwalker.spec.pci import HEADER
from ringwalker.spec.tlp import CompletionStatus, RequestKind
from ringwalker.streams import StorageOp, completion_beat, request_beat, stream_of

__all__ = [
    "DEVICE_ID",
    "VENDOR_ID",
    "CopyRegisters",
    "DiskCopier",
    "MemoryCopier",
    "RegisterFace",
    "tlp_ports",
]

VENDOR_ID, DEVICE_ID = 0x5000, 0x00FE
_LOW = [0, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0]
_HIGH = [0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3]


CopyRegisters: Any = data.StructLayout(
    {
        "source": 64,
        "destination": 64,
        "message_address": 64,
        "message_data": 32,
        "chunks": 32,
        "control": 32,
        "done": 32,
        "errors": 32,
        "pad": 32,
    }
)
"""What the CPU writes, dword by dword at offset 0 of memory space (any address: only bits 5:2 count).

Writing ``control`` starts a copy of ``chunks`` chunks. ``done`` (read only) is 1 when the last byte was
written, ``errors`` (read only) counts chunks whose read failed; they are left out.
"""


def _stream(payload: Any) -> stream.Signature:
    return stream_of(payload)


def tlp_ports(data_width: int) -> dict[str, Any]:
    """The four TLP streams and the interrupt pin, as signature members."""
    return {
        "completer_request": In(_stream(request_beat(data_width))),
        "completer_completion": Out(_stream(completion_beat(data_width))),
        "requester_request": Out(_stream(request_beat(data_width))),
        "requester_completion": In(_stream(completion_beat(data_width))),
        "intx": Out(1),
    }


class RegisterFace(Component):
    """Answers the CPU, one request at a time: a vendor id in configuration space, registers in memory space.

    ``registers`` is the layout: whole dwords, among them ``control``, ``done`` and ``errors``.
    ``started`` pulses when ``control`` is written; ``done`` and ``errors`` are what those registers read as;
    ``requester_id`` is captured from configuration writes. Reads of more than two dwords, I/O reads and
    the rest that is not posted are refused, I/O writes taken.
    """

    def __init__(self, data_width: int, registers: Any = CopyRegisters):
        self._layout = registers
        super().__init__(
            {
                "i": In(_stream(request_beat(data_width))),
                "o": Out(_stream(completion_beat(data_width))),
                "registers": Out(registers),
                "started": Out(1),
                "done": In(1),
                "errors": In(32),
                "requester_id": Out(16),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        header = self.i.p.header
        count = self._layout.size // 32
        words = Array([Signal(32, name=f"register_{n}") for n in range(count)])
        shown = Array(list(words))
        names = {name: field.offset // 32 for name, field in self._layout}
        shown[names["done"]], shown[names["errors"]] = self.done, self.errors
        m.d.comb += self.registers.as_value().eq(Cat(*words))
        m.d.sync += self.started.eq(0)
        m.d.comb += self.i.ready.eq(~self.o.valid)
        index = header.address[2:6]
        taken = self.i.valid & self.i.ready
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(taken & self.i.p.first & (header.kind == RequestKind.MEMORY_WRITE)):
            for number in range(2):
                enables = header.first_be if number == 0 else header.last_be
                for byte in range(4):
                    with m.If(self.i.p.dwords[number] & enables[byte]):
                        part = self.i.p.data[32 * number + 8 * byte :][:8]
                        m.d.sync += words[index + number].word_select(byte, 8).eq(part)
            m.d.sync += self.started.eq(index == names["control"])
        with m.If(taken & (header.kind == RequestKind.CONFIG_WRITE_0)):
            m.d.sync += self.requester_id.eq(header.target_id)
        posted = (header.kind == RequestKind.MEMORY_WRITE) | (header.kind == RequestKind.MESSAGE)
        with m.If(taken & self.i.p.last & ~posted):
            m.d.sync += self.o.valid.eq(1)
            self._answer(m, header, Cat(shown[index], shown[index + 1]))
        return m

    def _answer(self, m: Any, request: Any, words: Any) -> None:
        o = self.o.p
        config_read = request.kind == RequestKind.CONFIG_READ_0
        memory_read = (request.kind == RequestKind.MEMORY_READ) & (request.length <= 2)
        write = (request.kind == RequestKind.CONFIG_WRITE_0) | (request.kind == RequestKind.IO_WRITE)
        low = Array(Const(n, 2) for n in _LOW)[request.first_be]
        high = Array(Const(n, 2) for n in _HIGH)[Mux(request.length == 1, request.first_be, request.last_be)]
        span = Mux(request.length == 1, 0, 4) + high - low + 1
        ids = Mux(request.address[2:12] == HEADER.vendor_id.offset // 4, VENDOR_ID | DEVICE_ID << 16, 0)
        good = CompletionStatus.SUCCESS
        m.d.sync += [
            o.header.status.eq(
                Mux(config_read | memory_read | write, good, CompletionStatus.UNSUPPORTED_REQUEST)
            ),
            o.header.has_data.eq(config_read | memory_read),
            o.header.length.eq(Mux(config_read | memory_read, request.length, 0)),
            o.header.byte_count.eq(Mux(memory_read, span, 4)),
            o.header.lower_address.eq(Mux(memory_read, Cat(low[:2], request.address[2:7]), 0)),
            o.header.requester_id.eq(request.requester_id),
            o.header.completer_id.eq(self.requester_id),
            o.header.tag.eq(request.tag),
            o.data.eq(Mux(config_read, ids, words)),
            o.dwords.eq(Mux(config_read | memory_read, Mux(request.length == 2, 0b11, 0b01), 0)),
            o.first.eq(1),
            o.last.eq(1),
        ]


class MemoryCopier(Component):
    """Copies ``chunks`` times ``chunk`` bytes with up to ``slots`` reads in flight, then sends a message.

    ``source`` and ``destination`` must be multiples of ``chunk``, a power of two from 64 bytes to the
    payload limit. Chunks are written in order, each as soon as it is there. ``intx`` is ``done``.
    """

    def __init__(self, data_width: int, chunk: int = 256, slots: int = 32):
        self.data_width, self.chunk, self.slots = data_width, chunk, slots
        self.beats = chunk * 8 // data_width
        super().__init__(tlp_ports(data_width))

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width)
        m.submodules.face = face
        wiring.connect(m, face.i, wiring.flipped(self.completer_request))
        wiring.connect(m, wiring.flipped(self.completer_completion), face.o)
        m.submodules.buffer = memory = Memory(shape=self.data_width, depth=self.slots * self.beats, init=[])
        self._finished = Array([Signal(name=f"finished_{n}") for n in range(self.slots)])
        self._failed = Array([Signal(name=f"failed_{n}") for n in range(self.slots)])
        self._take_completions(m, memory.write_port())
        self._send_requests(m, memory.read_port(), face)
        return m

    def _take_completions(self, m: Any, port: Any) -> None:
        i = self.requester_completion
        header = i.p.header
        slot = header.tag[: (self.slots - 1).bit_length()]
        following = Signal(range(self.beats + 1))
        place = Signal(range(self.beats + 1))
        start = (self.chunk - header.byte_count)[(self.data_width // 8 - 1).bit_length() :]
        bad = (header.status != CompletionStatus.SUCCESS) | header.poisoned
        m.d.comb += [
            i.ready.eq(1),
            place.eq(Mux(i.p.first, start, following)),
            port.addr.eq(slot * self.beats + place),
            port.data.eq(i.p.data),
            port.en.eq(i.valid & header.has_data),
        ]
        with m.If(i.valid):
            m.d.sync += following.eq(place + 1)
            with m.If(bad):
                m.d.sync += self._failed[slot].eq(1)
            with m.If(i.p.last & (~header.has_data | (header.byte_count <= header.length * 4))):
                m.d.sync += self._finished[slot].eq(1)

    def _send_requests(self, m: Any, port: Any, face: Any) -> None:
        o, registers = self.requester_request, face.registers
        bits = (self.slots - 1).bit_length()
        asked, written, errors = Signal(32), Signal(32), Signal(32)
        beat = Signal(range(self.beats))
        running, message, turn = Signal(), Signal(), Signal()
        head: Any = written[:bits]
        advance = ~o.valid | o.ready
        can_ask = running & (asked != registers.chunks) & (asked - written < self.slots)
        can_write = running & (written != asked) & self._finished[head]
        m.d.comb += [
            port.en.eq(advance),
            port.addr.eq(head * self.beats + beat),
            o.p.data.eq(Mux(message, registers.message_data, port.data)),
            self.intx.eq(face.done),
            face.errors.eq(errors),
        ]
        step = self.chunk.bit_length() - 1
        with m.If(advance):
            m.d.sync += [o.valid.eq(0), message.eq(0)]
            with m.If(can_ask & (beat == 0) & (turn | ~can_write)):
                self._header(m, face, RequestKind.MEMORY_READ, registers.source + (asked << step))
                m.d.sync += [o.p.header.length.eq(self.chunk // 4), o.p.header.last_be.eq(0xF)]
                m.d.sync += [
                    o.p.header.tag.eq(asked[:bits]),
                    o.p.dwords.eq(0),
                    o.p.first.eq(1),
                    o.p.last.eq(1),
                ]
                m.d.sync += [asked.eq(asked + 1), turn.eq(0)]
            with m.Elif(can_write & self._failed[head]):
                m.d.sync += [errors.eq(errors + 1), written.eq(written + 1)]
                m.d.sync += [self._finished[head].eq(0), self._failed[head].eq(0)]
            with m.Elif(can_write):
                self._header(m, face, RequestKind.MEMORY_WRITE, registers.destination + (written << step))
                m.d.sync += [o.p.header.length.eq(self.chunk // 4), o.p.header.last_be.eq(0xF)]
                m.d.sync += [o.p.dwords.eq(Const(-1, self.data_width // 32)), o.p.first.eq(beat == 0)]
                m.d.sync += [beat.eq(beat + 1), turn.eq(1), o.p.last.eq(beat == self.beats - 1)]
                with m.If(beat == self.beats - 1):
                    m.d.sync += [beat.eq(0), written.eq(written + 1), self._finished[head].eq(0)]
            with m.Elif(running & (written == registers.chunks)):
                m.d.sync += [running.eq(0), face.done.eq(1)]
                with m.If(registers.message_address != 0):
                    self._header(m, face, RequestKind.MEMORY_WRITE, registers.message_address)
                    m.d.sync += [o.p.header.length.eq(1), o.p.header.last_be.eq(0), message.eq(1)]
                    m.d.sync += [o.p.dwords.eq(1), o.p.first.eq(1), o.p.last.eq(1)]
        with m.If(face.started):
            m.d.sync += [running.eq(1), asked.eq(0), written.eq(0), errors.eq(0), face.done.eq(0)]

    def _header(self, m: Any, face: Any, kind: RequestKind, address: Any) -> None:
        o = self.requester_request
        m.d.sync += [
            o.valid.eq(1),
            o.p.header.kind.eq(kind),
            o.p.header.address.eq(address),
            o.p.header.first_be.eq(0xF),
            o.p.header.requester_id.eq(face.requester_id),
        ]


class DiskCopier(Component):
    """Copies the first half of a disk onto the second, a sector at a time, flushes, then raises ``intx``.

    It starts when ``control`` is written. Register ``errors`` counts results that were errors. So many blocks
    of logic as ``depth`` says, one behind the other, lie between data that is valid and what sees it.
    """

    def __init__(self, data_width: int, depth: int = 0):
        self.data_width = data_width
        self.depth = depth
        members = {**tlp_ports(data_width), "storage": Out(StoragePort(data_width)), "capacity": In(64)}
        super().__init__(members)

    def elaborate(self, platform):
        m: Any = Module()
        face: Any = RegisterFace(self.data_width)
        m.submodules.face = face
        wiring.connect(m, face.i, wiring.flipped(self.completer_request))
        wiring.connect(m, wiring.flipped(self.completer_completion), face.o)
        storage, beats = self.storage, SECTOR_BYTES * 8 // self.data_width
        words = Array([Signal(self.data_width, name=f"word_{n}") for n in range(beats)])
        sector, beat, errors = Signal(64), Signal(range(beats)), Signal(32)
        command, last = storage.commands, beat == beats - 1
        m.d.comb += [face.errors.eq(errors), face.done.eq(self.intx), storage.results.ready.eq(1)]
        m.d.comb += [command.p.sectors.eq(1), storage.write_data.p.data.eq(words[beat])]
        m.d.comb += [storage.write_data.p.last.eq(last)]
        m.d.sync += errors.eq(errors + (storage.results.valid & storage.results.payload))
        with m.FSM():
            with m.State("WAIT_FOR_START"), m.If(face.started):
                m.d.sync += [sector.eq(0), errors.eq(0), self.intx.eq(0)]
                m.next = "ASK_READ"
            with m.State("ASK_READ"):
                m.d.comb += [
                    command.valid.eq(1),
                    command.p.op.eq(StorageOp.READ),
                    command.p.sector.eq(sector),
                ]
                with m.If(command.ready):
                    m.next = "TAKE_DATA"
            with m.State("TAKE_DATA"):
                m.d.comb += storage.read_data.ready.eq(1)
                with m.If(self._seen(m, storage.read_data.valid)):
                    m.d.sync += [words[beat].eq(storage.read_data.p.data), beat.eq(Mux(last, 0, beat + 1))]
                    with m.If(storage.read_data.p.last):
                        m.next = "ASK_WRITE"
            with m.State("ASK_WRITE"):
                m.d.comb += [command.valid.eq(1), command.p.op.eq(StorageOp.WRITE)]
                m.d.comb += command.p.sector.eq(sector + (self.capacity >> 1))
                with m.If(command.ready):
                    m.next = "GIVE_DATA"
            with m.State("GIVE_DATA"):
                m.d.comb += storage.write_data.valid.eq(1)
                with m.If(storage.write_data.ready):
                    m.d.sync += beat.eq(Mux(last, 0, beat + 1))
                    with m.If(last):
                        m.d.sync += sector.eq(sector + 1)
                        m.next = "ASK_READ"
                        with m.If(sector == (self.capacity >> 1) - 1):
                            m.next = "ASK_FLUSH"
            with m.State("ASK_FLUSH"):
                m.d.comb += [command.valid.eq(1), command.p.op.eq(StorageOp.FLUSH)]
                with m.If(command.ready):
                    m.next = "WAIT_FOR_RESULTS"
            with m.State("WAIT_FOR_RESULTS"), m.If(storage.results.valid):
                # Results of the last write and of the flush: the level is up once the first is here.
                m.d.sync += self.intx.eq(1)
                m.next = "WAIT_FOR_START"
        return m

    def _seen(self, m: Any, valid: Any) -> Any:
        for number in range(self.depth):
            before, valid = valid, Signal(name=f"seen_{number}")
            with m.If(before):
                m.d.comb += valid.eq(1)
        return valid
