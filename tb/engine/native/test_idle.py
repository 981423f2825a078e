"""Idle time is skipped, and nobody can tell."""

import time

import numpy as np
import pytest

from ringwalker.spec.blk import BlkRequestType
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.native.engine import NativeEngine
from ringwalker_sim.engine.native.port import NativePort
from ringwalker_sim.guest.blk import blk_driver
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK as CONFIG

PAUSES = [0, 1, 7, 8, 9, 100, 12_345, 300_000]
SHORT = [0, 2000]
"""Enough to skip something, where every cycle is simulated."""


async def requests_with_pauses(port, pauses) -> list[tuple]:
    """When each of some requests began and ended, with pauses between them; and a reset at the end."""
    found = await enumerate_pci(port)
    transport = await VirtioPciTransport.bind(found[0])
    bus = VirtioBus()
    await bus.register_virtio_driver(blk_driver(port))
    await bus.register_virtio_device(transport.device)
    disk, seen = transport.device.priv, []
    with port.memory.allocate(2048, 4096) as buffer:
        for number, pause in enumerate(pauses):
            await port.sleep(pause)
            kind = BlkRequestType.OUT if number % 2 else BlkRequestType.IN
            request = await disk.request(kind, number, buffer.sg, number % 4)
            seen.append((request.started, request.ended, request.written, port.now()))
            await port.sleep(pause)
            seen.append((await transport.status(), port.now()))
    await bus.unregister_virtio_device(transport.device)
    return seen


def outcome(tmp_path=None, pauses=PAUSES, **host):
    """What was seen, the disk, the counters without that of skipped cycles, and that one."""
    memory, disk = GuestMemory(4 << 20), DiskImage.blank(CONFIG.settings.capacity)
    disk.array[:] = np.arange(len(disk.array)) // 512
    waves = tmp_path / "run.fst" if tmp_path else None
    with NativeEngine(CONFIG, memory, disk=disk, host=HostParameters(**host), waves=waves) as engine:
        port = NativePort(engine)
        seen = port.run(requests_with_pauses(port, pauses))
        stats = engine.stats()
    skipped = stats.pop("skipped_cycles")
    return (seen, disk.array.tobytes(), stats), skipped


@pytest.mark.parametrize(
    "host",
    [
        {},
        {"latency_jitter": 300},
        {"link_bytes_per_cycle": 7.2, "posted_header_credits": 3, "credit_return": 90},
    ],
    ids=["plain", "jitter", "link"],
)
def test_the_same_happens_in_the_same_cycles(host):
    with_skipping, skipped = outcome(**host)
    without, none = outcome(skip_idle=False, **host)
    assert with_skipping == without
    assert none == 0
    assert skipped > 0.9 * 2 * sum(PAUSES)


def test_nothing_is_skipped_with_stalls():
    assert outcome(pauses=SHORT, stalls=0.1)[1] == 0
    assert outcome(pauses=SHORT)[1] > 0


@pytest.mark.slow
def test_nothing_is_skipped_with_waves(tmp_path):
    assert outcome(tmp_path, SHORT)[1] == 0


def test_a_second_of_idle_time_takes_none():
    with NativeEngine(CONFIG, GuestMemory(1 << 20)) as engine:
        begin, now = time.perf_counter(), engine.now
        assert engine.run(250_000_000) == []
        assert engine.now == now + 250_000_000
        assert time.perf_counter() - begin < 5
        assert engine.config_read(0, 2) == CONFIG.resolved_identity.vendor
