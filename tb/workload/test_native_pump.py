"""The pump in C++ does what the one in Python does: same requests, same cycles, same bytes."""

from typing import Any

import pytest

from ringwalker.spec.features import Feature
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.blk import blk_driver
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.errors import VirtioError
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK as CONFIG
from ringwalker_sim.workload.block_pump import Pump
from ringwalker_sim.workload.native_pump import FastPump, pump_for
from ringwalker_sim.workload.synthetic import Synthetic

SECTORS = 4096
INDIRECT, EVENTS = 1 << Feature.INDIRECT_DESC, 1 << Feature.EVENT_IDX
RING_FEATURES = INDIRECT | EVENTS


def pumped(
    kind_of_pump, kind="randrw", size=1024, depth=9, requests=150, queues=1, features=0, spoil=None, **host
) -> tuple[bool, Any]:
    """Do a workload: what of it can be seen from outside."""
    disk = DiskImage.blank(SECTORS)
    disk.array[::3] = 7
    memory = GuestMemory(16 << 20)
    with open_engine("native", CONFIG, memory, disk, host=host, seed=4) as port:

        async def work():
            transport = await VirtioPciTransport.bind((await enumerate_pci(port))[0])
            bus = VirtioBus()
            await bus.register_virtio_driver(blk_driver(port, queues=queues, ring_features=features))
            await bus.register_virtio_device(transport.device)
            opened = transport.device.priv
            phase = Synthetic(opened, port.disk, kind, size, requests, 6)
            pump = kind_of_pump(port, opened, phase, depth)
            if spoil:
                spoil(port, opened)
            failure = None
            try:
                await pump.run()
            except VirtioError as error:
                failure = str(error)
            rings = [opened.place(queue).vq for queue in range(queues)]
            counts = [(vq.kicks, vq.interrupts, vq.spurious, vq.num_free, vq.outstanding) for vq in rings]
            if failure is None:
                await opened.write(3, bytes(range(256)) * 4, queue=queues - 1)
            seen = (
                pump.cycles,
                pump.latencies,
                pump.requests,
                pump.bytes,
                pump.errors,
                pump.messages,
                failure,
            )
            return isinstance(pump, FastPump) and pump._lent, (*seen, counts, port.now())

        lent, seen = port.run(work())
        return lent, (*seen, port.engine.stats(), disk.array.tobytes())


def both(**case) -> Any:
    """The same with both pumps; what they did."""
    lent, fast = pumped(pump_for, **case)
    _none, slow = pumped(Pump, **case)
    assert lent
    assert fast == slow
    return fast


@pytest.mark.parametrize("kind", ["randread", "randwrite", "randrw", "seqread", "seqwrite"])
def test_every_workload_is_the_same(kind):
    seen = both(kind=kind)
    assert seen[2:6] == (150, 150 * 1024, 0, [])


@pytest.mark.parametrize("features", [0, INDIRECT, EVENTS, RING_FEATURES])
def test_every_way_to_use_a_ring_is_the_same(features):
    both(features=features, queues=3, depth=20, latency_jitter=300)


def test_one_at_a_time_is_the_same():
    both(depth=1, requests=30, features=EVENTS)


@pytest.mark.parametrize("size", [128 << 10, pytest.param(512 << 10, marks=pytest.mark.slow)])
def test_blocks_in_use_are_avoided_in_the_same_way(size):
    """Of 16 blocks ten are in use; all of four are."""
    both(kind="randrw", size=size, depth=10, requests=40)


def test_a_request_that_waits_for_room_is_the_same():
    both(queues=3, depth=3 * (CONFIG.queue_size // 3), requests=400)


def test_failed_and_wrong_requests_are_counted_in_the_same_way():
    def spoil(port, _disk):
        port.engine.ports.storage.inject_error(40)
        port.disk.array[SECTORS * 256 :] ^= 1

    seen = both(kind="randread", spoil=spoil)
    assert seen[4] > 0


def test_a_disk_that_fails_is_the_same():
    def spoil(port, _disk):
        async def later():
            await port.sleep(20_000)
            port.memory.array[:] = 0xFF

        port.start(later())

    seen = both(kind="randread", requests=3000, spoil=spoil)
    assert seen[6] is not None


def test_a_ring_that_makes_no_sense_is_the_same():
    def spoil(port, disk):
        async def later():
            await port.sleep(20_000)
            disk.place(0).vq._used_idx[0] += 50

        port.start(later())

    seen = both(kind="randread", requests=3000, spoil=spoil)
    assert "only" in seen[6]
    assert "buffers are outstanding" in seen[6]
