"""Finds the parts of a guest: a QEMU, a kernel, a userland."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..toolchain import ToolError
from .fetch import GuestFiles, fetch_guest, fetch_qemu, fetched_guest
from .qemu import VFIO_USER_MINIMUM, Qemu, find_qemu

__all__ = ["GuestSetup", "guest_setup", "kernel_version"]

_VERSION_POINTER = 0x20E
"""Offset in a bzImage of the 16-bit pointer to its version text, which is relative to 0x200. Ref: Linux,
Documentation/arch/x86/boot.rst.
"""
_MAGIC_PLACE, _MAGIC = 0x202, b"HdrS"


@dataclass(frozen=True)
class GuestSetup:
    """A QEMU, and the files of its guest."""

    qemu: Qemu
    files: GuestFiles


def kernel_version(kernel: Path) -> str:
    """The version of an x86 kernel, such as ``6.1.0-50-cloud-amd64``. Errors: :class:`ToolError`."""
    try:
        head = kernel.read_bytes()[: 1 << 16]
    except OSError as error:
        raise ToolError(f"--kernel {kernel}: {error.strerror}") from None
    if head[_MAGIC_PLACE : _MAGIC_PLACE + len(_MAGIC)] != _MAGIC:
        raise ToolError(f"--kernel {kernel}: not a kernel image for x86 (bzImage, vmlinuz)")
    place = int.from_bytes(head[_VERSION_POINTER : _VERSION_POINTER + 2], "little") + 0x200
    return head[place : head.index(b"\0", place)].decode("ascii", "replace").split()[0]


def _other_kernel(kernel: Path, userland: Path) -> GuestFiles:
    """The files of a guest with the chosen ``kernel``; its modules are beside it or in /lib/modules."""
    version = kernel_version(kernel)
    for root in (kernel.resolve().parent.parent, Path("/")):
        modules = root / "lib/modules" / version
        if modules.is_dir():
            return GuestFiles(kernel, modules, userland)
    return GuestFiles(kernel, None, userland)


def guest_setup(
    *,
    fetch: bool = False,
    qemu: str | Path | None = None,
    kernel: str | Path | None = None,
    minimum: tuple[int, ...] = VFIO_USER_MINIMUM,
    status: Callable[[str], None] | None = None,
) -> GuestSetup:
    """Find the parts of a guest; with ``fetch``, fetch missing ones into the cache first.

    ``qemu`` and ``kernel`` replace the fetched ones.
    Errors: :class:`ToolError` that names what is missing and how to get it.
    """
    if fetch:
        fetch_guest(status)
    try:
        chosen = find_qemu(qemu, minimum)
    except ToolError:
        if not fetch or qemu is not None:
            raise
        fetch_qemu(status)
        chosen = find_qemu(None, minimum)
    files = fetched_guest()
    if files is None:
        raise ToolError("there is no guest in the cache yet; give --fetch once")
    if kernel is not None:
        files = _other_kernel(Path(kernel), files.userland)
    return GuestSetup(chosen, files)
