"""An unmodified Linux on a legacy and on a transitional disk, the latter through either face."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker.spec.features import Feature
from ringwalker_sim.testing.devices import BOTH_BLK
from ringwalker_sim.vm.boot import GuestJob
from ringwalker_sim.vm.session import Disk, run_guest
from ringwalker_sim.vm.setup import GuestSetup

SIZE = 1 << 20
PART = SIZE // 4
FACES = ("legacy", "transitional")

LOOK = f"""
set -e
look() {{
    for number in 0 1; do
        echo driver $(basename $(readlink /sys/bus/virtio/devices/virtio$number/../driver))
        echo features $(cat /sys/bus/virtio/devices/virtio$number/features)
    done
    echo headers $(grep -c virtio-pci-legacy /proc/ioports)
    for name in a b; do
        echo read $(md5sum </dev/vd$name)
        dd if=/run/new of=/dev/vd$name bs={PART} seek=$1 count=1 conv=fsync 2>/dev/null
    done
    echo 3 >/proc/sys/vm/drop_caches
    for name in a b; do
        echo written $(md5sum </dev/vd$name)
    done
    grep virtio /proc/interrupts | sed 's/^/interrupt /'
}}
look 0
rmmod virtio_blk
rmmod virtio_pci
insmod /modules/virtio_pci.ko force_legacy=1
insmod /modules/virtio_blk.ko
echo again
look 1
"""
"""Both disks are looked at, read and written, by the usual driver and by one that is told to be a legacy one.

``look PART`` writes that part of each disk.
"""


def answers(lines: list[str], word: str) -> list[str]:
    """What follows ``word`` in the lines that begin with it."""
    return [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")]


@pytest.mark.parametrize(
    "interrupt",
    [pytest.param("msix", marks=pytest.mark.slow), pytest.param("intx", marks=pytest.mark.campaign)],
)
def test_a_legacy_and_a_transitional_disk(setup: GuestSetup, tmp_path: Path, interrupt: str) -> None:
    chance = random.Random(2007)
    old, new = chance.randbytes(SIZE), chance.randbytes(PART)
    steps = [old, new + old[PART:], new * 2 + old[2 * PART :]]
    images = [tmp_path / face for face in FACES]
    for image in images:
        image.write_bytes(old)
    disks = [Disk(image, replace(BOTH_BLK, face=image.name)) for image in images]
    session = run_guest(setup, disks, GuestJob(LOOK, interrupt=interrupt, files={"new": new}))
    said = session.result.stdout.decode() + session.result.stderr.decode()
    assert session.result.status == 0, said + session.result.console[-2000:]
    lines = session.result.stdout.decode().splitlines()
    at = lines.index("again")
    for number, part in enumerate((lines[:at], lines[at:])):
        before, after = (f"{hashlib.md5(steps[number + step]).hexdigest()} -" for step in (0, 1))
        assert answers(part, "driver") == ["virtio-pci"] * 2
        assert answers(part, "read") == [before] * 2
        assert answers(part, "written") == [after] * 2
        modern = [features[Feature.VERSION_1] for features in answers(part, "features")]
        assert modern == (["0", "0"] if number else ["0", "1"])
        assert answers(part, "headers") == ["2" if number else "1"]
        kinds = {"PCI-MSI" in line for line in answers(part, "interrupt")}
        assert kinds == {interrupt == "msix"}
    assert [image.read_bytes() for image in images] == [steps[2]] * 2
    for device in session.devices:
        assert (device["violations"], device["faults"]) == (0, 0)
        assert device["down_io_write"] > 0
        assert (device["msix"] > 0) == (interrupt == "msix")
        assert (device["intx"] > 0) == (interrupt == "intx")
