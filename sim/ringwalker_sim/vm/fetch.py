"""Fetches QEMU and the parts of a guest from Debian into the cache. Packages of the host are not changed.

An interrupted fetch never counts as complete: see :func:`~..toolchain.build_once`.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..toolchain import ToolError, build_once, cache_dir, content_hash
from .apt import PrivateApt, debian_archive

__all__ = ["GuestFiles", "fetch_guest", "fetch_qemu", "fetched_guest", "fetched_qemu"]

Status = Callable[[str], None]

_KIND = "vm"
_QEMU = ("trixie", "trixie-backports", "qemu-system-x86")
"""Suites, the last one preferred, and the package. Debian 13 itself has QEMU 10.0, which is too old."""
_GUEST = ("bookworm", "linux-image-cloud-amd64", "busybox-static", "e2fsprogs")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = "ld-linux-x86-64.so.2"
_TOOLS = ("mke2fs", "e2fsck")
_TOOL_NAMES = {"mkfs.ext4": "mke2fs", "mkfs.ext2": "mke2fs", "fsck.ext4": "e2fsck"}


@dataclass(frozen=True)
class GuestFiles:
    """The parts of a guest: ``kernel``, ``modules`` (a folder like /lib/modules/VERSION, None if all are
    built in), and ``userland``, a folder with a small root file system without an init.
    """

    kernel: Path
    modules: Path | None
    userland: Path


def _qemu_name() -> str:
    return "qemu-" + content_hash(_QEMU)


def _guest_name() -> str:
    return "guest-" + content_hash([*_GUEST, *_TOOLS, *_TOOL_NAMES])


def _finished(name: str) -> Path | None:
    folder = cache_dir() / _KIND / name
    return folder if (folder / ".done").exists() else None


def _qemu_command(folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command of the fetched QEMU, with its own loader and libraries, and environment variables."""
    libraries = folder / _LIBRARIES
    command = (
        str(libraries / _LOADER),
        "--library-path",
        str(libraries),
        str(folder / "usr/bin/qemu-system-x86_64"),
        *("-L", str(folder / "usr/share/qemu")),
        *("-L", str(folder / "usr/share/seabios")),
    )
    return command, {"QEMU_MODULE_DIR": str(libraries / "qemu")}


def _guest_files(folder: Path) -> GuestFiles:
    kernel = next(iter(sorted((folder / "boot").glob("vmlinuz-*"))), None)
    if kernel is None:
        raise ToolError(f"{folder}: no kernel in the fetched package")
    modules = folder / "lib/modules" / kernel.name.removeprefix("vmlinuz-")
    return GuestFiles(kernel, modules if modules.is_dir() else None, folder / "userland")


def fetched_qemu() -> tuple[tuple[str, ...], dict[str, str]] | None:
    """Command and environment variables of the QEMU in the cache; None when it was not fetched."""
    folder = _finished(_qemu_name())
    return None if folder is None else _qemu_command(folder)


def fetched_guest() -> GuestFiles | None:
    """Kernel, modules and userland in the cache; None when they were not fetched."""
    folder = _finished(_guest_name())
    return None if folder is None else _guest_files(folder)


def _clear(folder: Path) -> None:
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def fetch_qemu(status: Status | None = None) -> None:
    """Fetch QEMU into the cache, unless it is there: a download of 60 MB, 180 MB on the disk.

    Errors: :class:`ToolError`.
    """
    say = status or (lambda _text: None)
    with build_once(_KIND, _qemu_name()) as (folder, missing):
        if not missing:
            return
        archive = debian_archive()
        _clear(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            say(f"QEMU: lists of packages from {archive}")
            apt = PrivateApt(Path(name), archive, _QEMU[:2])
            apt.update()
            say("QEMU: downloading and unpacking about 60 MB")
            apt.unpack(_QEMU[2:], folder, whole=True, suite=_QEMU[1])
        command, environment = _qemu_command(folder)
        _check_program([*command, "--version"], environment)


def fetch_guest(status: Status | None = None) -> None:
    """Fetch a kernel, its modules and a userland into the cache, unless they are there: a download of 30 MB,
    110 MB on the disk.

    Errors: :class:`ToolError`.
    """
    say = status or (lambda _text: None)
    suite, kernel, busybox, tools = _GUEST
    with build_once(_KIND, _guest_name()) as (folder, missing):
        if not missing:
            return
        archive = debian_archive()
        _clear(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            say(f"guest: lists of packages from {archive}")
            apt = PrivateApt(Path(name) / "apt", archive, [suite])
            apt.update()
            say("guest: downloading and unpacking about 30 MB")
            apt.unpack([apt.dependency(kernel)], folder)
            shutil.rmtree(folder / "usr", ignore_errors=True)
            parts = Path(name) / "parts"
            apt.unpack([busybox], parts)
            apt.unpack([tools], parts, whole=True)
            _make_userland(parts, folder / "userland")
        _guest_files(folder)


def _check_program(command: list[str], environment: dict[str, str] | None = None) -> str:
    """The output of ``command``. Errors: :class:`ToolError` when a fetched program does not run here."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise ToolError(f"a fetched program does not run here: {command[0]}: {done.stderr.strip()[:200]}")
    return done.stdout


def _find(parts: Path, name: str) -> Path:
    found = [item for item in parts.rglob(name) if item.is_file()]
    if not found:
        raise ToolError(f"the fetched packages have no {name}")
    return min(found, key=lambda item: (len(item.parts), item))


def _make_userland(parts: Path, userland: Path) -> None:
    """Make a userland: busybox with a link for each applet, and ext4 tools with their libraries."""
    for name in ("bin", "sbin", "lib64", "lib", "dev", "proc", "sys", "run", "tmp", "mnt", "etc", "root"):
        (userland / name).mkdir(parents=True)
    (userland / "etc/mtab").symlink_to("/proc/mounts")
    (userland / "etc/passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    busybox = userland / "bin/busybox"
    shutil.copy2(_find(parts, "busybox"), busybox)
    loader = _find(parts, _LOADER)
    for name in _TOOLS:
        shutil.copy2(_find(parts, name), userland / "sbin" / name)
        folders = ":".join(str(folder) for folder in sorted({item.parent for item in parts.rglob("*.so.*")}))
        listed = _check_program(
            [str(loader), "--library-path", folders, "--list", str(userland / "sbin" / name)]
        )
        for line in listed.splitlines():
            library = line.partition("=> ")[2].partition(" (")[0]
            if library and not line.strip().startswith("/"):
                shutil.copy2(_find(parts, Path(library).name).resolve(), userland / "lib" / line.split()[0])
    shutil.copy2(loader.resolve(), userland / "lib64" / _LOADER)
    for link, tool in _TOOL_NAMES.items():
        (userland / "sbin" / link).symlink_to(tool)
    for applet in _check_program([str(busybox), "--list"]).split():
        link = userland / "bin" / applet
        if not link.exists() and not (userland / "sbin" / applet).is_symlink():
            link.symlink_to("busybox")
