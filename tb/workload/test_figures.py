"""Figures of traffic: percentiles, the first difference, and the summary of a direction."""

from types import SimpleNamespace
from typing import Any

import pytest

from ringwalker_sim.workload.figures import (
    Traffic,
    difference,
    packets,
    percentiles,
    result_of_traffic,
    summary,
)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles(list(range(1, 101))) == {"p50": 50, "p99": 99, "max": 100}
    assert percentiles([7]) == {"p50": 7, "p99": 7, "max": 7}
    assert percentiles([3, 1, 2]) == {"p50": 2, "p99": 3, "max": 3}


def test_nothing_has_no_latency() -> None:
    assert percentiles([]) == {"p50": 0, "p99": 0, "max": 0}


@pytest.mark.parametrize(
    ("got", "wanted", "message"),
    [
        (b"abc", b"abc", None),
        (b"ab", b"abc", "2 bytes came, it must be 3"),
        (b"a\0c", b"abc", "byte 1 is 0x00, it must be 0x62"),
    ],
)
def test_the_first_difference_is_said(got: bytes, wanted: bytes, message: str | None) -> None:
    assert difference(got, wanted) == message


def test_all_errors_count_and_the_first_five_are_kept() -> None:
    traffic = Traffic("out", "frames")
    for number in range(7):
        traffic.complain(f"number {number}", 2)
    assert traffic.errors == 14
    assert traffic.messages == [f"out: number {number}" for number in range(5)]


def test_rates_are_those_of_the_clock() -> None:
    traffic = Traffic("out", "frames", sent=10, received=10, bytes=1000, first_cycle=100, last_cycle=350)
    figures = summary(traffic, clock_mhz=250)
    assert figures["cycles"] == 250
    assert figures["per_second"] == pytest.approx(10e6)
    assert figures["bits_per_second"] == pytest.approx(8e9)


def test_traffic_that_never_began_took_no_time() -> None:
    figures = summary(Traffic("out", "frames", last_cycle=50), clock_mhz=250)
    assert (figures["cycles"], figures["per_second"]) == (0, 0.0)


def test_a_result_sums_directions_and_machines() -> None:
    def machine(now: int, **tlps: int) -> Any:
        return SimpleNamespace(now=lambda: now, tlps=lambda: tlps)

    traffic = [Traffic("a", "frames", errors=1, messages=["a: x"]), Traffic("b", "frames", errors=2)]
    ports = [machine(100, up=1, down=2), machine(300, up=3)]
    result = result_of_traffic(traffic, ports, 250, wall_s=0.5)
    assert (result["errors"], result["messages"]) == (3, ["a: x"])
    assert packets(ports) == {"up": 4, "down": 2}
    assert (result["cycles_total"], result["cycles_per_second"]) == (300, 600.0)
