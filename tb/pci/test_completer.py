"""The completer against a model: every kind of request, byte enables, cuts, refusals, order, latency."""

import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import Bar, bars
from ringwalker.pci.completer import NONPOSTED_REQUESTS, Completer
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
PULSES = ("unsupported", "unsupported_posted", "poisoned", "poisoned_posted")

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


@dataclass
class Expected:
    """What must become of a request: its accesses, of configuration space too, and its answer."""

    header: dict[str, Any]
    number: int
    accesses: list[dict[str, int]] = field(default_factory=list)
    config: list[dict[str, int]] = field(default_factory=list)
    status: CompletionStatus = CompletionStatus.SUCCESS
    data: list[int] = field(default_factory=list)
    """What the reads of it gave, as they are seen."""

    @property
    def posted(self) -> bool:
        return self.header["kind"] in POSTED

    def completions(self) -> list[tuple[dict[str, int], list[int]]]:
        """The answer, as headers and payloads."""
        header = self.header
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
        common |= {"completer_id": COMPLETER_ID, "status": self.status.value}
        if not self.data:
            more = {"has_data": 0, "length": 0, "byte_count": remaining, "lower_address": address & 0x7F}
            return [(common | more, [])]
        result, left = [], self.data
        while left:
            room = (CUT - (address & ~3) % CUT) // 4
            part, left = left[:room], left[room:]
            more = {
                "has_data": 1,
                "length": len(part),
                "byte_count": remaining,
                "lower_address": address & 0x7F,
            }
            result.append((common | more, part))
            remaining -= 4 * len(part) - address % 4
            address = (address & ~3) + 4 * len(part)
        return result


class Model:
    """What must come of the requests given to :meth:`request`, in their order."""

    def __init__(self):
        self.requests: list[Expected] = []
        self.counts: dict[str, int] = dict.fromkeys(PULSES, 0)

    def count(self, name: str, kind: RequestKind) -> None:
        self.counts[f"{name}_posted" if kind in POSTED else name] += 1

    def request(self, header: dict[str, Any], payload: list[int]) -> None:
        kind = header["kind"]
        place = self.find(header)
        expected = Expected(header, len(self.requests))
        self.requests.append(expected)
        is_config = kind in (Kind.CONFIG_READ_0, Kind.CONFIG_WRITE_0) and header["target_id"] & 7 == 0
        if kind is Kind.MESSAGE:
            return
        if header["poisoned"] and kind in (Kind.MEMORY_WRITE, Kind.IO_WRITE, Kind.CONFIG_WRITE_0):
            self.count("poisoned", kind)
            expected.status = CompletionStatus.UNSUPPORTED_REQUEST
        elif kind in (Kind.MEMORY_READ, Kind.MEMORY_WRITE, *IO) and place:
            expected.accesses = self.memory(header, payload, *place)
        elif is_config:
            write = kind is Kind.CONFIG_WRITE_0
            request = {
                "register": header["address"] >> 2 & 0x3FF,
                "write": int(write),
                "strobe": header["first_be"],
                "target_id": header["target_id"],
            }
            expected.config = [request | ({"data": payload[0]} if write else {})]
            expected.data = [] if write else [pattern(9, request["register"])]
        else:
            self.count("unsupported", kind)
            expected.status = CompletionStatus.UNSUPPORTED_REQUEST

    def find(self, header: dict[str, Any]) -> tuple[int, int] | None:
        """BAR and offset if the whole request lies in one."""
        bases = {IO_BAR.index: IO_BASE} if header["kind"] in IO else BASES
        for bar, base in bases.items():
            offset = header["address"] - base
            if offset >= 0 and offset + 4 * header["length"] <= SIZES[bar]:
                return bar, offset
        return None

    def memory(self, header: dict[str, Any], payload: list[int], bar: int, offset: int) -> list[Any]:
        accesses, count = [], header["length"]
        for n in range(count):
            last = header["last_be"] if n == count - 1 else 0xF
            strobe = header["first_be"] if n == 0 else last
            access = {"bar": bar, "offset": offset + 4 * n, "strobe": strobe}
            if header["kind"] in (Kind.MEMORY_READ, Kind.IO_READ):
                accesses.append(access | {"write": 0})
            elif strobe:
                accesses.append(access | {"write": 1, "data": payload[n]})
        return accesses


class Follower:
    """Compares accesses, as they are made, with what is expected: those of posted requests in order, those of
    others in order, and none of the latter before all posted ones of before."""

    def __init__(self, model: Model):
        self.memory = Registers()
        self.posted = self._queue(model, True)
        self.others = self._queue(model, False)
        self.overtaken = 0

    @staticmethod
    def _queue(model: Model, posted: bool) -> deque[tuple[Expected, str, dict[str, int]]]:
        return deque(
            (request, kind, access)
            for request in model.requests
            if request.posted == posted
            for kind, accesses in (("registers", request.accesses), ("config", request.config))
            for access in accesses
        )

    def see(self, port: str, got: dict[str, int]) -> None:
        """An access was made on ``port``."""
        queue = self.posted if port == "posted_registers" else self.others
        request, kind, access = queue.popleft()
        assert port.endswith(kind), f"{port}: {got}, not {access} of {kind}"
        assert {key: got[key] for key in access} == access, f"{got}, not {access}"
        if port == "posted_registers":
            self.overtaken += bool(self.others) and self.others[0][0].number < request.number
        else:
            late = self.posted and self.posted[0][0].number < request.number
            assert not late, f"{access} before {self.posted[0][2]}"
        if kind == "registers":
            if not got["write"]:
                request.data.append(self.memory.read(got))
            self.memory.apply(got)


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
        self.counts: dict[str, int] = dict.fromkeys(PULSES, 0)
        self.log: list[tuple[str, dict[str, int]]] = []
        self.requests = StreamSource(dut, "requests", random_stalls(stalls))
        self.completions = StreamSink(dut, "completions", random_stalls(stalls))
        self.targets = {
            name: RegisterTarget(dut, name, self.memory.read, random_stalls(stalls), self.seen(name))
            for name in ("posted_registers", "registers")
        }
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

    def begin(self) -> Model:
        """Forget all that was seen; what is to come."""
        self.log.clear()
        self.memory.values.clear()
        self.counts = dict.fromkeys(self.counts, 0)
        return Model()

    def seen(self, name: str):
        """Keeps the accesses of a port, in one order with those of others."""

        def see(request: dict[str, int]) -> None:
            self.log.append((name, request))
            self.memory.apply(request)

        return see

    def take_config(self, request: dict[str, int]) -> None:
        self.log.append(("config", request))
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


async def compare(bench: Bench, model: Model) -> Follower:
    """Take all completions, and compare everything with the model."""
    wanted = [request for request in model.requests if not request.posted]
    answers: dict[int, list[tuple[dict[str, int], list[int]]]] = {}
    for request in wanted:
        got = [await bench.completion()]
        while got[-1][0]["has_data"] and got[-1][0]["byte_count"] > 4 * got[-1][0]["length"]:
            got.append(await bench.completion())
        answers[request.number] = got
    await bench.settle()
    assert not bench.completions.received
    follower = Follower(model)
    for port, access in bench.log:
        follower.see(port, access)
    assert not follower.posted, f"{follower.posted[0]} was not made"
    assert not follower.others, f"{follower.others[0]} was not made"
    for request in wanted:
        expected = [(header | {"poisoned": 0}, payload) for header, payload in request.completions()]
        assert answers[request.number] == expected, request
    assert bench.counts == model.counts
    return follower


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


def header_of(kind: RequestKind, length: int = 1, offset: int = 0x3000, **more: int) -> dict[str, Any]:
    """A request that is carried out."""
    header = {**random_header(), "kind": kind, "poisoned": 0, "length": length, "target_id": 0}
    header |= {"first_be": 0xF, "last_be": 0xF if length > 1 else 0, "address": BASES[FACE_BAR] + offset}
    if kind in IO:
        header["address"] = IO_BASE
    return header | more


NONPOSTED = (
    header_of(Kind.CONFIG_READ_0),
    header_of(Kind.MEMORY_READ, 40),
    header_of(Kind.CONFIG_WRITE_0),
    header_of(Kind.IO_WRITE),
    header_of(Kind.MEMORY_READ),
    header_of(Kind.OTHER_NON_POSTED),
    header_of(Kind.IO_READ),
    header_of(Kind.MEMORY_READ, address=0),
    header_of(Kind.CONFIG_READ_1),
    header_of(Kind.CONFIG_WRITE_0, target_id=1),
    header_of(Kind.IO_WRITE, poisoned=1),
)


def nonposted(number: int) -> dict[str, Any]:
    """One of each kind, round and round."""
    return {**NONPOSTED[number % len(NONPOSTED)], "tag": number}


@cocotb.test()
async def posted_requests_are_carried_out_while_completions_are_blocked_for_ever(dut):
    bench = Bench(dut, 0.0)
    await start(dut)
    for first in range(len(NONPOSTED)):
        model = bench.begin()
        bench.completions.stalls = itertools.repeat(True)
        headers = [header_of(Kind.MEMORY_WRITE)]
        for n in range(NONPOSTED_REQUESTS):
            headers += [nonposted(first + n), header_of(Kind.MEMORY_WRITE, 2), header_of(Kind.MESSAGE)]
        # A posted request may also find the longest one in its way.
        headers += [header_of(Kind.MEMORY_WRITE, length) for length in (1, 2, 40)]
        for header in headers:
            payload = payload_of(header)
            model.request(header, payload)
            bench.queue(header, payload)
        for _ in range(1000):
            await RisingEdge(dut.clk)
        assert not bench.requests.pending, "everything was taken"
        made = [access for port, access in bench.log if port == "posted_registers"]
        assert len(made) == 1 + 2 * NONPOSTED_REQUESTS + 43, "every posted dword was written"
        assert not int(dut.idle.value)
        bench.completions.stalls = None
        follower = await compare(bench, model)
        assert follower.overtaken


@cocotb.test()
async def one_request_too_many_waits_and_is_not_lost(dut):
    bench, model = Bench(dut, 0.0), Model()
    bench.completions.stalls = itertools.repeat(True)
    await start(dut)
    headers = [nonposted(n) for n in range(NONPOSTED_REQUESTS + 1)] + [header_of(Kind.MEMORY_WRITE)]
    for header in headers:
        payload = payload_of(header)
        model.request(header, payload)
        bench.queue(header, payload)
    for _ in range(500):
        await RisingEdge(dut.clk)
    assert bench.requests.pending == 2
    bench.completions.stalls = None
    await compare(bench, model)


@cocotb.test()
async def a_request_comes_after_the_writes_before_it(dut):
    bench = Bench(dut, 0.0)
    await start(dut)
    for kind in (Kind.MEMORY_READ, Kind.IO_READ, Kind.IO_WRITE, Kind.CONFIG_READ_0, Kind.CONFIG_WRITE_0):
        model = bench.begin()
        bench.targets["posted_registers"].requests.stalls = itertools.repeat(True)
        for header in (header_of(Kind.MEMORY_WRITE, 3), header_of(kind)):
            payload = payload_of(header)
            model.request(header, payload)
            bench.queue(header, payload)
        for _ in range(100):
            await RisingEdge(dut.clk)
            assert not int(dut.registers_requests_valid.value)
            assert not int(dut.config_requests_valid.value)
        assert not bench.log
        bench.targets["posted_registers"].requests.stalls = None
        await compare(bench, model)


async def cycles_to(bench: Bench, header: dict[str, Any], offered: str) -> list[int]:
    """Cycles from the transfer of requests to when each is offered on a port, one request at a time."""
    dut, cycle, result = bench.dut, 0, []
    for _ in range(4):
        bench.queue(header, payload_of(header))
        taken = None
        while taken is None or not int(getattr(dut, offered).value):
            await RisingEdge(dut.clk)
            cycle += 1
            if int(dut.requests_valid.value) and int(dut.requests_ready.value):
                taken = cycle
        result.append(cycle - taken)
        await bench.settle()
    return result


@cocotb.test()
async def accesses_are_as_quick_as_promised(dut):
    bench = Bench(dut, 0.0)
    await start(dut)
    for header, offered, cycles in (
        (header_of(Kind.MEMORY_WRITE), "posted_registers_requests_valid", 2),
        (header_of(Kind.MEMORY_READ), "registers_requests_valid", 3),
        (header_of(Kind.IO_READ), "registers_requests_valid", 3),
        (header_of(Kind.CONFIG_READ_0), "config_requests_valid", 2),
        (header_of(Kind.CONFIG_WRITE_0), "config_requests_valid", 2),
    ):
        assert await cycles_to(bench, header, offered) == [cycles] * 4, header["kind"]


@cocotb.test()
async def dwords_of_a_write_follow_each_other(dut):
    bench = Bench(dut, 0.0)
    cycle, taken, offered = 0, [], []
    await start(dut)
    for _ in range(4):
        bench.queue(header_of(Kind.MEMORY_WRITE, 2), [1, 2])
    while len(offered) < 8:
        await RisingEdge(dut.clk)
        cycle += 1
        if int(dut.requests_valid.value) and int(dut.requests_ready.value):
            taken.append(cycle)
        if int(dut.posted_registers_requests_valid.value):
            offered.append(cycle)
    for n, start_cycle in enumerate(taken[:4]):
        assert offered[2 * n] - start_cycle == 2
        assert offered[2 * n + 1] - start_cycle == 3


WIDTHS = [
    64,
    pytest.param(128, marks=pytest.mark.campaign),
    *(pytest.param(width, marks=pytest.mark.slow) for width in (256, 512)),
]


@pytest.mark.parametrize("data_width", WIDTHS)
def test_completer(data_width):
    run_bench(
        Completer(DeviceConfig(data_width=data_width), BARS),
        "tb.pci.test_completer",
        parameters={"data_width": data_width, "requests": 800},
    )
