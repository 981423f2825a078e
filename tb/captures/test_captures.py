"""Captures of a run: frames and TLPs are all there, byte for byte, with the times of the simulation."""

import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scapy.utils import RawPcapNgReader

from ringwalker_sim.captures.captures import Captures
from ringwalker_sim.captures.tlp_link import LINK_TYPE, TLP_HEAD_BYTES, TLP_HEAD_VERSION
from ringwalker_sim.engine.engines import run_here
from ringwalker_sim.host import HostParameters
from ringwalker_sim.testing.devices import SMALL_NET
from ringwalker_sim.workload.frame_traffic import random_frames
from ringwalker_sim.workload.job import Job
from ringwalker_sim.workload.net_task import NetTask
from ringwalker_sim.workload.pcap import read_frames

SIZES = (60, 61, 62, 63, 200)
FRAMES = tuple(random_frames(25, SIZES, bytes.fromhex("525700000001"), b"\2WALK\1", 7))
JOB = Job(NetTask(FRAMES), host=HostParameters(link_bytes_per_cycle=4.0, latency=125), memory_bytes=16 << 20)
READ, WRITE, COMPLETION_WITH_DATA = (0x00, 0x20), (0x40, 0x60), 0x4A


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Path]:
    """The counters of a short run, its frames and its TLPs."""
    folder = tmp_path_factory.mktemp("captures")
    captures = Captures(folder / "frames.pcapng", folder / "tlps.pcapng")

    def counted(port: Any, run: Any) -> dict:
        result = run()
        return {**result, "stats": SimpleNamespace(**port.engine.stats())}

    result = run_here("native", SMALL_NET, JOB, None, None, None, False, counted, captures=captures)
    assert not result.get("unwritten")
    return result["stats"], folder / "frames.pcapng", folder / "tlps.pcapng"


def packets(path: Path) -> list[tuple[bytes, Any]]:
    """All packets as another reader sees them."""
    with RawPcapNgReader(str(path)) as reader:
        return list(reader)


def test_frames_are_there_both_ways_in_order(run: tuple[Any, Path, Path]) -> None:
    """What the device has sent has come back; each is seen twice."""
    path = run[1]
    frames = read_frames(path)
    assert Counter(frame.data for frame in frames) == Counter(2 * FRAMES)
    directions = [about.direction for _data, about in packets(path)]
    assert Counter(directions) == {1: len(FRAMES), 2: len(FRAMES)}
    for way in (1, 2):
        assert [f.data for f, d in zip(frames, directions, strict=True) if d == way] == list(FRAMES)


def test_times_are_those_of_the_simulation(run: tuple[Any, Path, Path]) -> None:
    """They ascend, in ns, and end within the run."""
    for path in run[1:]:
        times = [(about.tshigh << 32 | about.tslow) for _data, about in packets(path)]
        assert times == sorted(times)
        assert all(about.tsresol == 10**9 for _data, about in packets(path))
        assert 0 < times[-1] <= run[0].cycles * 1000 // SMALL_NET.clock_mhz


def test_tlps_are_those_that_were_counted(run: tuple[Any, Path, Path]) -> None:
    """By direction and kind, and their bytes on the link."""
    stats, _frames, path = run
    seen: Counter = Counter()
    wire = [0, 0]
    for data, about in packets(path):
        version, direction, bytes_, _time, _cycle = struct.unpack(">BBHIQ", data[:TLP_HEAD_BYTES])
        assert (version, about.linktype) == (TLP_HEAD_VERSION, LINK_TYPE)
        assert about.direction == 2 - direction
        wire[direction] += bytes_
        seen[direction, data[TLP_HEAD_BYTES]] += 1
        far = data[TLP_HEAD_BYTES] & 0x20
        dwords = (struct.unpack_from(">H", data, TLP_HEAD_BYTES + 2)[0] & 0x3FF) or 1024
        has_data = data[TLP_HEAD_BYTES] & 0x40
        assert len(data) == TLP_HEAD_BYTES + (16 if far else 12) + (4 * dwords if has_data else 0)
    assert wire == [stats.up_bytes, stats.down_bytes]
    assert sum(seen[0, kind] for kind in READ) == stats.up_memory_read
    assert sum(seen[0, kind] for kind in WRITE) == stats.up_memory_write + stats.up_message
    assert seen[0, COMPLETION_WITH_DATA] == stats.up_completion_data
    assert seen[1, COMPLETION_WITH_DATA] == stats.down_completion_data
    assert sum(seen[1, kind] for kind in WRITE) == stats.down_memory_write


def test_payload_stands_in_the_tlps_that_carry_it(run: tuple[Any, Path, Path]) -> None:
    """A frame that was received is in the device's writes as it was sent; one may be cut at a page."""
    writes = [data for data, _about in packets(run[2]) if data[1] == 0 and data[TLP_HEAD_BYTES] in WRITE]
    headers = [TLP_HEAD_BYTES + (16 if data[TLP_HEAD_BYTES] & 0x20 else 12) for data in writes]
    payload = b"".join(data[at:] for data, at in zip(writes, headers, strict=True))
    assert all(frame in payload for frame in FRAMES)


def test_a_capture_changes_nothing_of_the_run(run: tuple[Any, Path, Path]) -> None:
    """With and without, a run takes the same cycles."""
    plain = run_here("native", SMALL_NET, JOB, None, None, None, False)
    assert plain["cycles_total"] == run[0].cycles


def test_a_disk_that_is_full_ends_the_capture_and_not_the_run() -> None:
    """It is said in one line of the result."""
    captures = Captures(None, "/dev/full")
    job = replace(JOB, task=NetTask(FRAMES[:2]))
    result = run_here("native", SMALL_NET, job, None, None, None, False, captures=captures)
    assert result["unwritten"] == ["/dev/full: cannot be written: No space left on device"]
