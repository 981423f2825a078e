"""Boots a guest, runs a command in it, and returns its output."""

import contextlib
import math
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ParameterError
from ..toolchain import ToolError
from .channels import Channels
from .fetch import GuestFiles
from .initramfs import BLOCK_MODULES, build_initramfs, module_closure
from .machine import (
    IOMMUS,
    SERIAL_PORTS,
    OwnDisk,
    VfioUserDevice,
    device_options,
    machine_options,
    serial_options,
)
from .qemu import Qemu

__all__ = ["GuestError", "GuestJob", "GuestResult", "GuestTimeout", "boot"]

_PANIC = b"Kernel panic - not syncing"
_EXIT_WITH_PARENT = (10, 2)
"""The first version of QEMU that can end with its parent process."""
_TAIL_LINES = 12
_NOTHING_BOOTED = b"No bootable device."
"""What SeaBIOS says last when no disk can be booted."""
_DISK_FIRST = ("-boot", "order=c,reboot-timeout=0")
"""The firmware boots a disk, and resets at once when it cannot."""


class GuestError(ToolError):
    """The guest failed; the message has the last lines of its console."""


class GuestTimeout(GuestError):
    """The guest was still running at its time limit."""

    exit_code = 124


@dataclass(frozen=True)
class GuestJob:
    """The job of a guest: a shell ``command``, or ``interactive``.

    With ``boot_disk`` the firmware boots the first disk; there is no other kernel and no command, and the job
    ends when the machine is switched off or resets. With ``root``, / is on the first disk, an ext4 file
    system with a userland. ``interrupt`` is ``"msix"`` or ``"intx"``. With ``reboot`` a reboot starts the
    guest again; else it ends QEMU. ``timeout_s`` None is no limit. ``files`` are in /run of the guest.
    ``append`` is added to the kernel's command line. ``iommu`` is one of :data:`~.machine.IOMMUS`, between
    the devices and memory, or None.
    """

    command: str = "true"
    interactive: bool = False
    boot_disk: bool = False
    root: bool = False
    root_mode: str = "rw"
    interrupt: str = "msix"
    reboot: bool = False
    append: str = ""
    memory_mib: int = 256
    processors: int = 1
    iommu: str | None = None
    modules: Sequence[str] = BLOCK_MODULES
    files: Mapping[str, bytes] = field(default_factory=dict)
    timeout_s: float | None = 300.0

    def __post_init__(self) -> None:
        if self.interrupt not in ("msix", "intx"):
            raise ParameterError(f"interrupt is {self.interrupt!r}; it must be 'msix' or 'intx'")
        if self.iommu is not None and self.iommu not in IOMMUS:
            raise ParameterError(f"iommu is {self.iommu!r}; it must be None or one of {', '.join(IOMMUS)}")

    @property
    def kernel_options(self) -> str:
        """The kernel's command line."""
        options = ["console=ttyS0", "panic=-1"]
        options += ["pci=nomsi"] if self.interrupt == "intx" else []
        # On a busy machine the kernel's check of its timer is too short for interrupts that are remapped.
        options += ["intel_iommu=on", "no_timer_check"] if self.iommu == "intel" else []
        options += ["quiet"] if self.interactive else []
        options += [self.append] if self.append else []
        return " ".join(options)


@dataclass
class GuestResult:
    """``status`` is the exit status of the command, ``stdout`` and ``stderr`` are its output.

    ``console`` is the output of the kernel, or of a disk that was booted; ``firmware`` that of the BIOS.
    ``boot_s`` is the time in seconds from the start of QEMU to the end of the boot, when the command starts;
    ``total_s`` the time to the end of QEMU. ``uptimes_s`` are the guest's uptimes at the end of each boot.
    """

    status: int = -1
    stdout: bytes = b""
    stderr: bytes = b""
    console: str = ""
    firmware: str = ""
    boot_s: float = 0.0
    total_s: float = 0.0
    uptimes_s: list[float] = field(default_factory=list)


class _Run:
    """The output of a running guest."""

    def __init__(self, forward: Mapping[str, Callable[[bytes], None]], mark: Callable[[str], None]):
        self.begin = time.monotonic()
        self.output = {name: bytearray() for name in (*SERIAL_PORTS, "firmware")}
        self.panicked = False
        self.result = GuestResult()
        self.why = ""
        self._forward = forward
        self._mark = mark
        self._lines = 0
        self._ended = False

    def sink(self, name: str) -> Callable[[bytes], None]:
        """The function for received bytes of channel ``name``."""

        def take(data: bytes) -> None:
            kept = self.output[name]
            start = max(0, len(kept) - len(_PANIC))
            kept += data
            if name in self._forward:
                self._forward[name](data)
            if name == "state":
                self._states()
            elif name == "console" and kept.find(_PANIC, start) >= 0:
                self.panicked = True

        return take

    def _states(self) -> None:
        lines = self.output["state"].split(b"\n")[:-1]
        for line in lines[self._lines :]:
            word, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            if word == "ready":
                self.result.boot_s = self.result.boot_s or time.monotonic() - self.begin
                self.result.uptimes_s.append(float(rest))
            elif word == "mark":
                self._mark(rest)
            elif word == "status":
                number, _, self.why = rest.partition(" ")
                self.result.status = int(number)
                self._ended = True
        self._lines = len(lines)

    @property
    def has_status(self) -> bool:
        """Whether the guest has reported the exit status."""
        return self._ended

    def tail(self) -> str:
        """The last lines of the console, for messages."""
        lines = self.output["console"].decode("utf-8", "replace").replace("\r", "").splitlines()
        return "".join(f"\n  {line}" for line in lines[-_TAIL_LINES:] if line.strip())

    def finish(self) -> GuestResult:
        """The result, after all output has arrived."""
        self.result.total_s = time.monotonic() - self.begin
        self.result.stdout, self.result.stderr = bytes(self.output["out"]), bytes(self.output["err"])
        for name in ("console", "firmware"):
            text = self.output[name].decode("utf-8", "replace").replace("\r", "")
            setattr(self.result, name, text)
        return self.result


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Restore the settings of the terminal on standard input at the end of the block."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _kernel(files: GuestFiles, job: GuestJob, folder: Path) -> list[str]:
    """Options for the kernel and its initramfs, which is made in ``folder``."""
    initramfs = folder / "initramfs.gz"
    settings = {
        "ROOT": "/dev/vda" if job.root else "",
        "ROOT_MODE": job.root_mode,
        "INTERACTIVE": "1" if job.interactive else "",
    }
    modules = module_closure(files.modules, job.modules)
    initramfs.write_bytes(build_initramfs(files.userland, modules, job.command, settings, files=job.files))
    return ["-kernel", str(files.kernel), "-initrd", str(initramfs), "-append", job.kernel_options]


def _command(
    qemu: Qemu,
    files: GuestFiles,
    devices: Sequence[VfioUserDevice | OwnDisk],
    job: GuestJob,
    folder: Path,
    channels: Channels,
) -> list[str]:
    sockets = {name: channels.path(name) for name in SERIAL_PORTS}
    firmware = str(channels.path("firmware")).replace(",", ",,")
    return [
        *qemu.command,
        *machine_options(job.memory_mib, processors=job.processors, iommu=job.iommu),
        *(("-run-with", "exit-with-parent=on") if qemu.version >= _EXIT_WITH_PARENT else ()),
        *(() if job.reboot else ("-no-reboot",)),
        *serial_options(sockets, job.interactive),
        *("-chardev", f"socket,id=firmware,path={firmware}"),
        *("-device", "isa-debugcon,iobase=0x402,chardev=firmware"),
        *(_DISK_FIRST if job.boot_disk else _kernel(files, job, folder)),
        *device_options(devices),
    ]


def boot(
    qemu: Qemu,
    files: GuestFiles,
    devices: Sequence[VfioUserDevice | OwnDisk],
    job: GuestJob,
    forward: Mapping[str, Callable[[bytes], None]] | None = None,
    mark: Callable[[str], None] = lambda _name: None,
) -> GuestResult:
    """Boot a guest with ``devices``, run ``job``, and wait for its end.

    ``forward``: functions for the bytes of ``"out"``, ``"err"`` or ``"console"``, called as they arrive.
    ``mark`` is called with NAME when the guest's command runs ``mark NAME``.
    Errors: :class:`GuestError` when the guest ends without an exit status (QEMU does not start, the kernel
    panics, a device is lost), :class:`GuestTimeout` after ``job.timeout_s``. QEMU has always ended on return.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name, _terminal_kept():
        folder = Path(name)
        run = _Run(forward or {}, mark)
        sinks = {channel: run.sink(channel) for channel in run.output if not _on_terminal(channel, job)}
        with Channels(folder, sinks) as channels, open(folder / "stderr", "w+b") as errors:
            command = _command(qemu, files, devices, job, folder, channels)
            run.begin = time.monotonic()
            deadline = run.begin + (math.inf if job.timeout_s is None else job.timeout_s)
            source = None if job.interactive else subprocess.DEVNULL
            target = None if job.interactive else subprocess.DEVNULL
            try:
                process = subprocess.Popen(
                    command, stdin=source, stdout=target, stderr=errors, env=qemu.variables()
                )
            except OSError as error:
                raise GuestError(f"{command[0]}: {error.strerror}") from None
            try:
                ended = channels.pump(process.pid, deadline, lambda: run.panicked)
            finally:
                _stop(process)
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip()
        result = run.finish()
        _judge(run, job, ended, said, process.returncode)
        return result


def _on_terminal(channel: str, job: GuestJob) -> bool:
    return channel == "console" and job.interactive


def _judge(run: _Run, job: GuestJob, ended: bool, said: str, code: int) -> None:
    """Raise :class:`GuestError` unless the guest has ended with an exit status."""
    if run.panicked:
        raise GuestError(f"the guest's kernel panicked; the end of its console:{run.tail()}")
    if not ended:
        reason = f"the end of its console:{run.tail()}"
        if not run.output["console"] and not run.output["firmware"]:
            reason = "it has no output at all. Does another guest use one of its devices?"
        raise GuestTimeout(f"the guest did not end in {job.timeout_s:g} s; {reason}")
    if run.why:
        raise GuestError(f"{run.why}; the end of the guest's console:{run.tail()}")
    if job.boot_disk and _NOTHING_BOOTED in run.output["firmware"]:
        log = run.output["firmware"].decode("ascii", "replace").splitlines()
        tries = "".join(f"\n  {line}" for line in log if line.startswith("Boot"))
        raise GuestError(f"the firmware has nothing to boot:{tries}")
    if run.has_status or ((job.interactive or job.boot_disk) and code == 0):
        run.result.status = max(run.result.status, 0)
        return
    lines = [line for line in said.splitlines() if ": warning: " not in line]
    reason = "".join(f"\n  {line}" for line in lines[-3:])
    if code:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        raise GuestError(f"QEMU {how}:{reason}{run.tail()}")
    raise GuestError(f"the guest stopped or rebooted before its command had ended:{reason}{run.tail()}")
