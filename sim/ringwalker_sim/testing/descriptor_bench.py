"""A bench for DescriptorFetch with the store that it fills: chains made in Python, and what must come out."""

import random
from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import RisingEdge

from ringwalker.component import Component
from ringwalker.interfaces import DmaReadPort, QueueRead, SegmentRead
from ringwalker.queue.chain.fetch import DescriptorFetch
from ringwalker.queue.chain.store import SegmentStore
from ringwalker.queue.ring.limits import LINE_BYTES
from ringwalker.queue.split.descriptors import SplitDecoder
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker.streams import Chain, Head, stream_of

from .runner import parameters
from .streams import StreamSink, StreamSource, random_stalls, start
from .walker import DmaReadModel, QueueTableModel, pulses, until

__all__ = ["INDIRECT", "QUEUES", "DescriptorBench", "FetchAndStore", "head"]

QUEUES = 3

INDIRECT = 0x20000
"""Where indirect tables begin."""

_PAGE = 4096


class FetchAndStore(Component):
    """DescriptorFetch joined with a SegmentStore; what leaves them is the members' names."""

    def __init__(self, data_width, queue_size, chains, segments):
        self.fetch = DescriptorFetch(data_width, queue_size, chains, segments, decoder=SplitDecoder())
        self.store = SegmentStore(segments)
        super().__init__(
            {
                "heads": In(stream_of(Head)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "chains": Out(stream_of(Chain)),
                "look": In(SegmentRead()),
                "free": In(stream_of(unsigned(16))),
                "indirect": In(1),
                "confirm": In(1),
                "withdraw": In(1),
                "max_read_request": In(13),
                "fail": Out(1),
                "idle": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.fetch, m.submodules.store = self.fetch, self.store
        for name in ("allocate", "write", "link", "drops"):
            connect(m, getattr(self.fetch, name), getattr(self.store, name))
        for name in ("heads", "table", "read", "chains"):
            connect(m, getattr(self.fetch, name), flipped(getattr(self, name)))
        connect(m, self.store.read0, flipped(self.look))
        connect(m, self.store.free0, flipped(self.free))
        m.d.comb += [
            self.fetch.available.eq(self.store.available),
            self.fetch.indirect.eq(self.indirect),
            self.fetch.confirm.eq(self.confirm),
            self.fetch.withdraw.eq(self.withdraw),
            self.fetch.max_read_request.eq(self.max_read_request),
            self.fail.eq(self.fetch.fail),
            self.idle.eq(self.fetch.idle),
            self.empty.eq(self.store.idle),
        ]
        return m


def head(queue, index, *, first=1, guess=0):
    """The head of the chain that begins at descriptor ``index``; the driver knows it by another number."""
    return {"queue": queue, "at": index, "id": index + 1000, "first": first, "guess": guess}


def stalls(probability):
    return random_stalls(probability) if probability else None


class DescriptorBench:
    """``dut`` is a FetchAndStore. The tables of all queues have ``size`` descriptors."""

    def __init__(self, dut, stall=0.0, latency=(1, 1), size=None):
        self.dut = dut
        self.table = QueueTableModel(dut)
        self.memory = bytearray(1 << 18)
        self.broken = set()
        self.read = DmaReadModel(
            dut,
            "read",
            self.memory,
            parameters()["width"],
            latency=latency,
            stalls=stalls(stall),
            data_stalls=stalls(stall),
            fails=lambda address: any(address <= at < address + LINE_BYTES for at in self.broken),
        )
        self.heads = StreamSource(dut, "heads", stalls(stall))
        self.chains = StreamSink(dut, "chains", stalls(stall))
        self.free = StreamSource(dut, "free", stalls(stall))
        self.fail = pulses(dut, "fail")
        dut.indirect.value = 1
        dut.confirm.value = dut.withdraw.value = 0
        dut.max_read_request.value = 128
        self.indirect_at = INDIRECT
        dut.look_en.value = 0
        dut.look_index.value = 0
        self.size = size or parameters()["queue_size"]
        for queue in range(QUEUES):
            self.table.rows[queue] = {"desc": 0x1000 * (1 + 4 * queue), "size": self.size, "enable": 1}

    def put(self, queue, index, address, length, flags, after):
        """Write a descriptor of a queue's table."""
        at = self.table.rows[queue]["desc"] + DESC_BYTES * index
        return self.put_at(at, address, length, flags, after)

    def put_at(self, at, address, length, flags, after):
        raw = address.to_bytes(8, "little") + length.to_bytes(4, "little")
        self.memory[at : at + DESC_BYTES] = raw + flags.to_bytes(2, "little") + after.to_bytes(2, "little")
        return at

    def parts(self, count, readable=None, lengths=None):
        """Random buffers of a chain, in order: the readable ones, and the writable ones."""
        readable = random.randint(0, count) if readable is None else readable
        some = [0, 1, 512, random.randrange(1 << 24)]
        lengths = lengths or random.choices(some, k=count)
        parts = [(random.getrandbits(64), length) for length in lengths]
        return parts[:readable], parts[readable:]

    def indirect_table(self, size):
        """A place for an indirect table, of any alignment."""
        self.indirect_at += random.choice(
            [0, 1, 2, 8, 16, 100, _PAGE - DESC_BYTES - self.indirect_at % _PAGE]
        )
        if self.indirect_at + DESC_BYTES * size > len(self.memory):
            self.indirect_at = INDIRECT
        at, self.indirect_at = self.indirect_at, self.indirect_at + DESC_BYTES * size
        return at

    def chain(self, queue, indices, readable=None, lengths=None, nested=0, first=1, send=True):
        """Write a chain and, if wanted, send its head; gives what must come out.

        It stands in descriptors ``indices``; its last ``nested`` buffers, if not 0, stand in an indirect
        table, which the last of ``indices`` points to.
        """
        desc = self.table.rows[queue]["desc"]
        places = [desc + DESC_BYTES * index for index in indices]
        follows = indices[1:]
        if nested:
            order = [0, *random.sample(range(1, nested + 1), nested - 1)]
            at, flags = self.indirect_table(nested + 1), DESC_F_INDIRECT | random.choice([0, DESC_F_WRITE])
            self.put_at(places.pop(), at, DESC_BYTES * (nested + 1), flags, random.getrandbits(16))
            places += [at + DESC_BYTES * index for index in order]
            follows = follows + order[1:]
        parts = self.parts(len(places), readable, lengths)
        for n, (address, length) in enumerate(parts[0] + parts[1]):
            last = n == len(places) - 1
            flags = (0 if last else DESC_F_NEXT) | (DESC_F_WRITE if n >= len(parts[0]) else 0)
            self.put_at(places[n], address, length, flags, random.getrandbits(16) if last else follows[n])
        if send:
            self.heads.queue(head(queue, indices[0], first=first))
        return queue, indices[0], parts

    async def walk(self, first, count):
        found = []
        index = first
        for _ in range(count):
            self.dut.look_en.value = 1
            self.dut.look_index.value = index
            await RisingEdge(self.dut.clk)
            self.dut.look_en.value = 0
            await RisingEdge(self.dut.clk)
            found.append((int(self.dut.look_address.value), int(self.dut.look_length.value)))
            self.free.queue({"payload": index})
            index = int(self.dut.look_next.value)
        return found

    async def expect(self, chain):
        queue, index, (readable, writable) = chain
        got = await self.chains.receive()
        assert (got["queue"], got["id"]) == (queue, head(queue, index)["id"])
        assert (got["readable_segments"], got["writable_segments"]) == (len(readable), len(writable))
        assert got["readable"] == sum(length for _, length in readable)
        assert got["writable"] == sum(length for _, length in writable)
        assert await self.walk(got["first_readable"], len(readable)) == readable
        assert await self.walk(got["first_writable"], len(writable)) == writable

    async def judge(self, verdict):
        """Give ``confirm`` or ``withdraw`` for a cycle, at least two cycles after the guess was taken."""
        for value in (None, None, 1, 0):
            if value is not None:
                getattr(self.dut, verdict).value = value
            await RisingEdge(self.dut.clk)

    async def idle(self):
        await self.heads.drained()
        await until(self.dut, lambda: bool(int(self.dut.idle.value)))
        await self.free.drained()
        await until(self.dut, lambda: bool(int(self.dut.empty.value)))
        assert not self.chains.received

    async def start(self):
        await start(self.dut)
        await until(self.dut, lambda: bool(int(self.dut.empty.value)))
