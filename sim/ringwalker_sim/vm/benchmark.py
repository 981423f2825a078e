"""Boots the same guest with the simulated disk and with QEMU's own, and compares their times."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..disk_image import DiskImage
from .boot import GuestError, GuestJob
from .session import Disk, Session, run_guest
from .setup import GuestSetup

__all__ = ["compare_disks", "read_figures"]

_READ = """
echo 3 >/proc/sys/vm/drop_caches
mark read-begins
dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null || exit
mark read-ends
"""
"""Shell commands that read the whole first disk."""


def read_figures(session: Session, size: int) -> dict[str, float]:
    """Figures of the sequential read of ``size`` bytes: ``read_mb_s`` (10^6 bytes a second of real time) and,
    with a simulated disk, ``cycles_per_byte``.
    """
    begin, end = session.mark("read-begins"), session.mark("read-ends")
    figures = {"read_mb_s": size / 1e6 / (end.seconds - begin.seconds)}
    if end.devices:
        cycles = end.devices[0]["cycles"] - begin.devices[0]["cycles"]
        figures["cycles_per_byte"] = cycles / size
    return figures


def _run(setup: GuestSetup, disks: Sequence[Disk], job: GuestJob, folder: Path, own: bool) -> dict[str, Any]:
    copies = []
    for number, disk in enumerate(disks):
        assert disk.image is not None
        copy = folder / f"{number}.img"
        with DiskImage(disk.image, read_only=True, raw=disk.raw):
            shutil.copyfile(disk.image, copy)
        copies.append(replace(disk, image=copy, waves=None, config=None if own else disk.config))
    session = run_guest(setup, copies, job)
    if session.result.status:
        said = session.result.stderr.decode("utf-8", "replace").strip()
        raise GuestError(f"the guest's command ended with status {session.result.status}: {said}")
    return {**session.figures(), **read_figures(session, copies[0].image.stat().st_size)}


def compare_disks(
    setup: GuestSetup, disks: Sequence[Disk], job: GuestJob, status: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Boot the guest twice with fresh copies of the images; run the job's command and read the first disk.

    The result has ``ringwalker`` and ``qemu`` (the figures of a :class:`~.session.Session` and of
    :func:`read_figures`), and ``boot_ratio`` and ``total_ratio``: the times with the simulated disk, divided
    by those with QEMU's. Errors: :class:`~.boot.GuestError`, also for a command that fails.
    """
    say = status or (lambda _text: None)
    job = replace(job, command=f"({job.command}) || exit\n{_READ}")
    result: dict[str, Any] = {}
    for name, own in (("qemu", True), ("ringwalker", False)):
        say(f"booting with {'QEMU' if own else 'the simulated'} disk")
        with tempfile.TemporaryDirectory(prefix="ringwalker-") as folder:
            result[name] = _run(setup, disks, job, Path(folder), own)
    for what in ("boot", "total"):
        result[f"{what}_ratio"] = result["ringwalker"][f"{what}_s"] / result["qemu"][f"{what}_s"]
    return result
