"""The MSI-X table: messages, masking, pending bits, register access."""

import itertools
import random
from collections.abc import Iterator

import cocotb
from cocotb.triggers import RisingEdge, with_timeout

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import msix_pba_offset
from ringwalker.pci.msix import MsixTable
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY, MsixVectorControl
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start
from ringwalker_sim.testing.registers import RegisterInitiator

CONFIG = DeviceConfig(queues=36)
COUNT = CONFIG.vectors
PBA = msix_pba_offset(CONFIG)
TABLE_BYTES = COUNT * MSIX_ENTRY_BYTES


class Bench:
    """The table, with a driver of its registers and the messages it sent as (address, data)."""

    def __init__(self, dut, stalls: Iterator[bool] | None = None):
        self.dut = dut
        self.messages: list[tuple[int, int]] = []
        self.registers = RegisterInitiator(
            dut, "registers", MSIX_TABLE_ENTRY, request_stalls=stalls, response_stalls=stalls
        )
        self.vectors = StreamSource(dut, "vectors", stalls)
        self.sink = StreamSink(dut, "messages", stalls, callback=self.take)
        self.entries: list[tuple[int, int]] = []
        dut.enable.value = 0
        dut.function_mask.value = 0

    def take(self, beat: dict[str, int]) -> None:
        assert beat["header_kind"] == RequestKind.MEMORY_WRITE.value
        assert (beat["first"], beat["last"], beat["dwords"]) == (1, 1, 1)
        assert (beat["header_length"], beat["header_first_be"], beat["header_last_be"]) == (1, 0xF, 0)
        assert beat["header_poisoned"] == 0
        self.messages.append((beat["header_address"], beat["data"]))

    def offset(self, vector: int, register: str) -> int:
        return vector * MSIX_ENTRY_BYTES + MSIX_TABLE_ENTRY[register].offset

    async def mask(self, vector: int, masked: bool) -> None:
        value = MsixVectorControl.MASK if masked else 0
        await self.registers.write(self.offset(vector, "vector_control"), value)

    async def fill(self, masked: bool) -> None:
        """Give every vector an address and data of its own."""
        self.entries = [(random.getrandbits(64) & ~3, random.getrandbits(32)) for _ in range(COUNT)]
        for vector, (address, data) in enumerate(self.entries):
            await self.registers.write(self.offset(vector, "address_low"), address & 0xFFFFFFFF)
            await self.registers.write(self.offset(vector, "address_high"), address >> 32)
            await self.registers.write(self.offset(vector, "data"), data)
            await self.mask(vector, masked)

    async def pending(self) -> set[int]:
        words = [await self.registers.read(PBA + 4 * n) for n in range((COUNT + 31) // 32)]
        bits = sum(word << 32 * n for n, word in enumerate(words))
        return {n for n in range(32 * len(words)) if bits >> n & 1}

    async def settle(self) -> None:
        await self.vectors.drained()
        quiet = 0
        while quiet < 20:
            await RisingEdge(self.dut.clk)
            quiet = quiet + 1 if int(self.dut.idle.value) else 0

    async def raise_vectors(self, vectors: list[int]) -> None:
        for vector in vectors:
            self.vectors.queue({"payload": vector})
        await self.settle()

    def take_messages(self) -> list[tuple[int, int]]:
        messages, self.messages = self.messages, []
        return messages


@cocotb.test()
async def table_reads_as_written(dut):
    bench = Bench(dut, random_stalls(0.3))
    await start(dut)
    model = dict.fromkeys(range(0, TABLE_BYTES, 4), 0)
    masks = dict.fromkeys(model, 0xFFFFFFFF)
    for vector in range(COUNT):
        model[bench.offset(vector, "vector_control")] = MsixVectorControl.MASK
        masks[bench.offset(vector, "vector_control")] = MsixVectorControl.MASK
        masks[bench.offset(vector, "address_low")] = 0xFFFFFFFC
    for offset, value in model.items():
        assert await bench.registers.read(offset) == value, f"{offset:#x} after reset"
    for _ in range(2000):
        offset = (
            random.randrange(0, TABLE_BYTES + 64, 4)
            if random.random() < 0.9
            else PBA + random.choice([0, 4, 8])
        )
        if random.getrandbits(1):
            value, strobe = random.getrandbits(32), random.randrange(16)
            await bench.registers.write(offset, value, strobe)
            if offset in model:
                lanes = sum(0xFF << 8 * n for n in range(4) if strobe >> n & 1) & masks[offset]
                model[offset] = model[offset] & ~lanes | value & lanes
        else:
            assert await bench.registers.read(offset) == model.get(offset, 0), f"{offset:#x}"
    dut.rst.value = 1
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    for vector in range(COUNT):
        control = await bench.registers.read(bench.offset(vector, "vector_control"))
        assert control == MsixVectorControl.MASK, "masked again after reset"
        assert await bench.registers.read(bench.offset(vector, "data")) == 0


@cocotb.test()
async def unmasked_vectors_are_sent_in_order(dut):
    bench = Bench(dut, random_stalls(0.3))
    await start(dut)
    await bench.fill(masked=False)
    dut.enable.value = 1
    vectors = [random.randrange(COUNT) for _ in range(500)]
    out_of_range = [COUNT, COUNT + 1, 64, 128, 0x7FFF, 0xFFFF]
    mixed = [v for vector in vectors for v in ([vector, random.choice(out_of_range)][: random.randint(1, 2)])]
    await bench.raise_vectors(mixed)
    assert bench.take_messages() == [bench.entries[v] for v in vectors]
    assert not await bench.pending()


@cocotb.test()
async def masked_vectors_wait_for_their_mask_to_go(dut):
    bench = Bench(dut, random_stalls(0.3))
    await start(dut)
    await bench.fill(masked=True)
    dut.enable.value = 1
    for _ in range(20):
        raised = random.sample(range(COUNT), 6)
        await bench.raise_vectors(raised + raised[:2])
        assert not bench.take_messages()
        assert await bench.pending() == set(raised)
        for vector in random.sample(range(COUNT), COUNT):
            await bench.mask(vector, False)
            await bench.settle()
            expected = [bench.entries[vector]] if vector in raised else []
            assert bench.take_messages() == expected
            await bench.mask(vector, True)
        assert not await bench.pending()


@cocotb.test()
async def function_mask_and_enable_hold_all_vectors(dut):
    bench = Bench(dut, random_stalls(0.3))
    await start(dut)
    await bench.fill(masked=False)
    masked = set(range(0, COUNT, 3))
    for vector in masked:
        await bench.mask(vector, True)
    for hold, release in (((0, 0), (1, 0)), ((1, 1), (1, 0)), ((0, 1), (1, 0))) * 3:
        dut.enable.value, dut.function_mask.value = hold
        await RisingEdge(dut.clk)
        raised = set(random.sample(range(COUNT), 12))
        await bench.raise_vectors(list(raised))
        assert not bench.take_messages()
        assert raised <= await bench.pending()
        dut.enable.value, dut.function_mask.value = release
        await RisingEdge(dut.clk)
        await bench.settle()
        assert sorted(bench.take_messages()) == sorted(bench.entries[v] for v in raised - masked)
        assert await bench.pending() <= masked


@cocotb.test()
async def no_interrupt_is_lost_while_masks_change(dut):
    """Raise and mask at random: each raise is followed by a message, at the end at the latest."""
    bench = Bench(dut, random_stalls(0.2))
    await start(dut)
    await bench.fill(masked=False)
    dut.enable.value = 1
    for _ in range(60):
        raised = [random.randrange(COUNT) for _ in range(8)]
        for vector in raised:
            bench.vectors.queue({"payload": vector})
        for _ in range(6):
            if random.random() < 0.3:
                dut.function_mask.value = random.getrandbits(1)
            await bench.mask(random.choice(raised), random.random() < 0.5)
        dut.function_mask.value = 0
        for vector in set(raised):
            await bench.mask(vector, False)
        await bench.settle()
        sent = bench.take_messages()
        for vector in set(raised):
            count = sent.count(bench.entries[vector])
            assert 1 <= count <= raised.count(vector), f"vector {vector}: {count} messages"
        assert not await bench.pending()


@cocotb.test()
async def registers_are_read_and_written_while_a_message_waits_for_ever(dut):
    bench = Bench(dut)
    await start(dut)
    await bench.fill(masked=False)
    dut.enable.value = 1
    await bench.settle()
    bench.sink.stalls = itertools.repeat(True)
    for vector in (3, 4):
        bench.vectors.queue({"payload": vector})
    for _ in range(20):
        await RisingEdge(dut.clk)
    assert bench.vectors.pending == 1, "the second vector waits behind the message of the first"
    offset = bench.offset(7, "data")
    for value in (0x12345678, 0x9ABCDEF0):
        await with_timeout(bench.registers.write(offset, value), 100, "ns")
        assert await with_timeout(bench.registers.read(offset), 100, "ns") == value
    await bench.mask(3, True)
    assert not bench.messages
    assert not int(dut.idle.value)
    bench.sink.stalls = None
    await bench.settle()
    assert bench.take_messages() == [bench.entries[3], bench.entries[4]]


@cocotb.test()
async def clear_masks_every_vector_and_forgets_what_is_pending(dut):
    bench = Bench(dut)
    await start(dut)
    for unmasked in range(0, COUNT, 5):
        await bench.fill(masked=True)
        dut.enable.value = 1
        await bench.raise_vectors(list(range(COUNT)))
        await bench.mask(unmasked, False)
        await RisingEdge(dut.clk)
        dut.clear.value = 1
        await RisingEdge(dut.clk)
        dut.clear.value = 0
        await bench.settle()
        bench.take_messages()
        assert await bench.pending() == set()
        for vector in range(COUNT):
            for name, wanted in (("address_low", 0), ("data", 0), ("vector_control", MsixVectorControl.MASK)):
                assert await bench.registers.read(bench.offset(vector, name)) == wanted
        await bench.raise_vectors([unmasked])
        assert bench.take_messages() == []
        assert await bench.pending() == {unmasked}


@cocotb.test()
async def message_follows_two_cycles_after_the_vector(dut):
    bench = Bench(dut)
    await start(dut)
    await bench.fill(masked=False)
    dut.enable.value = 1
    await bench.settle()
    cycle, taken, sent = 0, [], []
    for vector in range(4):
        bench.vectors.queue({"payload": vector})
    while len(sent) < 4:
        await RisingEdge(dut.clk)
        cycle += 1
        if int(dut.vectors_valid.value) and int(dut.vectors_ready.value):
            taken.append(cycle)
        if int(dut.messages_valid.value):
            sent.append(cycle)
    assert [after - before for before, after in zip(taken, sent, strict=True)] == [2] * 4


def test_msix():
    run_bench(MsixTable(CONFIG), "tb.pci.test_msix")
