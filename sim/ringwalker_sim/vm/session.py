"""A guest with disks, on the simulated device or on QEMU's own."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.ids import OASIS_DEVICE_BASE
from ringwalker.spec.legacy import transitional_device_id

from ..captures.captures import NO_CAPTURES, Captures
from ..disk_image import DiskError, DiskImage
from ..function.simulation import simulation_of
from ..vfio_user.recorder import Waves
from ..vfio_user.serving import DeviceHandle, ServedDevice, serve_devices
from .boot import GuestError, GuestJob, GuestResult, boot
from .machine import OwnDisk, VfioUserDevice
from .setup import GuestSetup

__all__ = ["LINUX_CONFIG", "Disk", "Mark", "Session", "linux_config", "run_guest"]

LINUX_CONFIG = DeviceConfig(identity=Identity(preset="oasis"))
"""A device with the identity that today's Linux expects."""

_LINUX_DEVICE_IDS = range(0x1000, 0x1080)
"""The device ids that Linux's virtio-pci accepts, for every vendor."""

_LINUX_LEGACY_IDS = range(0x1000, 0x1040)
"""Those of devices that have no modern face."""


def linux_config(config: DeviceConfig) -> DeviceConfig:
    """``config`` with a device id that Linux's virtio-pci accepts: another one is replaced by 0x1040 plus the
    virtio type, or for a legacy device by the transitional id of that type, if it has one. The vendor stays.
    """
    known = _LINUX_DEVICE_IDS if config.has_modern else _LINUX_LEGACY_IDS
    if config.resolved_identity.device in known:
        return config
    device = OASIS_DEVICE_BASE + config.device_type
    if not config.has_modern:
        device = transitional_device_id(config.device_type)
    return replace(config, identity=replace(config.identity, device=device))


@dataclass(frozen=True)
class Disk:
    """A device for the guest, with an image if it is a disk. ``config`` None stands for QEMU's own
    virtio-blk.

    ``waves``: the part of a simulated device's signals to record; ``timeline``: the file of a
    timeline; ``captures``: those of captures. ``raw``: the image is not looked at.
    ``plain`` and ``direct``: see :class:`~..vfio_user.serving.ServedDevice`.
    """

    image: Path | None
    config: DeviceConfig | None = LINUX_CONFIG
    read_only: bool = False
    waves: Waves | None = None
    raw: bool = False
    timeline: Path | None = None
    captures: Captures = NO_CAPTURES
    plain: bool | None = None
    direct: bool = True


@dataclass(frozen=True)
class Mark:
    """A mark that the guest's command set: ``seconds`` since the start, and the counters of each simulated
    device at that time (:meth:`~..vfio_user.serving.DeviceHandle.stats`).
    """

    name: str
    seconds: float
    devices: Sequence[Mapping[str, Any]]


@dataclass
class Session:
    """The ``result`` of a guest, its ``marks``, the final counters of each simulated device, and a line for
    each output of theirs that could not be written.
    """

    result: GuestResult
    marks: list[Mark] = field(default_factory=list)
    devices: list[dict[str, Any]] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)

    def mark(self, name: str) -> Mark:
        """The last mark with this name. Errors: ``KeyError``."""
        for mark in reversed(self.marks):
            if mark.name == name:
                return mark
        raise KeyError(f"the guest has set no mark {name!r}")

    def figures(self) -> dict[str, Any]:
        """The figures of the session, for JSON."""
        result = self.result
        return {
            "status": result.status,
            "boot_s": result.boot_s,
            "total_s": result.total_s,
            "uptimes_s": result.uptimes_s,
            "devices": self.devices,
        }


def _check_images(disks: Sequence[Disk]) -> None:
    """Check that images exist, are not in use, and that a writable one is given once only."""
    for at, disk in enumerate(disks):
        if disk.image is None:
            continue
        DiskImage(disk.image, disk.read_only, disk.raw).close()
        for other in disks[:at]:
            both = disk.read_only and other.read_only
            if other.image is not None and not both and disk.image.samefile(other.image):
                raise DiskError(f"{disk.image}: the same image is given twice")


def run_guest(
    setup: GuestSetup,
    disks: Sequence[Disk],
    job: GuestJob,
    *,
    forward: Mapping[str, Callable[[bytes], None]] | None = None,
    progress: Callable[[str], None] | None = None,
    others: Sequence[VfioUserDevice] = (),
    begin: Callable[[], None] = lambda: None,
) -> Session:
    """Boot a guest with ``disks`` (/dev/vda, /dev/vdb, ... in this order), run ``job``, and wait for the end.

    ``others`` are devices of other servers, behind ``disks``. ``begin`` is called when the devices are ready,
    before QEMU starts. ``forward``: see :func:`~.boot.boot`. Errors: :class:`~.boot.GuestError`, which names
    the error of a device too, :class:`~..memory.DiskError`, :class:`~..toolchain.ToolError`.
    """
    _check_images(disks)
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        served = [
            ServedDevice(
                disk.config,
                disk.image,
                Path(name) / f"disk{number}.socket",
                read_only=disk.read_only,
                waves=disk.waves,
                timeline=disk.timeline,
                captures=disk.captures,
                raw=disk.raw,
                plain=disk.plain,
                direct=disk.direct,
            )
            for number, disk in enumerate(disks)
            if disk.config is not None
        ]
        functions = [disk.config.function for disk in disks if disk.config is not None]
        drivers = [simulation_of(function).linux_module for function in functions]
        job = replace(job, modules=[*job.modules, *(name for name in drivers if name is not None)])
        with serve_devices(served, progress=progress) as own:
            begin()
            session = _boot(setup, [*_places(disks, own), *others], job, own, forward)
        session.unwritten += [line for handle in own for line in handle.unwritten]
        return session


def _places(disks: Sequence[Disk], handles: Sequence[DeviceHandle]) -> list[VfioUserDevice | OwnDisk]:
    """The devices of QEMU for ``disks``; ``handles`` are the simulated ones, in order."""
    waiting = iter(handles)
    return [
        OwnDisk(disk.image, disk.read_only)
        if disk.config is None and disk.image is not None
        else VfioUserDevice(next(waiting).socket)
        for disk in disks
    ]


def _boot(
    setup: GuestSetup,
    devices: Sequence[VfioUserDevice | OwnDisk],
    job: GuestJob,
    handles: Sequence[DeviceHandle],
    forward: Mapping[str, Callable[[bytes], None]] | None,
) -> Session:
    begin = time.monotonic()
    marks: list[Mark] = []

    def mark(name: str) -> None:
        marks.append(Mark(name, time.monotonic() - begin, [handle.stats() for handle in handles]))

    try:
        result = boot(setup.qemu, setup.files, devices, job, forward, mark)
    except GuestError as error:
        broken = [f"{handle.socket.name}: {handle.error}" for handle in handles if handle.error is not None]
        if broken:
            raise GuestError(f"a simulated device failed: {'; '.join(broken)}; {error}") from None
        raise
    configs = [handle.device.config for handle in handles]
    faces = [config.face for config in configs if isinstance(config, DeviceConfig)]
    figures = [{"face": face, **handle.stats()} for face, handle in zip(faces, handles, strict=True)]
    return Session(result, marks, figures)
