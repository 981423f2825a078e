"""Register routing: each access reaches its owner, and each response the one who asked."""

import random
from collections import Counter

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.transport.face import Window, check_windows
from ringwalker.transport.register_router import RegisterArbiter, RegisterRouter
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.register_target import RegisterTarget

WINDOWS = (
    Window("common", 4, 0x0000, 0x40),
    Window("isr", 4, 0x1000, 1),
    Window("device", 4, 0x2004, 0x24),
    Window("table", 1, 0x0000, 0x1000),
)

INITIATORS = 3


def owner(bar: int, offset: int):
    """Name and base of the window of an offset, else of the port for the rest, or None."""
    for window in WINDOWS:
        if bar == window.bar and window.base <= offset < window.base + window.size:
            return window.name, window.base
    return (rest, 0) if (rest := parameters().get("rest")) else None


def random_access() -> dict[str, int]:
    window = random.choice(WINDOWS)
    bar, base, size = window.bar, window.base, window.size
    inside = base + random.randrange(0, size, 4)
    edges = [base, base + ((size - 1) & ~3), (base - 4) % 0x1000000, base + ((size + 3) & ~3)]
    return {
        "bar": random.choice([bar, bar, bar, bar, 0, 1, 4]),
        "offset": random.choice([inside, inside, *edges]),
        "write": random.getrandbits(1),
        "strobe": random.randrange(16),
        "data": random.getrandbits(32),
    }


def answer(name: str):
    """What a read of a window gives: its name and the offset."""
    return lambda request: (len(name) << 24) + request["offset"]


@cocotb.test()
async def router_passes_each_access_to_its_owner(dut):
    stalls = parameters()["stalls"]
    names = [*(window.name for window in WINDOWS), *filter(None, [parameters().get("rest")])]
    expected: dict[str, list] = {name: [] for name in names}
    requests = StreamSource(dut, "i_requests", random_stalls(stalls))
    responses = StreamSink(dut, "i_responses", random_stalls(stalls))
    targets = {name: RegisterTarget(dut, name, answer(name), random_stalls(stalls)) for name in expected}
    await start(dut)
    replies = []
    for _ in range(1000):
        access = random_access()
        requests.queue(access)
        found = owner(access["bar"], access["offset"])
        reply = 0
        if found:
            name, base = found
            local = {**access, "offset": access["offset"] - base}
            expected[name].append(local)
            reply = answer(name)(local)
        if not access["write"]:
            replies.append(reply)
    for n, reply in enumerate(replies):
        got = await responses.receive()
        assert got["data"] == reply, f"response {n}: {got['data']:#x}, not {reply:#x}"
    await requests.drained()
    for _ in range(20):
        await RisingEdge(dut.clk)
    assert {name: target.log for name, target in targets.items()} == expected
    assert int(dut.idle.value)


@cocotb.test()
async def arbiter_returns_responses_to_the_asker(dut):
    stalls = parameters()["stalls"]
    names = range(INITIATORS)
    requests = [StreamSource(dut, f"i{n}_requests", random_stalls(stalls)) for n in names]
    responses = [StreamSink(dut, f"i{n}_responses", random_stalls(stalls)) for n in names]
    target = RegisterTarget(dut, "o", lambda request: request["offset"] ^ 0x5A5A5A, random_stalls(stalls))
    await start(dut)
    sent: list[list[dict[str, int]]] = [[] for _ in names]
    for name in names:
        for n in range(400):
            # The top bits of the offset say who sent it.
            access = {
                "offset": name << 22 | n << 2,
                "write": random.getrandbits(1),
                "strobe": random.randrange(16),
                "data": random.getrandbits(32),
                "bar": random.randrange(6),
            }
            sent[name].append(access)
            requests[name].queue(access)
    for name in names:
        for access in sent[name]:
            if not access["write"]:
                assert (await responses[name].receive())["data"] == access["offset"] ^ 0x5A5A5A
        await requests[name].drained()
    for _ in range(20):
        await RisingEdge(dut.clk)
    for name in names:
        assert [access for access in target.log if access["offset"] >> 22 == name] == sent[name]
    early = Counter(access["offset"] >> 22 for access in target.log[: 200 * INITIATORS])
    assert min(early[name] for name in names) > 100, "all initiators make progress"
    assert int(dut.idle.value)


@pytest.mark.parametrize("rest", [None, "others"])
@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_router(stalls, rest):
    run_bench(
        RegisterRouter(WINDOWS, rest),
        "tb.transport.test_register_router",
        parameters={"stalls": stalls, "rest": rest},
        tests="router_",
    )


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_arbiter(stalls):
    run_bench(
        RegisterArbiter(INITIATORS),
        "tb.transport.test_register_router",
        parameters={"stalls": stalls},
        tests="arbiter_",
    )


@pytest.mark.parametrize(
    "windows",
    [
        [("a", 0, 0, 8), ("a", 1, 0, 8)],
        [("a", 0, 0, 8), ("b", 0, 4, 8)],
        [("i", 0, 0, 8)],
        [("a", 7, 0, 8)],
        [("a", 0, 2, 8)],
        [("a", 0, 0, 0)],
    ],
)
def test_bad_windows_are_refused(windows):
    with pytest.raises(ValueError, match="windows"):
        check_windows(tuple(Window(*window) for window in windows))


def test_the_rest_needs_a_name_of_its_own():
    with pytest.raises(ValueError, match="windows: the name 'common'"):
        check_windows(WINDOWS, "common")
