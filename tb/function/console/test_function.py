# amaranth: UnusedElaboratable=no
"""The console between a driver's chains and a terminal: both directions, stalls, halts, configuration."""

import itertools
import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.function.console.function import EMERGENCY_BYTES, RECEIVE_BYTES, ConsoleFunction
from ringwalker.function.console.settings import ConsoleSettings
from ringwalker.function.kind import function_kind
from ringwalker.spec.console import CONSOLE_CONFIG, ConsoleFeature
from ringwalker.spec.modern import DEVICE_BASE
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.chains import ChainAnswer, ChainInitiator
from ringwalker_sim.testing.registers import RegisterInitiator

COLS, ROWS, IDLE_CYCLES = 100, 40, 24


class Bench:
    """The function between its chains and a terminal; ``screen`` is what the terminal was sent."""

    def __init__(self, dut, stall: float = 0.0):
        self.dut = dut
        self.receive, self.transmit = (
            ChainInitiator(dut, name, lambda: random_stalls(stall)) for name in ("receive", "transmit")
        )
        self.screen = bytearray()
        self.hold = False
        pace = random_stalls(stall)
        self.tx = StreamSink(
            dut,
            "uart_tx",
            (self.hold or next(pace) for _ in itertools.count()),
            lambda item: self.screen.append(item["payload"]),
        )
        self.keys = StreamSource(dut, "uart_rx", random_stalls(stall))
        self.registers = RegisterInitiator(dut, "registers", CONSOLE_CONFIG, base=DEVICE_BASE)
        self.changes = 0
        dut.cols.value, dut.rows.value = COLS, ROWS

    async def start(self) -> None:
        await start(self.dut)
        cocotb.start_soon(self._count())

    async def _count(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.changes += int(self.dut.config_change.value)

    def type(self, content: bytes) -> None:
        for byte in content:
            self.keys.queue({"payload": byte})

    async def sent(self, length: int) -> None:
        for _ in range(20_000):
            if len(self.screen) >= length:
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError(f"{len(self.screen)} bytes of {length} reached the terminal")


@cocotb.test()
async def bytes_both_ways_with_stalls(dut):
    bench = Bench(dut, parameters()["stall"])
    await bench.start()
    typed = random.randbytes(1500)
    bench.type(typed)
    shown = b""
    for _ in range(60):
        content = random.randbytes(random.choice([0, 1, 2, 7, 8, 9, 31, 32, 33, 64, 100]))
        bench.transmit.submit(content, random.choice([0, 0, 5]))
        shown += content
    rooms, got = [], b""
    while len(got) < len(typed):
        rooms.append(random.choice([0, 1, 2, 7, 8, 9, 16, 33, 100]))
        bench.receive.submit(random.randbytes(random.choice([0, 0, 0, 3, 40])), rooms[-1])
        answer = await bench.receive.answer()
        assert answer.written == len(answer.content) <= rooms[-1]
        assert answer.content or rooms[-1] == 0, "not given back empty"
        got += answer.content
    assert got == typed
    for _ in range(60):
        assert await bench.transmit.answer() == ChainAnswer(b"", 0, 1)
    await bench.sent(len(shown))
    await ClockCycles(dut.clk, 50)
    assert bytes(bench.screen) == shown
    assert bench.receive.idle
    assert bench.transmit.idle
    assert not int(dut.active.value)


@cocotb.test()
async def one_byte_a_cycle(dut):
    bench = Bench(dut)
    await bench.start()
    bench.transmit.submit(random.randbytes(1000))
    cycles = 0
    while len(bench.screen) < 1000:
        await RisingEdge(dut.clk)
        cycles += 1
    assert cycles < 1020
    bench.receive.submit(writable=1000)
    bench.type(bytes(1000))
    cycles, answer = 0, cocotb.start_soon(bench.receive.answer())
    while not answer.done():
        await RisingEdge(dut.clk)
        cycles += 1
    assert cycles < 1000 * (bench.transmit.beat_bytes + 1) / bench.transmit.beat_bytes + 30


@cocotb.test()
async def a_buffer_comes_back_when_no_more_bytes_do(dut):
    bench = Bench(dut)
    await bench.start()
    bench.receive.submit(writable=9)
    await ClockCycles(dut.clk, 3 * IDLE_CYCLES)
    assert bench.receive.chains.pending == 1, "not taken before there is a byte"
    bench.type(b"123456789")
    assert await bench.receive.answer() == ChainAnswer(b"123456789", 9, -(-9 // bench.receive.beat_bytes))
    full = bench.receive.beat_bytes
    for count in (1, full - 1, full, full + 1):
        bench.receive.submit(writable=4 * full)
        content = random.randbytes(count)
        bench.type(content)
        await bench.keys.drained()
        await ClockCycles(dut.clk, IDLE_CYCLES - 2)
        assert not any(item["done"] for item in bench.receive.replies.received)
        assert int(dut.active.value), "time runs"
        await ClockCycles(dut.clk, 16)
        answer = await bench.receive.answer()
        assert (answer.content, answer.written) == (content, count)
    # Bytes that come slowly, but not too slowly, share one.
    bench.receive.submit(writable=100)
    for byte in b"slowly":
        bench.type(bytes([byte]))
        await ClockCycles(dut.clk, IDLE_CYCLES - 4)
    assert (await bench.receive.answer()).content == b"slowly"


@cocotb.test()
async def the_terminal_waits_for_buffers(dut):
    bench = Bench(dut)
    await bench.start()
    typed = random.randbytes(RECEIVE_BYTES + 20)
    bench.type(typed)
    await ClockCycles(dut.clk, 200)
    assert bench.keys.pending == 20
    assert bench.receive.idle
    assert not int(dut.active.value), "nothing moves before the driver has buffers"
    bench.receive.submit(writable=1000)
    assert (await bench.receive.answer()).content == typed


@cocotb.test()
async def bytes_with_an_error_are_not_sent(dut):
    bench = Bench(dut, parameters()["stall"])
    await bench.start()
    size = bench.transmit.beat_bytes
    shown = b""
    for error_at in (None, 0, 1, 3, None, 4):
        content = random.randbytes(5 * size - 3)
        bench.transmit.submit(content, error_at=error_at)
        shown += content if error_at is None else content[: error_at * size]
    for _ in range(6):
        assert await bench.transmit.answer() == ChainAnswer(b"", 0, 1)
    await bench.sent(len(shown))
    await ClockCycles(dut.clk, 50)
    assert bytes(bench.screen) == shown


@cocotb.test()
async def a_halt_ends_chains_of_a_terminal_that_takes_nothing(dut):
    bench = Bench(dut)
    await bench.start()
    content = bytes(range(1, 101))
    bench.hold = True
    bench.transmit.submit(content)
    bench.transmit.submit(content)
    await ClockCycles(dut.clk, 100)
    assert not bench.transmit.idle
    assert not bench.transmit.replies.received
    bench.transmit.halt(True)
    for _ in range(2):
        assert await bench.transmit.answer() == ChainAnswer(b"", 0, 1)
    await ClockCycles(dut.clk, 5)
    assert bench.transmit.idle
    bench.transmit.halt(False)
    bench.hold = False
    bench.transmit.submit(b"after")
    assert await bench.transmit.answer() == ChainAnswer(b"", 0, 1)
    await ClockCycles(dut.clk, 20)
    held = len(bench.screen) - len(b"after")
    assert bytes(bench.screen) == content[:held] + b"after"
    assert 1 <= held <= 2, "only what was already offered"


@cocotb.test()
async def a_halt_gives_buffers_back(dut):
    bench = Bench(dut)
    await bench.start()
    for _ in range(3):
        bench.receive.submit(writable=50)
    bench.type(b"abc")
    await ClockCycles(dut.clk, 10)
    assert not bench.receive.idle
    bench.receive.halt(True)
    bench.type(b"def")
    await ClockCycles(dut.clk, 14)
    assert bench.receive.idle, "it does not wait for more bytes"
    assert await bench.receive.answer() == ChainAnswer(b"abc", 3, 1)
    for _ in range(2):
        assert await bench.receive.answer() == ChainAnswer(b"", 0, 1)
    await ClockCycles(dut.clk, 50)
    assert bench.receive.idle
    # The other direction goes on, and what was typed meanwhile waits.
    bench.transmit.submit(b"still here")
    assert await bench.transmit.answer() == ChainAnswer(b"", 0, 1)
    await bench.sent(len(b"still here"))
    bench.receive.halt(False)
    bench.receive.submit(writable=50)
    assert (await bench.receive.answer()).content == b"def"


@cocotb.test()
async def the_size_changes_as_one(dut):
    bench = Bench(dut)
    await bench.start()
    await ClockCycles(dut.clk, 5)
    assert (await bench.registers.get("cols"), await bench.registers.get("rows")) == (COLS, ROWS)
    assert bench.changes == int(dut.generation.value) == 0
    for number, (cols, rows) in enumerate(((200, 50), (201, 50), (201, 51), (1, 0xFFFF)), 1):
        dut.cols.value, dut.rows.value = cols, rows
        await ClockCycles(dut.clk, 4)
        assert await bench.registers.read(0) == rows << 16 | cols
        assert bench.changes == int(dut.generation.value) == number
    for offset in range(0, CONSOLE_CONFIG.size, 4):
        await bench.registers.write(offset, 0xFFFF_FFFF, 0b1110)
    assert await bench.registers.read(0) == 0xFFFF << 16 | 1
    assert await bench.registers.get("max_nr_ports") == await bench.registers.get("emerg_wr") == 0
    await ClockCycles(dut.clk, 20)
    assert not bench.screen, "byte 0 was not written"


@cocotb.test()
async def an_emergency_write_goes_first_and_never_blocks(dut):
    bench = Bench(dut)
    await bench.start()
    await bench.registers.set("emerg_wr", 0x1234_5621)
    await bench.sent(1)
    assert bytes(bench.screen) == b"!"
    bench.hold = True
    bench.transmit.submit(b"abcdefgh")
    await ClockCycles(dut.clk, 10)
    for n in range(EMERGENCY_BYTES + 5):
        await bench.registers.set("emerg_wr", ord("A") + n)
    assert await bench.registers.get("rows") == ROWS
    bench.hold = False
    await bench.sent(1 + 8 + EMERGENCY_BYTES)
    await ClockCycles(dut.clk, 20)
    kept = bytes(range(ord("A"), ord("A") + EMERGENCY_BYTES))
    assert bytes(bench.screen) == b"!a" + kept + b"bcdefgh"


@pytest.mark.parametrize(("data_width", "stall"), [(64, 0.4), pytest.param(256, 0.0, marks=pytest.mark.slow)])
def test_console(data_width, stall):
    settings = ConsoleSettings(cols=COLS, rows=ROWS, idle_cycles=IDLE_CYCLES)
    config = DeviceConfig(function="console", data_width=data_width, settings=settings)
    run_bench(
        ConsoleFunction(config),
        "tb.function.console.test_function",
        parameters={"data_width": data_width, "stall": stall},
    )


def test_features_and_lanes():
    config, kind = DeviceConfig(function="console"), function_kind("console")
    assert kind.features(config) == 1 << ConsoleFeature.SIZE | 1 << ConsoleFeature.EMERG_WRITE
    assert kind.lanes(config) == {"receive": (0,), "transmit": (1,)}
