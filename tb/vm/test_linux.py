"""An unmodified Linux on the simulated disk: everything that people do with disks, checked from outside
too; and Linux's /dev/hwrng on the entropy function.
"""

import hashlib
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.cli import main as cli
from ringwalker_sim.engine.noise import NoiseSource
from ringwalker_sim.testing.devices import SERVED_BLK
from ringwalker_sim.vfio_user.serving import ServedDevice, serve_devices
from ringwalker_sim.vm.boot import GuestError, GuestJob
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.session import LINUX_CONFIG, Disk, Session, linux_config, run_guest
from ringwalker_sim.vm.setup import GuestSetup
from ringwalker_sim.workload.images import find_program, make_file_system

ROOT_BYTES = 24 << 20
SECOND_BYTES = 32 << 20
SLOT = "0000:00:02.0"
DRIVER = "/sys/bus/pci/drivers/virtio-pci"

WORK = """
set -e
test "$(mount | grep ' / ' | cut -d' ' -f1)" = /dev/vda
dd if=/dev/urandom of=/root/random bs=64k count=40 2>/dev/null
mkfs.ext4 -q -F /dev/vdb
mount -t ext4 /dev/vdb /mnt
cp -a /bin /sbin /lib /lib64 /etc /root /mnt/
cd /
find bin sbin lib lib64 etc root -type f | sort | xargs sha256sum >/mnt/sums
sync
echo 3 >/proc/sys/vm/drop_caches
cd /mnt
sha256sum -c sums >/dev/null
test "$(find . -type f | wc -l)" = "$(($(wc -l <sums) + 1))"
dd if=/dev/vdb of=/dev/null bs=1M 2>/dev/null
cd /
sha256sum /mnt/sums
umount /mnt
sync
"""
"""Files are written to /, copied to a file system made on the second disk, and read back from there."""


def clean(image: Path) -> None:
    """e2fsck on this machine finds nothing wrong with the file system."""
    done = subprocess.run(
        [find_program("e2fsck"), "-fn", str(image)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def blank(path: Path, size: int) -> Path:
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def noise(path: Path) -> Path:
    """4 MiB that are not the same anywhere."""
    path.write_bytes(random.Random(path.name).randbytes(4 << 20))
    return path


@pytest.fixture
def root(setup: GuestSetup, tmp_path: Path) -> Path:
    """An image with a root file system."""
    return make_file_system(tmp_path / "root.img", ROOT_BYTES, setup.files.userland)


@pytest.fixture
def guest(setup: GuestSetup) -> Callable[..., Session]:
    """Runs a command in a guest with images; the command must succeed, and no device may break a rule."""

    def run(images: list[Path], command: str, config: DeviceConfig = SERVED_BLK, **how: Any) -> Session:
        job = replace(GuestJob(command), **how)
        session = run_guest(setup, [Disk(image, config) for image in images], job)
        said = session.result.stderr.decode() + session.result.console[-2000:]
        assert session.result.status == 0, said
        assert [device["violations"] for device in session.devices] == [0] * len(images)
        return session

    return run


def test_root_on_the_simulated_disk_with_pin_interrupts(guest: Callable[..., Session], root: Path) -> None:
    session = guest([root], "mount; echo kept >/root/note; cat /proc/interrupts", root=True, interrupt="intx")
    text = session.result.stdout.decode()
    assert "/dev/vda on / type ext4 (rw" in text
    assert any("fasteoi" in line and "virtio0" in line for line in text.splitlines()), text
    assert session.devices[0]["intx"] > 0
    assert session.devices[0]["msix"] == 0
    clean(root)
    dump = subprocess.run(
        [find_program("debugfs"), "-R", "cat /root/note", str(root)], capture_output=True, check=True
    )
    assert dump.stdout == b"kept\n"


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_files_on_two_disks_survive_all_that_people_do(
    guest: Callable[..., Session], root: Path, tmp_path: Path, interrupt: str
) -> None:
    second = blank(tmp_path / "second.img", SECOND_BYTES)
    session = guest([root, second], WORK, LINUX_CONFIG, root=True, interrupt=interrupt)
    clean(root)
    clean(second)
    sums = subprocess.run(
        [find_program("debugfs"), "-R", "cat /sums", str(second)], capture_output=True, check=True
    ).stdout
    assert session.result.stdout.decode().split()[0] == hashlib.sha256(sums).hexdigest()
    for device in session.devices:
        assert device["storage_writes"] > 0
        assert device["storage_flushes"] > 0
        assert (device["msix"] > 0) == (interrupt == "msix")
        assert (device["intx"] > 0) == (interrupt == "intx")


@pytest.mark.slow
def test_the_guest_reboots_with_the_disk_as_it_was(guest: Callable[..., Session], tmp_path: Path) -> None:
    image = noise(tmp_path / "disk.img")
    command = """
    if [ "$(head -c 5 /dev/vda)" = again ]; then
        dd if=/dev/vda bs=512 count=1 2>/dev/null | head -c 5
    else
        printf again | dd of=/dev/vda conv=fsync 2>/dev/null
        reboot -f
    fi
    """
    session = guest([image], command, reboot=True)
    assert session.result.stdout == b"again"
    assert len(session.result.uptimes_s) == 2
    assert session.devices[0]["peers"] == 1
    assert session.devices[0]["resets"] >= 2
    assert image.read_bytes()[:5] == b"again"


@pytest.mark.slow
def test_a_second_qemu_comes_to_the_device_that_the_first_has_left(setup: GuestSetup, tmp_path: Path) -> None:
    image = noise(tmp_path / "disk.img")
    with serve_devices([ServedDevice(SERVED_BLK, image, tmp_path / "disk.socket")]) as (handle,):
        others = [VfioUserDevice(handle.socket)]
        first = run_guest(setup, [], GuestJob("echo first | dd of=/dev/vda conv=fsync"), others=others)
        # The second one dies in the middle of things.
        job = GuestJob("dd if=/dev/vda of=/dev/null & echo c >/proc/sysrq-trigger", timeout_s=60)
        with pytest.raises(GuestError, match="panicked"):
            run_guest(setup, [], job, others=others)
        third = run_guest(setup, [], GuestJob("head -c 5 /dev/vda; md5sum /dev/vda"), others=others)
        assert handle.error is None
        assert handle.stats()["peers"] == 3
    assert (first.result.status, third.result.status) == (0, 0)
    text = third.result.stdout.decode()
    assert text == f"first{hashlib.md5(image.read_bytes()).hexdigest()}  /dev/vda\n"


@pytest.mark.slow
def test_the_driver_is_unbound_and_bound_again(guest: Callable[..., Session], tmp_path: Path) -> None:
    image = noise(tmp_path / "disk.img")
    command = f"""
    for turn in 1 2 3; do
        echo {SLOT} >{DRIVER}/unbind || exit 1
        test -e /dev/vda && exit 2
        echo {SLOT} >{DRIVER}/bind || exit 3
        echo turn $turn | dd of=/dev/vda seek=$turn conv=notrunc,fsync 2>/dev/null || exit 4
    done
    """
    guest([image], command)
    content = image.read_bytes()
    assert [content[512 * turn :][:7] for turn in (1, 2, 3)] == [b"turn %d\n" % turn for turn in (1, 2, 3)]


@pytest.mark.slow
def test_the_firmware_uses_the_disk_before_linux_does(guest: Callable[..., Session], tmp_path: Path) -> None:
    image = noise(tmp_path / "disk.img")
    session = guest([image], "md5sum /dev/vda")
    log = session.result.firmware
    assert "found virtio-blk at 00:02.0" in log
    assert "using modern (1.0) virtio mode" in log
    assert f"s={(4 << 20) // 512}" in log, "the firmware has not read the capacity"
    assert session.result.stdout.decode().split()[0] == hashlib.md5(image.read_bytes()).hexdigest()


@pytest.mark.slow
def test_the_vendor_of_2007_is_bound_by_hand(guest: Callable[..., Session], tmp_path: Path) -> None:
    image = make_file_system(tmp_path / "disk.img", 4 << 20)
    command = f"""
    cat /sys/bus/pci/devices/{SLOT}/vendor /sys/bus/pci/devices/{SLOT}/device
    test -e /dev/vda && exit 1
    echo 5000 1042 >{DRIVER}/new_id
    md5sum /dev/vda
    mount -t ext4 /dev/vda /mnt && umount /mnt
    """
    before = hashlib.md5(image.read_bytes()).hexdigest()
    session = guest([image], command, linux_config(DeviceConfig(data_width=64)))
    vendor, device, digest, _name = session.result.stdout.decode().split()
    assert (vendor, device) == ("0x5000", "0x1042")
    assert digest == before
    clean(image)


@pytest.mark.slow
def test_hwrng_gives_the_bytes_of_the_noise_port(setup: GuestSetup) -> None:
    config = DeviceConfig(function="rng", data_width=64, identity=LINUX_CONFIG.identity)
    command = """
    cat /sys/class/misc/hw_random/rng_current
    head -c 4096 /dev/hwrng | od -An -v -tx1
    """
    session = run_guest(setup, [Disk(None, config)], GuestJob(command))
    assert session.result.status == 0, session.result.stderr.decode()
    current, _, dump = session.result.stdout.decode().partition("\n")
    assert current == "virtio_rng.0"
    content = bytes.fromhex(dump)
    assert len(content) == 4096
    (device,) = session.devices
    assert device["violations"] == 0
    assert device["msix"] > 0
    # The kernel has read some before, for its own pool; no byte is lost between two requests.
    source = NoiseSource(ServedDevice(config, None, "").seed).take(device["noise_bytes"])
    assert source.find(content) >= 0


@pytest.mark.slow
def test_a_kernel_that_panics_ends_the_guest_with_its_words(setup: GuestSetup) -> None:
    with pytest.raises(GuestError, match=r"(?s)kernel panicked; .*Kernel panic - not syncing"):
        run_guest(setup, [], GuestJob("true", append="rdinit=/absent init=/absent", timeout_s=60))


@pytest.mark.slow
def test_a_root_that_is_no_file_system_is_named(setup: GuestSetup, tmp_path: Path) -> None:
    image = noise(tmp_path / "disk.img")
    with pytest.raises(GuestError, match="/dev/vda cannot be mounted as /"):
        run_guest(setup, [Disk(image, SERVED_BLK)], GuestJob("true", root=True, timeout_s=60))


@pytest.mark.slow
def test_the_simulated_disk_beside_qemus_own(
    setup: GuestSetup, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = root.read_bytes()
    assert cli.main(["guest", "--image", str(root), "--root", "--compare", "--run", "true"]) == 0
    with capsys.disabled():
        print("\n" + capsys.readouterr().out)
    assert root.read_bytes() == before, "the images that are given stay as they are"
