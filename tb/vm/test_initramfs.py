"""The guest's first file system, taken apart again."""

import gzip
import lzma
import stat
import subprocess
from pathlib import Path

import pytest

from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm.initramfs import build_initramfs, cpio_archive, module_closure, tree_entries
from ringwalker_sim.vm.setup import GuestSetup

HEADER = 110


def read_cpio(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, from an archive of format newc."""
    entries, at = {}, 0
    while True:
        assert at % 4 == 0
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + HEADER : at + HEADER + name_size - 1].decode()
        start = at + (HEADER + name_size + 3 & ~3)
        at = start + (size + 3 & ~3)
        if name == "TRAILER!!!":
            assert at == len(archive)
            return entries
        assert name not in entries
        entries[name] = mode, archive[start : start + size]


def module(folder: Path, name: str, depends: str, suffix: str = ".ko") -> bytes:
    content = b"\x7fELF" + name.encode() + b"\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0"
    raw = {".ko": content, ".ko.xz": lzma.compress(content), ".ko.gz": gzip.compress(content)}
    (folder / f"{name}{suffix}").write_bytes(raw.get(suffix, content))
    return content


def test_a_tree_with_files_links_and_folders_comes_back(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_bytes(b"#!x" * 5)
    (tmp_path / "bin/tool").chmod(0o755)
    (tmp_path / "bin/link").symlink_to("tool")
    (tmp_path / "odd").write_bytes(b"a")
    entries = read_cpio(cpio_archive(tree_entries(tmp_path)))
    assert entries == {
        "bin": (stat.S_IFDIR | 0o755, b""),
        "bin/link": (stat.S_IFLNK | 0o777, b"tool"),
        "bin/tool": (stat.S_IFREG | 0o755, b"#!x" * 5),
        "odd": (stat.S_IFREG | 0o644, b"a"),
    }
    assert list(entries).index("bin") < list(entries).index("bin/tool")


def test_modules_load_after_those_that_they_depend_on(tmp_path: Path) -> None:
    ring = module(tmp_path, "virtio_ring", "virtio", ".ko.xz")
    module(tmp_path, "virtio-pci", "virtio_ring,virtio,virtio_pci_modern_dev", ".ko.gz")
    module(tmp_path, "virtio_blk", "virtio_ring,virtio")
    module(tmp_path, "virtio", "")
    found = module_closure(tmp_path, ["virtio_pci", "virtio_blk", "ext4"])
    assert list(found) == ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"]
    assert found["virtio_ring"] == ring
    assert module_closure(None, ["virtio_pci"]) == {}


def test_a_compression_that_is_not_known_is_named(tmp_path: Path) -> None:
    module(tmp_path, "virtio_blk", "", ".ko.zst")
    with pytest.raises(ToolError, match=r"virtio_blk\.ko\.zst: .*\.ko\.xz"):
        module_closure(tmp_path, ["virtio_blk"])


def test_job_and_settings_reach_the_guest_as_they_are(tmp_path: Path) -> None:
    command = "echo 'it''s'\nexit 3"
    settings = {"ROOT": "/dev/vda", "INTERACTIVE": "", "ODD": "a 'b' $c"}
    archive = build_initramfs(tmp_path, {"virtio": b"one"}, command, settings, files={"extra": b"data"})
    entries = read_cpio(gzip.decompress(archive))
    assert entries["job/command"][1].decode() == command + "\n"
    assert entries["job/extra"][1] == b"data"
    assert entries["modules/order"][1] == b"virtio.ko\n"
    assert entries["init"][0] & 0o111
    shell = entries["job/settings"][1].decode() + 'printf %s "$ROOT|$INTERACTIVE|$ODD"'
    assert subprocess.check_output(["sh", "-c", shell], text=True) == "/dev/vda||a 'b' $c"


def test_the_fetched_kernel_has_all_that_a_disk_needs(setup: GuestSetup) -> None:
    found = module_closure(setup.files.modules, ["virtio_pci", "virtio_blk"])
    assert list(found)[-1] == "virtio_blk"
    assert list(found).index("virtio_ring") < list(found).index("virtio_pci")
    names = {"bin/busybox", "bin/sh", "sbin/mkfs.ext4", "sbin/e2fsck", "lib/libc.so.6"}
    assert names <= {name for name, *_ in tree_entries(setup.files.userland)}
