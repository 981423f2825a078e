"""An unmodified Linux on packed rings, over four queues, also behind an IOMMU."""

import hashlib
import random
from pathlib import Path

import pytest

from ringwalker.spec.features import Feature
from ringwalker_sim.testing.devices import BOTH_BLK
from ringwalker_sim.vm.boot import GuestJob
from ringwalker_sim.vm.session import Disk, Session, run_guest
from ringwalker_sim.vm.setup import GuestSetup

QUEUES = 4
PARTS = 2 * QUEUES
BLOCK_BYTES = 16384
ACCEPTED = ("VERSION_1", "RING_PACKED", "ACCESS_PLATFORM", "ORDER_PLATFORM", "INDIRECT_DESC", "EVENT_IDX")

WORKER = f"""
for block in $(seq $(($2 * BLOCKS)) $(($2 * BLOCKS + BLOCKS - 1)) | shuf); do
    place="bs={BLOCK_BYTES} count=1 skip=$block seek=$block conv=notrunc"
    case $1 in
        write) dd if=/run/new of=/dev/vda $place oflag=direct ;;
        read) dd if=/dev/vda of=/tmp/back $place iflag=direct ;;
    esac 2>/tmp/said.$1.$2 || cat /tmp/said.$1.$2
done
"""
"""``worker write|read PART``: all blocks of a part of the disk in random order. BLOCKS is replaced."""

LOAD = f"""
cat /sys/bus/virtio/devices/virtio0/features
md5sum </dev/vda
for half in 0 1; do
    for queue in $(seq 0 {QUEUES - 1}); do
        taskset $((1 << queue)) sh /run/worker write $((2 * queue + half)) &
        taskset $((1 << queue)) sh /run/worker read $((2 * queue + 1 - half)) &
    done
    wait
done
md5sum </tmp/back
echo 3 >/proc/sys/vm/drop_caches
md5sum </dev/vda
grep virtio0-req /proc/interrupts || true
"""
"""The whole disk is read; then written and read by eight processes; then read.

With INTx no queue has an interrupt of its own.

The eight do with ``dd`` what ``fio`` would do: on each processor, which has a queue of its own, one writes
and one reads, blocks in random order. In the first half of the time it is the old content that is read.
"""


def disk_under_load(
    setup: GuestSetup, image: Path, size: int, interrupt: str = "msix", iommu: str | None = None
) -> Session:
    """Run the load on an image of ``size`` bytes; every byte is compared."""
    chance = random.Random(size)
    old, new = chance.randbytes(size), chance.randbytes(size)
    image.write_bytes(old)
    part = size // PARTS
    worker = WORKER.replace("BLOCKS", str(part // BLOCK_BYTES))
    job = GuestJob(
        LOAD,
        interrupt=interrupt,
        iommu=iommu,
        processors=QUEUES,
        files={"new": new, "worker": worker.encode()},
        timeout_s=1200,
    )
    session = run_guest(setup, [Disk(image, BOTH_BLK)], job)
    said = session.result.stdout.decode() + session.result.stderr.decode()
    assert session.result.status == 0, said
    features, before, back, after, *queues = session.result.stdout.decode().splitlines()
    assert [name for name in ACCEPTED if features[Feature[name]] != "1"] == []
    assert before.split()[0] == hashlib.md5(old).hexdigest()
    pieces = [(old if number % 2 else new)[number * part :][:part] for number in range(PARTS)]
    assert back.split()[0] == hashlib.md5(b"".join(pieces)).hexdigest(), said
    assert after.split()[0] == hashlib.md5(new).hexdigest()
    assert image.read_bytes() == new
    if interrupt == "msix":
        assert len(queues) == QUEUES
        assert all(sum(map(int, line.split()[1 : 1 + QUEUES])) > part // BLOCK_BYTES for line in queues)
    (device,) = session.devices
    assert (device["violations"], device["faults"]) == (0, 0)
    assert (device["msix"] > 0) == (interrupt == "msix")
    # Without an IOMMU all of RAM is mapped at once; with one, each page for the time of its request.
    assert (device["mappings"] > size // 4096) == (iommu is not None)
    return session


@pytest.mark.slow
def test_a_disk_with_packed_rings_behind_an_iommu(setup: GuestSetup, tmp_path: Path) -> None:
    disk_under_load(setup, tmp_path / "disk.img", 1 << 20, iommu="intel")


@pytest.mark.campaign
@pytest.mark.parametrize("interrupt", ["msix", "intx"])
@pytest.mark.parametrize("iommu", [None, "intel"])
def test_the_same_with_either_interrupt_and_without_an_iommu(
    setup: GuestSetup, tmp_path: Path, iommu: str | None, interrupt: str
) -> None:
    disk_under_load(setup, tmp_path / "disk.img", 16 << 20, interrupt, iommu)
