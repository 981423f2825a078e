"""The completer against a model: every kind of request, byte enables, cuts, refusals, latency."""

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import Bar, bars
from ringwalker.pci.completer import Completer
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR
from ringwalker.spec.tlp import CompletionStatus, RequestKind
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.register_target import RegisterTarget

CONFIG = DeviceConfig()
BASES = {MSIX_BAR: 0xE000_0000, FACE_BAR: 0x1_2340_0000}
IO_BAR = Bar(0, 32, io=True)
IO_BASE = 0xC020
BARS = (IO_BAR, *bars(CONFIG))
SIZES = {bar.index: bar.size for bar in BARS}
COMPLETER_ID = 0x0300
CUT = 64

Kind = RequestKind
READS = (Kind.MEMORY_READ, Kind.IO_READ, Kind.CONFIG_READ_0, Kind.CONFIG_READ_1)
POSTED = (Kind.MEMORY_WRITE, Kind.MESSAGE)
IO = (Kind.IO_READ, Kind.IO_WRITE)


def pattern(bar: int, offset: int) -> int:
    """What a register holds that was never written."""
    return (offset * 0x9E3779B1 + bar) & 0xFFFFFFFF


def lanes(strobe: int) -> int:
    return sum(0xFF << 8 * n for n in range(4) if strobe >> n & 1)


class Registers:
    """A memory behind a register port."""

    def __init__(self):
        self.values: dict[tuple[int, int], int] = {}

    def read(self, request: dict[str, int]) -> int:
        key = (request["bar"], request["offset"])
        return self.values.get(key, pattern(*key))

    def apply(self, request: dict[str, int]) -> None:
        if request["write"]:
            mask = lanes(request["strobe"])
            key = (request["bar"], request["offset"])
            self.values[key] = self.read(request) & ~mask | request["data"] & mask


class Model:
    """What must come out of the completer for the requests given to :meth:`request`."""

    def __init__(self):
        self.registers = Registers()
        self.accesses: list[dict[str, int]] = []
        self.config: list[dict[str, int]] = []
        self.completions: list[tuple[dict[str, int], list[int]]] = []
        self.refused = [0, 0]
        self.poisoned = 0

    def request(self, header: dict[str, Any], payload: list[int]) -> None:
        kind = header["kind"]
        place = self.find(header)
        is_config = kind in (Kind.CONFIG_READ_0, Kind.CONFIG_WRITE_0) and header["target_id"] & 7 == 0
        if kind is Kind.MESSAGE:
            return
        if header["poisoned"] and kind in (
            Kind.MEMORY_WRITE,
            Kind.IO_WRITE,
            Kind.CONFIG_WRITE_0,
        ):
            self.poisoned += 1
            self.answer(header, CompletionStatus.UNSUPPORTED_REQUEST)
        elif kind in (Kind.MEMORY_READ, Kind.MEMORY_WRITE, *IO) and place:
            self.memory(header, payload, *place)
        elif is_config:
            write = kind is Kind.CONFIG_WRITE_0
            request = {
                "register": header["address"] >> 2 & 0x3FF,
                "write": int(write),
                "strobe": header["first_be"],
                "target_id": header["target_id"],
            }
            self.config.append(request | ({"data": payload[0]} if write else {}))
            data = [] if write else [pattern(9, request["register"])]
            self.answer(header, CompletionStatus.SUCCESS, data)
        else:
            self.refused[kind in POSTED] += 1
            self.answer(header, CompletionStatus.UNSUPPORTED_REQUEST)

    def find(self, header: dict[str, Any]) -> tuple[int, int] | None:
        """BAR and offset if the whole request lies in one."""
        bases = {IO_BAR.index: IO_BASE} if header["kind"] in IO else BASES
        for bar, base in bases.items():
            offset = header["address"] - base
            if offset >= 0 and offset + 4 * header["length"] <= SIZES[bar]:
                return bar, offset
        return None

    def memory(self, header: dict[str, Any], payload: list[int], bar: int, offset: int) -> None:
        data, count = [], header["length"]
        for n in range(count):
            last = header["last_be"] if n == count - 1 else 0xF
            strobe = header["first_be"] if n == 0 else last
            access = {"bar": bar, "offset": offset + 4 * n, "strobe": strobe}
            if header["kind"] in (Kind.MEMORY_READ, Kind.IO_READ):
                access["write"] = 0
                data.append(self.registers.read(access))
                self.accesses.append(access)
            elif strobe:
                access |= {"write": 1, "data": payload[n]}
                self.registers.apply(access)
                self.accesses.append(access)
        self.answer(header, CompletionStatus.SUCCESS, data)

    def answer(self, header: dict[str, Any], status: CompletionStatus, data: list[int] | None = None) -> None:
        if header["kind"] in POSTED:
            return
        remaining, address = 4, 0
        if header["kind"] is Kind.MEMORY_READ:
            enabled = [
                4 * n + byte
                for n, be in ((0, header["first_be"]), (header["length"] - 1, header["last_be"]))
                for byte in range(4)
                if be >> byte & 1
            ]
            low, high = (min(enabled), max(enabled)) if enabled else (0, 0)
            remaining, address = high - low + 1, header["address"] + low
        common = {key: header[key] for key in ("requester_id", "tag", "traffic_class", "attributes")}
        common |= {"completer_id": COMPLETER_ID, "status": status.value}
        if not data:
            more = {"has_data": 0, "length": 0, "byte_count": remaining, "lower_address": address & 0x7F}
            self.completions.append((common | more, []))
            return
        left = data
        while left:
            room = (CUT - (address & ~3) % CUT) // 4
            part, left = left[:room], left[room:]
            more = {
                "has_data": 1,
                "length": len(part),
                "byte_count": remaining,
                "lower_address": address & 0x7F,
            }
            self.completions.append((common | more, part))
            remaining -= 4 * len(part) - address % 4
            address = (address & ~3) + 4 * len(part)


def beats(header: dict[str, Any], payload: list[int], slots: int) -> list[dict[str, int]]:
    """The request as beats of the stream."""
    fields = {f"header_{key}": value for key, value in header.items()}
    fields["header_kind"] = header["kind"].value
    result = []
    for n in range(0, max(1, len(payload)), slots):
        part = payload[n : n + slots]
        data = sum(dword << 32 * k for k, dword in enumerate(part))
        last = n + slots >= len(payload)
        frame = {"data": data, "dwords": (1 << len(part)) - 1, "first": n == 0, "last": last}
        result.append({**fields, **{key: int(value) for key, value in frame.items()}})
    return result


def random_header() -> dict[str, Any]:
    kind = random.choice(
        [Kind.MEMORY_READ] * 6
        + [Kind.MEMORY_WRITE] * 6
        + [Kind.CONFIG_READ_0, Kind.CONFIG_WRITE_0] * 2
        + [*IO, *Kind]
    )
    length, address, target = 1, random.getrandbits(10) << 2, 0
    if kind in (Kind.MEMORY_READ, Kind.MEMORY_WRITE):
        length = random.choice([1, 1, 1, 2, 2, 3, random.randrange(1, 40), random.randrange(1, 257)])
        bar = random.choice([MSIX_BAR, FACE_BAR, FACE_BAR])
        highest = SIZES[bar] - 4 * length
        offset = random.choice([random.randrange(0, max(4, highest), 4), max(0, highest), highest + 4, 0])
        address = (BASES[bar] + offset) & (2**64 - 1)
        if random.random() < 0.1:
            address ^= random.choice([1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 63])
    elif kind in (Kind.CONFIG_READ_0, Kind.CONFIG_WRITE_0):
        target = random.getrandbits(16) & ~7 | (random.random() < 0.1)
    elif kind in IO:
        memory = random.choice(list(BASES.values())) & 0xFFFFFFFF
        inside = IO_BASE + random.randrange(0, IO_BAR.size, 4)
        address = random.choice([inside, inside, IO_BASE - 4, IO_BASE + IO_BAR.size, memory])
    first, last = random.randrange(16), 0
    if length > 1:
        # From the second dword on, enabled bytes join up; two dwords may have holes.
        first = random.randrange(1, 16) if length == 2 else random.choice([0b1111, 0b1110, 0b1100, 0b1000])
        last = random.randrange(1, 16) if length == 2 else random.choice([0b1111, 0b0111, 0b0011, 0b0001])
    return {
        "kind": kind,
        "address": address,
        "length": length,
        "first_be": first,
        "last_be": last,
        "requester_id": random.getrandbits(16),
        "target_id": target,
        "tag": random.getrandbits(8),
        "traffic_class": random.randrange(8),
        "attributes": random.randrange(8),
        "poisoned": int(random.random() < 0.05),
    }


class Bench:
    """The completer with registers and configuration space behind it."""

    def __init__(self, dut, stalls: float):
        self.dut = dut
        self.slots = parameters()["data_width"] // 32
        self.memory = Registers()
        self.counts = {"unsupported": 0, "unsupported_posted": 0, "poisoned": 0}
        self.config_log: list[dict[str, int]] = []
        self.requests = StreamSource(dut, "requests", random_stalls(stalls))
        self.completions = StreamSink(dut, "completions", random_stalls(stalls))
        self.registers = RegisterTarget(
            dut, "registers", self.memory.read, random_stalls(stalls), self.memory.apply
        )
        self.config_responses = StreamSource(dut, "config_responses", random_stalls(stalls))
        self.config_requests = StreamSink(
            dut, "config_requests", random_stalls(stalls), callback=self.take_config
        )
        for name in (handle._name for handle in dut):
            if name.startswith("state_"):
                getattr(dut, name).value = 0
        dut.state_memory_enable.value = 1
        dut.state_io_enable.value = 1
        dut.state_requester_id.value = COMPLETER_ID
        dut.state_bar0.value = IO_BASE
        dut.state_bar1.value = BASES[MSIX_BAR]
        dut.state_bar4.value = BASES[FACE_BAR] & 0xFFFFFFFF
        dut.state_bar5.value = BASES[FACE_BAR] >> 32
        cocotb.start_soon(self.count_pulses())

    def take_config(self, request: dict[str, int]) -> None:
        self.config_log.append(request)
        self.config_responses.queue({"data": 0 if request["write"] else pattern(9, request["register"])})

    async def count_pulses(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if not int(self.dut.rst.value):
                for name in self.counts:
                    self.counts[name] += int(getattr(self.dut, name).value)

    def queue(self, header: dict[str, Any], payload: list[int]) -> None:
        for beat in beats(header, payload, self.slots):
            self.requests.queue(beat)

    async def completion(self) -> tuple[dict[str, int], list[int]]:
        """Header and payload of the next completion."""
        packet = await self.completions.receive_packet()
        payload = []
        for n, beat in enumerate(packet):
            count = beat["dwords"].bit_count()
            assert beat["dwords"] == (1 << count) - 1
            assert count == self.slots or n == len(packet) - 1
            payload += [beat["data"] >> 32 * k & 0xFFFFFFFF for k in range(count)]
        headers = [{k[7:]: v for k, v in beat.items() if k.startswith("header_")} for beat in packet]
        assert all(header == headers[0] for header in headers)
        return headers[0], payload

    async def settle(self) -> None:
        await self.requests.drained()
        quiet = 0
        while quiet < 20:
            await RisingEdge(self.dut.clk)
            quiet = quiet + 1 if int(self.dut.idle.value) else 0


def payload_of(header: dict[str, Any]) -> list[int]:
    kind = header["kind"]
    if kind in READS or kind is Kind.OTHER_NON_POSTED:
        return []
    length = random.choice([0, 1, 5]) if kind is Kind.MESSAGE else header["length"]
    return [random.getrandbits(32) for _ in range(length)]


async def compare(bench: Bench, model: Model) -> None:
    """Take all completions, and compare everything with the model."""
    for n, (header, payload) in enumerate(model.completions):
        got_header, got_payload = await bench.completion()
        assert got_header == {**header, "poisoned": 0}, f"completion {n}: {got_header}, not {header}"
        assert got_payload == payload, f"completion {n}"
    await bench.settle()
    assert not bench.completions.received
    assert len(bench.registers.log) == len(model.accesses)
    for n, (got, expected) in enumerate(zip(bench.registers.log, model.accesses, strict=True)):
        assert {key: got[key] for key in expected} == expected, f"access {n}: {got}, not {expected}"
    assert len(bench.config_log) == len(model.config)
    for got, expected in zip(bench.config_log, model.config, strict=True):
        assert {key: got[key] for key in expected} == expected
    assert bench.counts["unsupported"] == sum(model.refused)
    assert bench.counts["unsupported_posted"] == model.refused[True]
    assert bench.counts["poisoned"] == model.poisoned
    assert bench.memory.values == model.registers.values


@cocotb.test()
async def random_requests_match_the_model(dut):
    bench, model = Bench(dut, 0.3), Model()
    await start(dut)
    for _ in range(parameters()["requests"]):
        header = random_header()
        payload = payload_of(header)
        model.request(header, payload)
        bench.queue(header, payload)
    await compare(bench, model)


@cocotb.test()
async def longest_requests_without_stalls(dut):
    bench, model = Bench(dut, 0.0), Model()
    await start(dut)
    for kind in (Kind.MEMORY_WRITE, Kind.MEMORY_READ):
        for offset in (0, SIZES[FACE_BAR] - 4096, 0x1038):
            header = {**random_header(), "kind": kind, "poisoned": 0, "length": 1024}
            header |= {"first_be": 0xF, "last_be": 0xF, "address": BASES[FACE_BAR] + offset}
            payload = payload_of(header)
            model.request(header, payload)
            bench.queue(header, payload)
    await compare(bench, model)


@cocotb.test()
async def disabled_memory_is_not_there(dut):
    bench, model = Bench(dut, 0.0), Model()
    dut.state_memory_enable.value = 0
    model.find = lambda header: None
    await start(dut)
    for kind in (Kind.MEMORY_READ, Kind.MEMORY_WRITE):
        header = {**random_header(), "kind": kind, "poisoned": 0, "length": 1, "last_be": 0}
        header["address"] = BASES[MSIX_BAR]
        model.request(header, [1])
        bench.queue(header, payload_of(header))
    await compare(bench, model)


@cocotb.test()
async def doorbell_is_offered_within_three_cycles(dut):
    bench = Bench(dut, 0.0)
    cycle, taken, offered = 0, [], []
    await start(dut)
    header = {**random_header(), "kind": Kind.MEMORY_WRITE, "poisoned": 0, "length": 2}
    header |= {"first_be": 0xF, "last_be": 0xF, "address": BASES[FACE_BAR] + 0x3000}
    for _ in range(4):
        bench.queue(header, [1, 2])
    while len(offered) < 8:
        await RisingEdge(dut.clk)
        cycle += 1
        if int(dut.requests_valid.value) and int(dut.requests_ready.value):
            taken.append(cycle)
        if int(dut.registers_requests_valid.value):
            offered.append(cycle)
    dut._log.info(f"taken in cycles {taken}, offered in {offered}")
    for n, start_cycle in enumerate(taken[:4]):
        assert offered[2 * n] - start_cycle <= 3
        assert offered[2 * n + 1] - start_cycle <= 5


WIDTHS = [64, 256, pytest.param(128, marks=pytest.mark.slow), pytest.param(512, marks=pytest.mark.slow)]


@pytest.mark.parametrize("data_width", WIDTHS)
def test_completer(data_width):
    run_bench(
        Completer(DeviceConfig(data_width=data_width), BARS),
        "tb.pci.test_completer",
        parameters={"data_width": data_width, "requests": 800},
    )
