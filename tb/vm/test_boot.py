"""Short boots of a real guest: the command line, its streams and its failures."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.errors import EXIT_USAGE
from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm.boot import GuestError, GuestJob, GuestTimeout, boot
from ringwalker_sim.vm.channels import Channels
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.setup import GuestSetup, guest_setup, kernel_version
from ringwalker_sim.workload.images import make_file_system

NARROW = ("--data-width", "64")
"""The device of :data:`~ringwalker_sim.testing.devices.SERVED_BLK`."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_file_system(tmp_path / "disk.img", 8 << 20)


def running_guest(parent: int) -> str:
    """The process id of the QEMU that ``parent`` has started with a kernel, if it has."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"-kernel" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return child
    return ""


def test_a_command_in_the_guest_reads_the_whole_simulated_disk(
    setup: GuestSetup, image: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    figures = tmp_path / "figures.json"
    command = "md5sum /dev/vda; echo seen >&2; printf '\\0\\377\\r\\n'; exit 37"
    code = cli.main(["guest", "--image", str(image), *NARROW, "--run", command, "--json", str(figures)])
    out, err = capfdbinary.readouterr()
    digest = hashlib.md5(image.read_bytes()).hexdigest()
    assert out == f"{digest}  /dev/vda\n".encode() + b"\0\xff\r\n"
    assert err == b"seen\n"
    assert code == 37
    found = json.loads(figures.read_text())
    assert (found["status"], found["qemu"]) == (37, setup.qemu.name)
    assert found["devices"][0]["storage_reads"] >= (8 << 20) // 4096
    assert found["devices"][0]["msix"] > 0
    assert found["devices"][0]["violations"] == 0
    assert 0 < found["boot_s"] < found["total_s"]


@pytest.mark.slow
def test_linux_is_told_that_a_disk_is_read_only(
    setup: GuestSetup, image: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = image.read_bytes()
    command = "cat /sys/block/vda/ro; mkdir /m; mount -t ext4 /dev/vda /m && echo mounted; echo x >/dev/vda"
    code = cli.main(["guest", "--image", str(image), *NARROW, "--read-only", "--run", command])
    out, err = capfd.readouterr()
    assert out.split() == ["1", "mounted"], err
    assert "Operation not permitted" in err
    assert code == 1
    assert image.read_bytes() == before


@pytest.mark.slow
def test_a_guest_outlives_a_full_disk_under_its_image(
    setup: GuestSetup, small_file_system: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = small_file_system / "disk.img"
    image.touch()
    os.truncate(image, 8 << 20)
    command = (
        "dd if=/dev/urandom of=/dev/vda bs=64k count=40 conv=fsync 2>/dev/null && exit 9; "
        "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k count=1 2>/dev/null | wc -c"
    )
    code = cli.main(["guest", "--image", str(image), *NARROW, "--run", command])
    out, err = capfd.readouterr()
    assert (code, out) == (0, "65536\n"), err


def test_a_guest_that_takes_too_long_is_stopped(setup: GuestSetup) -> None:
    with pytest.raises(GuestTimeout, match=r"did not end in 1\.5 s; the end of its console"):
        boot(setup.qemu, setup.files, [], GuestJob("true", timeout_s=1.5))


def test_a_device_that_never_answers_is_suspected(setup: GuestSetup, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen(1)
        with pytest.raises(
            GuestTimeout, match=r"has no output at all. Does another guest use one of its dev"
        ):
            boot(
                setup.qemu, setup.files, [VfioUserDevice(tmp_path / "silent")], GuestJob("true", timeout_s=2)
            )


def test_a_guest_that_is_stopped_takes_qemu_with_it(setup: GuestSetup, image: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ringwalker_sim.cli.main",
        "guest",
        *NARROW,
        "--image",
        str(image),
        "--run",
        "sleep 99",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (machine := running_guest(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"ringwalker: interrupted\n")
    assert machine
    assert not Path(f"/proc/{machine}").exists()
    with DiskImage(image):
        pass


def test_a_folder_that_is_too_deep_for_sockets_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    with pytest.raises(ToolError, match=r"deep/out\.socket: .*TMPDIR can name a shorter folder"):
        Channels(folder, {"out": lambda _data: None})


def test_a_qemu_that_cannot_start_is_quoted(setup: GuestSetup) -> None:
    with pytest.raises(GuestError, match=r"QEMU ended with code 1:\n.*qemu"):
        boot(setup.qemu, setup.files, [], GuestJob("true", memory_mib=0, timeout_s=20))


def test_a_qemu_that_is_killed_is_said_to_be(setup: GuestSetup) -> None:
    killed = replace(setup.qemu, command=("sh", "-c", "kill -9 $$"))
    with pytest.raises(GuestError, match=r"QEMU was ended by SIGKILL"):
        boot(killed, setup.files, [], GuestJob("true", timeout_s=20))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to do: give --run CMD, --interactive, --boot-disk, --compare or --fetch"),
        (["--run", "true", "--waves-last", "100"], "--waves-last needs --waves"),
        (["--run", "true", "--waves", "x.vcd"], "the name must end with .fst"),
        (["--run", "true", "--device", "blk"], "--device blk: a block device has image=FILE"),
        (
            ["--run", "true", "--device", "blk,socket=s"],
            "'socket=s' is not one of image=..., waves=..., read",
        ),
        (
            ["--run", "true", "--own-device", "--waves", "x.fst"],
            "--own-device: QEMU's own device has no signals",
        ),
        (["--interactive", "--compare"], "--compare goes with --image and --run only"),
        (["--run", "true", "--memory", "1000k"], "--memory is 1024000; it must be whole MiB"),
        (["--run", "true", "--console", "/nowhere/x"], "there is no folder /nowhere"),
    ],
)
def test_options_that_do_not_go_together(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["guest", *words]) == EXIT_USAGE
    assert message in capsys.readouterr().err


def test_images_that_cannot_be_used_are_named(
    setup: GuestSetup, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["guest", "--run", "true", "--image", str(image)]
    with DiskImage(image):
        assert cli.main(arguments) == EXIT_USAGE
    assert f"{image}: another process is using the image" in capsys.readouterr().err
    assert cli.main([*arguments, "--image", str(image)]) == EXIT_USAGE
    assert "given twice" in capsys.readouterr().err
    assert cli.main(["guest", "--run", "true", "--image", "absent.img"]) == EXIT_USAGE
    assert "absent.img: No such file" in capsys.readouterr().err
    assert cli.main([*arguments, "--make-root", str(image)]) == EXIT_USAGE
    assert f"--make-root {image}: it exists; boot from it with --root" in capsys.readouterr().err


def test_failures_before_the_guest_have_an_exit_code_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "qemu"
    old.write_text("#!/bin/sh\necho QEMU emulator version 9.2.0\n")
    old.chmod(0o755)
    assert cli.main(["guest", "--run", "true", "--qemu", str(old)]) == 125
    assert "QEMU 9.2.0" in capsys.readouterr().err


def test_a_kernel_says_its_version_and_finds_its_modules(setup: GuestSetup, tmp_path: Path) -> None:
    kernel = setup.files.kernel
    version = kernel_version(kernel)
    assert kernel.name == f"vmlinuz-{version}"
    assert guest_setup(kernel=kernel).files.modules == setup.files.modules
    lonely = tmp_path / "boot/vmlinuz"
    lonely.parent.mkdir()
    lonely.write_bytes(kernel.read_bytes())
    assert guest_setup(kernel=lonely).files.modules is None
    lonely.write_bytes(b"not a kernel" * 1000)
    with pytest.raises(ToolError, match="not a kernel image for x86"):
        guest_setup(kernel=lonely)


@pytest.mark.slow
def test_a_root_that_is_made_on_the_way_and_qemus_own_disk(
    setup: GuestSetup, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    root, console = tmp_path / "root.img", tmp_path / "console"
    arguments = ["guest", "--make-root", str(root), "--root-size", "20M", "--own-device"]
    assert cli.main([*arguments, "--run", "mount; echo 1 >/seen", "--console", str(console)]) == 0
    assert b"/dev/vda on / type ext4 (rw" in capfdbinary.readouterr().out
    assert root.stat().st_size == 20 << 20
    assert "EXT4-fs (vda): mounted" in console.read_text(errors="replace")
    arguments = ["guest", *NARROW, "--image", str(root), "--root", "--read-only", "--interrupt", "intx"]
    assert cli.main([*arguments, "--run", "cat /seen; echo 2 >/seen"]) == 1
    out, said = capfdbinary.readouterr()
    assert out == b"1\n"
    assert b"Read-only file system" in said
