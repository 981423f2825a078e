"""The guest's initial file system: an archive in memory with tools, kernel modules and the job.

Ref: Linux, Documentation/driver-api/early-userspace/buffer-format.rst (the "newc" format of cpio).
"""

import gzip
import lzma
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..toolchain import ToolError

__all__ = ["BLOCK_MODULES", "build_initramfs", "cpio_archive", "module_closure", "tree_entries"]

BLOCK_MODULES = ("virtio_pci", "virtio_blk")
"""Kernel modules for a virtio disk."""

_SCRIPTS = Path(__file__).parent / "guest"
_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_SUFFIXES = (".ko", ".ko.xz", ".ko.gz")

Entry = tuple[str, int, bytes, tuple[int, int]]
"""Name, mode with the file type, content, and major and minor number of a device."""


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def cpio_archive(entries: Iterable[Entry]) -> bytes:
    """A cpio archive of format newc, all owned by root. ``entries`` has folders before their contents."""
    parts = []
    end: Entry = (_TRAILER, 0, b"", (0, 0))
    for number, (name, mode, content, device) in enumerate([*entries, end], start=1):
        encoded = name.encode() + b"\0"
        # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize,
        # check
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        header = _MAGIC + b"".join(b"%08X" % value for value in fields)
        parts += [_padded(header + encoded), _padded(content)]
    return b"".join(parts)


def tree_entries(folder: Path) -> list[Entry]:
    """All files, links and folders below ``folder``."""
    entries: list[Entry] = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            entries.append((name, stat.S_IFLNK | 0o777, str(path.readlink()).encode(), (0, 0)))
        elif path.is_dir():
            entries.append((name, stat.S_IFDIR | 0o755, b"", (0, 0)))
        else:
            mode = stat.S_IFREG | (path.stat().st_mode & 0o777)
            entries.append((name, mode, path.read_bytes(), (0, 0)))
    return entries


def _module_content(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(raw)
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def _dependencies(content: bytes) -> list[str]:
    """The modules that a module names in its section ``.modinfo``."""
    start = content.find(b"\0depends=")
    if start < 0:
        return []
    text = content[start + 1 : content.index(b"\0", start + 1)].decode()
    return [name for name in text.removeprefix("depends=").split(",") if name]


def module_closure(folder: Path | None, wanted: Sequence[str]) -> dict[str, bytes]:
    """The modules ``wanted`` and their dependencies, from ``folder`` (like /lib/modules/VERSION): content by
    name, in load order. A name without a file counts as built in.

    Errors: :class:`ToolError` for a module with an unknown compression.
    """
    files: dict[str, Path] = {}
    if folder is not None:
        for path in folder.rglob("*.ko*"):
            files[path.name.partition(".")[0].replace("-", "_")] = path
    loaded: dict[str, bytes] = {}

    def load(name: str) -> None:
        path = files.pop(name.replace("-", "_"), None)
        if path is None:
            return
        if not path.name.endswith(_SUFFIXES):
            raise ToolError(f"{path}: modules can be read as {', '.join(_SUFFIXES)} only")
        content = _module_content(path)
        for other in _dependencies(content):
            load(other)
        loaded[name] = content

    for name in wanted:
        load(name)
    return loaded


def build_initramfs(
    userland: Path,
    modules: Mapping[str, bytes],
    command: str,
    settings: Mapping[str, str],
    *,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """A compressed archive for ``-initrd``: loads ``modules`` in order, then runs ``command`` in a shell.

    ``settings`` are shell variables: ``ROOT`` (the device of /) with ``ROOT_MODE`` (rw or ro), and
    ``INTERACTIVE``. ``files`` are stored under /job, and appear under /run.
    """
    variables = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    order = "".join(f"{name}.ko\n" for name in modules)
    folder, script, plain = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
    none = (0, 0)
    entries = tree_entries(userland)
    entries += [(name, folder, b"", none) for name in ("modules", "job")]
    entries += [
        ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)),
        ("init", script, (_SCRIPTS / "init").read_bytes(), none),
        ("stage2", script, (_SCRIPTS / "stage2").read_bytes(), none),
        ("modules/order", plain, order.encode(), none),
        ("job/command", plain, command.encode() + b"\n", none),
        ("job/settings", plain, variables.encode(), none),
    ]
    entries += [(f"modules/{name}.ko", plain, content, none) for name, content in modules.items()]
    entries += [(f"job/{name}", plain, content, none) for name, content in (files or {}).items()]
    return gzip.compress(cpio_archive(entries), compresslevel=1, mtime=0)
