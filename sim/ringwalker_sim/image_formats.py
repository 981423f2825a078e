"""Files that hold a disk image inside a format of their own, so that their bytes are not the disk's.

Ref: the magic numbers that file(1) and the block drivers of QEMU know.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CONTAINERS", "Container", "container_of"]

_SECTOR = 512
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Container:
    """A format: its ``name`` with an article, and ``magic`` at byte ``offset``, which counts from the end if
    it is negative. ``convert`` is the shell command that makes a raw image {target} of the file {source}.
    """

    name: str
    magic: bytes
    convert: str
    offset: int = 0

    def command(self, path: Path) -> str:
        """The command for the file at ``path``, quoted for a shell."""
        target = path.with_suffix(".raw") if path.suffix not in ("", ".raw") else Path(f"{path}.raw")
        return self.convert.format(source=shlex.quote(str(path)), target=shlex.quote(str(target)))


def _of_qemu(name: str, magic: bytes, driver: str, offset: int = 0) -> Container:
    return Container(name, magic, f"qemu-img convert -f {driver} -O raw {{source}} {{target}}", offset)


def _compressed(name: str, magic: bytes, program: str) -> Container:
    return Container(name, magic, f"{program} -dc < {{source}} > {{target}}")


CONTAINERS = (
    _of_qemu("a qcow image", b"QFI\xfb\0\0\0\x01", "qcow"),
    _of_qemu("a qcow2 image", b"QFI\xfb", "qcow2"),
    _of_qemu("a QED image", b"QED\0", "qed"),
    _of_qemu("a VMDK image", b"KDMV", "vmdk"),
    _of_qemu("a VMDK image", b"COWD", "vmdk"),
    _of_qemu("the description of a VMDK image", b"# Disk DescriptorFile", "vmdk"),
    _of_qemu("a VDI image", b"\x7f\x10\xda\xbe", "vdi", 0x40),
    _of_qemu("a VHDX image", b"vhdxfile", "vhdx"),
    _of_qemu("a VHD image", b"conectix", "vpc"),
    _of_qemu("a VHD image", b"conectix", "vpc", -_SECTOR),
    _of_qemu("a Parallels image", b"WithoutFreeSpace", "parallels"),
    _of_qemu("a Parallels image", b"WithouFreSpacExt", "parallels"),
    _of_qemu("a Bochs image", b"Bochs Virtual HD Image", "bochs"),
    _of_qemu("a cloop image", b"#!/bin/sh\n#V2.0 Format\n", "cloop"),
    _of_qemu("a DMG image", b"koly", "dmg", -_SECTOR),
    Container("a copy-on-write file of User-mode Linux", b"OOOM", "uml_moo {source} {target}"),
    Container("an Android sparse image", b"\x3a\xff\x26\xed", "simg2img {source} {target}"),
    Container("an EnCase image", b"EVF\x09\x0d\x0a\xff\0", "ewfexport -u -f raw -t {target} {source}"),
    Container("a CHD image", b"MComprHD", "chdman extracthd -i {source} -o {target}"),
    Container("a partclone image", b"partclone-image", "partclone.restore -C -s {source} -O {target}"),
    Container("a WIM image", b"MSWIM\0\0\0", "wimapply {source} {target}"),
    _compressed("compressed by gzip", b"\x1f\x8b\x08", "gzip"),
    _compressed("compressed by xz", b"\xfd7zXZ\0", "xz"),
    _compressed("compressed by zstd", b"\x28\xb5\x2f\xfd", "zstd"),
    _compressed("compressed by bzip2", b"BZh", "bzip2"),
    _compressed("compressed by lz4", b"\x04\x22\x4d\x18", "lz4"),
    _compressed("compressed by lzip", b"LZIP\x01", "lzip"),
    _compressed("compressed by lzop", b"\x89LZO\0\r\n\x1a\n", "lzop"),
    Container("a zip archive", b"PK\x03\x04", "unzip -p {source} > {target}"),
    Container("a 7z archive", b"7z\xbc\xaf\x27\x1c", "7z e -so {source} > {target}"),
    Container("a rar archive", b"Rar!\x1a\x07", "unrar p -inul {source} > {target}"),
)
"""All that are known. Encrypted disks (LUKS) and file systems (ISO 9660, squashfs) are raw images."""


def container_of(read: Callable[[int, int], Any], size: int) -> Container | None:
    """The container that ``size`` bytes are, some of which ``read(offset, length)`` gives; None: raw."""
    head = bytes(read(0, min(size, _HEAD_BYTES)))
    start = max(size - _SECTOR, 0)
    tail = bytes(read(start, size - start)).rjust(_SECTOR, b"\0")
    for item in CONTAINERS:
        place = tail if item.offset < 0 else head
        at = item.offset + _SECTOR if item.offset < 0 else item.offset
        if place.startswith(item.magic, at):
            return item
    return None
