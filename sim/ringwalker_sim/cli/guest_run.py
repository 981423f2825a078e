"""What the command ``guest`` does."""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.table import Table

from ringwalker.config import DeviceConfig
from ringwalker.outputs import writing

from ..errors import RingwalkerError, noted
from ..function.blk import RUN_FOLDER
from ..function.simulation import simulation_of
from ..vm.benchmark import compare_disks
from ..vm.boot import GuestJob
from ..vm.machine import VfioUserDevice
from ..vm.qemu import VFIO_USER_MINIMUM
from ..vm.session import Disk, linux_config, run_guest
from ..vm.setup import GuestSetup, guest_setup
from ..waves.note import note_config
from ..workload.images import default_image, make_file_system
from .capture_options import captures_of, check_captures
from .devices import check_no_window, modern_config, parse_device, waves_window
from .options import UsageError, check_output, check_timeline
from .report import report_unwritten, status_line, write_json

__all__ = ["guest_command"]

_TIMEOUT_S = 600.0
_DEVICE_KEYS = ("image", "waves", "read-only", "format")
_LEAST_MEMORY = 128 << 20
"""Less, and the kernel does not start."""


def guest_command(options: argparse.Namespace) -> int:
    """``ringwalker guest``: the exit code."""
    for name in ("waves", "console", "json"):
        check_output(f"--{name}", getattr(options, name))
    check_timeline(options.timeline)
    captures = captures_of(options)
    if options.own_device and (options.waves or options.timeline or options.device or captures):
        raise UsageError(
            "--own-device: QEMU's own device has no signals, no timeline, no captures and no other settings"
        )
    if options.compare and options.timeline:
        raise UsageError("--timeline: it is of one device, and --compare has two")
    if options.compare and captures:
        raise UsageError("--pcap, --tlp-pcap: they are of one device, and --compare has two")
    if options.compare and (options.interactive or options.own_device or options.socket or options.device):
        raise UsageError("--compare goes with --image and --run only")
    if options.boot_disk:
        _check_boot_disk(options)
    guest = options.run or options.interactive or options.boot_disk or options.compare
    if not (guest or options.fetch):
        raise UsageError("nothing to do: give --run CMD, --interactive, --boot-disk, --compare or --fetch")
    _specs(options)
    if not guest:
        setup = _setup(options)
        print(f"QEMU {setup.qemu.name} from {setup.qemu.origin}; kernel {setup.files.kernel}")
        return 0
    return _compare(options) if options.compare else _run(options)


def _check_boot_disk(options: argparse.Namespace) -> None:
    for name in ("run", "compare", "root", "make_root", "kernel", "append", "iommu"):
        if getattr(options, name):
            raise UsageError(
                f"--boot-disk boots what is on the disk; --{name.replace('_', '-')} does not go with it"
            )
    if options.interrupt == "intx":
        raise UsageError("--boot-disk: the system on the disk chooses its interrupts, not --interrupt")
    if not (options.image or options.device or options.socket):
        raise UsageError("--boot-disk needs a disk: give --image")


def _setup(options: argparse.Namespace) -> GuestSetup:
    def say(text: str) -> None:
        print(f"ringwalker: {text}", file=sys.stderr, flush=True)

    return guest_setup(
        fetch=options.fetch,
        qemu=options.qemu,
        kernel=options.kernel,
        minimum=(0,) if options.own_device else VFIO_USER_MINIMUM,
        status=say,
    )


def _config(options: argparse.Namespace, function: str | None = None) -> DeviceConfig:
    """The device that was asked for, with an identity that Linux can be brought to take."""
    config = modern_config(options, function)
    taken = linux_config(config)
    if taken != config:
        old, new = config.resolved_identity, taken.resolved_identity
        print(
            f"ringwalker: Linux never takes device id {old.device:#06x}; it is {new.device:#06x} here. Bind "
            f"it with: echo {new.vendor:x} {new.device:x} > /sys/bus/pci/drivers/virtio-pci/new_id",
            file=sys.stderr,
        )
    return taken


def _specs(options: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """The devices that ``--device`` asks for, when all that is said about devices and waves can be done."""
    specs = [parse_device(text, _DEVICE_KEYS) for text in options.device]
    for function, settings in specs:
        try:
            has_image = simulation_of(function).open_disk is not None
        except RingwalkerError as error:
            raise UsageError(f"--device {function}: {error}") from None
        if has_image != ("image" in settings):
            raise UsageError(f"--device {function}: a block device has image=FILE, and no other one has")
    names = [options.waves, *(settings.get("waves") for _, settings in specs)]
    if not any(waves_window(options, name) for name in names):
        check_no_window(options)
    return specs


def _root_image(options: argparse.Namespace, setup: GuestSetup) -> Path:
    path = Path(options.make_root)
    if path.exists():
        again = f"--root --image {shlex.quote(str(path))}"
        raise UsageError(f"--make-root {path}: it exists; boot from it with {again}")
    if not path.parent.is_dir():
        raise UsageError(f"--make-root {path}: there is no folder {path.parent}")
    return make_file_system(path, options.root_size, setup.files.userland, "root")


def _disks(options: argparse.Namespace, setup: GuestSetup) -> list[Disk]:
    specs = _specs(options)
    images = [Path(name) for name in options.image]
    if options.make_root:
        images.insert(0, _root_image(options, setup))
    config = None if options.own_device else _config(options)
    has_image = config is None or simulation_of(config.function).open_disk is not None
    disks = []
    if not (images or specs or options.socket):
        if has_image:
            images.append(default_image(RUN_FOLDER / "disk.img"))
            print(f"made {images[0]}, a small ext4 image", file=sys.stderr)
        elif options.function is not None:
            disks.append(Disk(None, config))
    if config is not None and not has_image and not disks and (images or not specs):
        where = f"--config {options.config}: " if options.function is None else ""
        raise UsageError(f"{where}function {config.function} has no image")
    raw = options.format is not None
    disks += [Disk(image, config, options.read_only, raw=raw) for image in images]
    for function, settings in specs:
        read_only = options.read_only or "read-only" in settings
        image = Path(settings["image"]) if "image" in settings else None
        waves = waves_window(options, settings.get("waves"))
        raw = settings.get("format", options.format) is not None
        disks.append(Disk(image, _config(options, function), read_only, waves, raw))
    if options.waves and disks:
        disks[0] = replace(disks[0], waves=waves_window(options, options.waves))
    if options.timeline and disks:
        disks[0] = replace(disks[0], timeline=Path(options.timeline))
    if (captures := captures_of(options)) and disks:
        disks[0] = replace(disks[0], captures=check_captures(captures, disks[0].config))
    for disk in disks:
        if disk.waves is not None and disk.config is not None:
            note_config(disk.waves.path, disk.config)
    return disks


def _job(options: argparse.Namespace) -> GuestJob:
    limit = options.timeout or (None if options.interactive else _TIMEOUT_S)
    if options.memory % (1 << 20) or options.memory < _LEAST_MEMORY:
        raise UsageError(
            f"--memory is {options.memory}; it must be whole MiB, at least {_LEAST_MEMORY >> 20}M"
        )
    return GuestJob(
        command=options.run or "true",
        interactive=options.interactive,
        boot_disk=options.boot_disk,
        root=bool(options.root or options.make_root),
        root_mode="ro,noload" if options.read_only else "rw",
        interrupt=options.interrupt,
        reboot=options.reboot,
        append=options.append,
        memory_mib=options.memory >> 20,
        processors=options.processors,
        iommu=options.iommu,
        timeout_s=limit,
    )


def _run(options: argparse.Namespace) -> int:
    job = _job(options)
    setup = _setup(options)
    disks = _disks(options, setup)
    unwritten: list[str] = []
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as spinner:
        status = spinner.enter_context(status_line("building the device"))
        forward = {
            "out": _writer(sys.stdout.buffer, spinner.close),
            "err": _patient(_writer(sys.stderr.buffer, spinner.close)),
        }
        if options.boot_disk:
            forward["console"] = forward["out"]
        if options.console == "-":
            forward["console"] = forward["err"]
        elif options.console:
            # It can be read while the guest runs, so it is written in its place.
            with writing(options.console):
                log = stack.enter_context(open(options.console, "wb", buffering=0))
            forward["console"] = _log_writer(log, options.console, spinner.close, unwritten)
        session = run_guest(
            setup,
            disks,
            job,
            forward=forward,
            progress=status,
            others=[VfioUserDevice(Path(name)) for name in options.socket],
            begin=spinner.close if options.interactive else lambda: status("booting"),
        )
    unwritten += session.unwritten
    if options.json:
        with noted(unwritten):
            write_json(
                options.json,
                {"qemu": setup.qemu.name, "kernel": setup.files.kernel.name, **session.figures()},
            )
    code = report_unwritten(unwritten)
    return session.result.status or code


def _compare(options: argparse.Namespace) -> int:
    job = _job(options)
    setup = _setup(options)
    with status_line("starting") as status:
        result = compare_disks(setup, _disks(options, setup), job, status)
    unwritten: list[str] = []
    if options.json:
        with noted(unwritten):
            write_json(options.json, {"qemu_version": setup.qemu.name, **result})
    _print_comparison(result, options.json)
    return report_unwritten(unwritten)


def _print_comparison(result: Mapping[str, Any], json_name: str | None) -> None:
    table = Table(title="the same guest on two disks")
    table.add_column("")
    for title in ("QEMU", "ringwalker", "ratio"):
        table.add_column(title, justify="right")
    theirs, ours = result["qemu"], result["ringwalker"]
    for title, key, form in (
        ("boot to the last line, s", "boot_s", ".2f"),
        ("from start to end, s", "total_s", ".2f"),
        ("sequential read, MB/s", "read_mb_s", ".1f"),
    ):
        ratio = ours[key] / theirs[key]
        table.add_row(title, f"{theirs[key]:{form}}", f"{ours[key]:{form}}", f"{ratio:.2f}")
    table.add_row("sequential read, cycles a byte", "", f"{ours['cycles_per_byte']:.4f}", "")
    Console(stderr=json_name == "-", highlight=False).print(table)


def _writer(stream: BinaryIO, before: Callable[[], None]) -> Callable[[bytes], None]:
    """Writes bytes at once, after ``before()``, which clears the terminal of what else is there."""

    def write(data: bytes) -> None:
        before()
        stream.write(data)
        stream.flush()

    return write


def _patient(write: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """``write`` for standard error, which a guest outlives as this process does."""

    def write_if_taken(data: bytes) -> None:
        with contextlib.suppress(OSError):
            write(data)

    return write_if_taken


def _log_writer(
    file: BinaryIO, name: str, before: Callable[[], None], unwritten: list[str]
) -> Callable[[bytes], None]:
    """As :func:`_writer`. Once the file ``name`` can take no more, that is noted, and the guest runs on."""
    lost = False

    def write(data: bytes) -> None:
        nonlocal lost
        before()
        while data and not lost:
            lost = True
            with noted(unwritten), writing(name):
                data = data[file.write(data) :]
                lost = False

    return write
