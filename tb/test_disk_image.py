"""Disk images: what is one and what is not, who may have it, and what comes of a store that refuses."""

import errno
import fcntl
import os
import resource
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ringwalker_sim import disk_image
from ringwalker_sim.disk_image import DiskError, DiskFailure, DiskImage, StoredBytes
from ringwalker_sim.image_formats import CONTAINERS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An image of four sectors, each of its number."""
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(np.repeat(np.arange(4, dtype=np.uint8), 512)))
    return path


def sector(number: int, value: int) -> tuple[int, np.ndarray]:
    return 512 * number, np.full(512, value, np.uint8)


def test_an_image_is_read_and_written_in_place(path: Path) -> None:
    with DiskImage(path) as disk:
        assert (disk.sectors, disk.size, disk.in_memory) == (4, 2048, False)
        assert bytes(disk.read(510, 4)) == b"\0\0\1\1"
        disk.write(*sector(1, 7))
        assert path.read_bytes()[511:514] == b"\0\7\7", "others see it at once"
        disk.flush()
        with pytest.raises(ValueError, match="no array"):
            _ = disk.array
    assert disk.failures == []


def test_a_disk_in_memory_is_its_array() -> None:
    content = np.zeros(1024, np.uint8)
    with DiskImage.of(content) as disk:
        disk.write(*sector(1, 5))
        assert content[512:].min() == 5
        disk.read(0, 1)[:] = 3
        assert content[0] == 3
        before = disk.snapshot()
        disk.write(*sector(0, 9))
        assert bytes(before.read(0, 2)) == b"\3\0"
        disk.flush()
        with pytest.raises(ValueError, match="no file"):
            _ = disk.descriptor
    assert DiskImage.blank(8).sectors == 8
    with pytest.raises(DiskError, match="sectors"):
        DiskImage.blank(0)


def test_an_image_is_locked_while_it_is_open(path: Path) -> None:
    with DiskImage(path):
        with pytest.raises(DiskError, match="another process"):
            DiskImage(path)
        with pytest.raises(DiskError, match="another process"):
            DiskImage(path, read_only=True)
    with DiskImage(path, read_only=True) as first, DiskImage(path, read_only=True):
        with pytest.raises(DiskFailure, match="writing at byte 0: Bad file descriptor"):
            first.write(*sector(0, 1))
        with pytest.raises(DiskError, match="another process"):
            DiskImage(path)


# --- what is no image --------------------------------------------------------------------------------------


def test_what_stores_no_bytes_is_named_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, text in (
            (tmp_path, "is a directory"),
            (tmp_path / "pipe", "is a pipe"),
            (tmp_path / "socket", "is a socket"),
            (Path("/dev/zero"), "is a character device"),
            (tmp_path / "absent", "No such file"),
        ):
            for read_only in (False, True):
                with pytest.raises(DiskError, match=f"^{name}: {text}"):
                    DiskImage(name, read_only=read_only)


def test_sizes_that_no_disk_has(tmp_path: Path) -> None:
    for size, text in ((0, "empty"), (513, "513 bytes are not a multiple of 512")):
        (tmp_path / "disk").write_bytes(bytes(size))
        with pytest.raises(DiskError, match=text):
            DiskImage(tmp_path / "disk")


@pytest.mark.parametrize("item", CONTAINERS, ids=lambda item: f"{item.name} {item.offset}")
def test_a_container_is_refused_unless_it_is_meant(tmp_path: Path, item) -> None:
    path = tmp_path / "a disk.img"
    content = bytearray(4096)
    at = item.offset % len(content)
    content[at : at + len(item.magic)] = item.magic
    path.write_bytes(content)
    with pytest.raises(DiskError) as failure:
        DiskImage(path)
    message = str(failure.value)
    assert message.startswith(f"{path}: is {item.name}, not a raw image; convert it with ")
    command = message.partition("convert it with ")[2].partition(" or use its bytes")[0]
    words = shlex.split(command.replace("<", " ").replace(">", " "))
    assert str(path) in words, "it is quoted for a shell"
    assert str(tmp_path / "a disk.raw") in words
    assert path.read_bytes() == content
    with DiskImage(path, raw=True) as disk:
        assert bytes(disk.read()) == content


def test_the_commands_for_compressed_images_work(tmp_path: Path) -> None:
    content = np.random.default_rng(2).integers(0, 3, 4096, np.uint8).tobytes()
    known = {item.name: item for item in CONTAINERS}
    tried = 0
    for program in ("gzip", "xz", "zstd", "bzip2", "lz4", "lzip", "lzop"):
        if shutil.which(program) is None:
            continue
        path = tmp_path / f"it's a.{program}"
        path.write_bytes(subprocess.run([program, "-c"], input=content, stdout=-1, check=True).stdout)
        with pytest.raises(DiskError, match=f"compressed by {program}"):
            DiskImage(path)
        command = known[f"compressed by {program}"].command(path)
        subprocess.run(command, shell=True, check=True)
        assert (tmp_path / "it's a.raw").read_bytes() == content
        tried += 1
    assert tried, "every Debian has gzip"


def test_file_systems_and_partition_tables_are_raw(tmp_path: Path) -> None:
    for at, magic in (
        (510, b"\x55\xaa"),
        (0x8001, b"CD001"),
        (0, b"hsqs"),
        (0, b"LUKS\xba\xbe"),
        (1080, b"\x53\xef"),
    ):
        content = bytearray(1 << 16)
        content[at : at + len(magic)] = magic
        (tmp_path / "disk").write_bytes(content)
        DiskImage(tmp_path / "disk").close()


def test_a_block_device_is_an_image(path: Path, make_loop_device: Callable[[Path], Path]) -> None:
    device = make_loop_device(path)
    with DiskImage(device) as disk:
        assert disk.sectors == 4
        disk.write(*sector(3, 8))
        with pytest.raises(DiskError, match="in use"):
            DiskImage(device)
        with pytest.raises(DiskFailure, match="No space left"):
            disk.write(*sector(4, 8))
    assert path.read_bytes()[3 * 512 :] == bytes([8]) * 512
    with DiskImage(device, read_only=True) as disk:
        assert disk.read(3 * 512)[0] == 8


# --- a store that refuses ----------------------------------------------------------------------------------


def test_a_file_that_is_cut_fails_where_it_is_gone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with DiskImage(path) as disk:
        os.truncate(path, 1024)
        assert disk.read(512, 512)[0] == 1, "what is there can be read"
        for _ in range(3):
            with pytest.raises(DiskFailure, match=f"{path}: reading at byte 512: the file is shorter"):
                disk.read(512, 1024)
            with pytest.raises(DiskFailure, match=f"{path}: writing at byte 1536: the file is shorter"):
                disk.write(*sector(3, 1))
        assert path.stat().st_size == 1024, "it does not grow again, with zeros for what is lost"
        disk.write(*sector(1, 9))
    assert path.read_bytes()[512:] == bytes([9]) * 512
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        "reading at byte 512",
        "writing at byte 1536",
    ], "each kind is said once"
    assert disk.failures == [record.message for record in caplog.records]


def test_a_flush_that_failed_fails_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail_once(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk = DiskImage(path)
    monkeypatch.setattr(disk_image.os, "fdatasync", fail_once)
    for _ in range(3):
        with pytest.raises(DiskFailure, match="flushing at byte 0: Input/output error"):
            disk.flush()
    assert len(calls) == 1, "the store drops what it could not write, and has nothing to complain of later"
    with pytest.raises(DiskFailure, match="flushing"):
        disk.close()
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it is unlocked
    disk.close()


def test_a_store_without_a_cache_is_flushed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, "")

    monkeypatch.setattr(disk_image.os, "fdatasync", refuse)
    with DiskImage(path) as disk:
        disk.flush()
    assert disk.failures == []


def test_a_limit_of_the_process_is_a_failure(path: Path) -> None:
    os.truncate(path, 1 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DiskImage(path) as disk:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(DiskFailure, match="File too large"):
                disk.write(*sector(100, 1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_file_system_is_a_failure(small_file_system: Path) -> None:
    path = small_file_system / "disk"
    path.touch()
    os.truncate(path, 8 << 20)
    with DiskImage(path) as disk:
        done = 0

        def fill() -> None:
            nonlocal done
            while True:
                disk.write(done, np.full(4096, 7, np.uint8))
                done += 4096

        with pytest.raises(DiskFailure, match="No space left on device"):
            fill()
        assert 0 < done < disk.size
        assert disk.read(0, done).min() == 7, "what was written is there"
        disk.write(0, np.full(512, 8, np.uint8))


def test_stored_bytes_of_a_file_that_is_cut(path: Path) -> None:
    file = StoredBytes(path)
    assert file.size == 2048
    os.truncate(path, 100)
    with pytest.raises(OSError, match="shorter") as failure:
        file.read(0, 512)
    assert failure.value.errno == 0
    file.close()
    file.close()


def test_no_descriptor_is_left_behind(path: Path, tmp_path: Path) -> None:
    code = f"""
import os
from ringwalker_sim.disk_image import DiskImage, DiskError
(here := __import__('pathlib').Path({str(tmp_path)!r}), (here / 'empty').touch())
before = sorted(os.listdir('/proc/self/fd'))
for name in ('empty', 'absent', '.'):
    try:
        DiskImage(here / name)
    except DiskError:
        pass
DiskImage({str(path)!r}).close()
assert sorted(os.listdir('/proc/self/fd')) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
