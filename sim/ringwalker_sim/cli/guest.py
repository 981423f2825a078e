"""The command ``guest``: a stock QEMU with an unmodified Linux, and the simulated device as its disk."""

import argparse
from typing import Any

from ..vm.machine import IOMMUS
from .capture_options import add_capture_options
from .devices import add_waves_options
from .options import (
    add_command,
    add_device_options,
    add_image_options,
    add_model_option,
    add_timeline_option,
    byte_count,
    positive,
)

__all__ = ["EXIT_NO_GUEST", "add_parser", "run"]

EXIT_NO_GUEST = 125
"""The guest could not be started, or ended without an exit status."""
_EXAMPLES = """\
examples:
  ringwalker guest --fetch --interactive
      bring QEMU and Linux into the cache, make a small disk, and log in to a guest that has it
  ringwalker guest --image disk.img --run 'md5sum /dev/vda'
      run a command; its output, and its exit status as that of ringwalker
  ringwalker guest --make-root root.img --run 'mount; df /'
      a guest with / on the simulated disk
  ringwalker guest --image a.img --image b.img --interrupt intx --run 'cat /proc/interrupts'
  ringwalker guest --image disk.img --run 'dd if=/dev/vda of=/dev/null bs=4k count=1' --waves read.fst
  ringwalker guest --image disk.img --run 'md5sum /dev/vda' --timeline read.pftrace
      where each request of the guest was when; open it at ui.perfetto.dev
  ringwalker guest --device rng --run 'head -c 16 /dev/hwrng | od -An -tx1'
      a guest that has the entropy device in place of a disk
  ringwalker guest --image system.img --boot-disk --interactive
      the firmware boots what is on the disk, from its boot sector on
  ringwalker guest --image disk.img --compare
      the same guest on QEMU's own virtio-blk, and how the times compare

In the guest the disks are /dev/vda, /dev/vdb, ...; there are busybox, mkfs.ext4 and e2fsck. Without
--preset and --config the device has the identity that Linux knows (oasis).
Exit codes: that of the guest's command; 125 when the guest could not be started or broke down, 124 when
its time was up, 2 for a bad option or an output that cannot be written, 130 interrupted.
"""


def add_parser(commands: Any) -> None:
    """Add ``guest`` to the commands."""
    text = "boot an unmodified Linux in QEMU with the device as its disk"
    parser = add_command(commands, "guest", text, _EXAMPLES, run)
    parser.set_defaults(exit_failed=EXIT_NO_GUEST)
    _job_options(parser)
    _disk_options(parser)
    add_device_options(parser)
    _machine_options(parser)
    add_model_option(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="write waves of the first device")
    add_waves_options(output)
    add_timeline_option(output, " of the first device")
    add_capture_options(output, " of the first device")
    output.add_argument("--console", metavar="FILE", help="write what the kernel says ('-': standard error)")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")


def _job_options(parser: Any) -> None:
    group = parser.add_argument_group("what to do")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--run", metavar="CMD", help="run CMD in the guest's shell, then stop the guest")
    what.add_argument(
        "--interactive", action="store_true", help="a shell on this terminal; control-A x ends it"
    )
    text = (
        "the firmware boots the first disk, with no other kernel; the first serial port is standard output "
        "(with --interactive this terminal)"
    )
    group.add_argument("--boot-disk", action="store_true", help=text)
    text = "boot with copies of the images, once on the device and once on QEMU's own virtio-blk; compare"
    group.add_argument("--compare", action="store_true", help=text)
    text = "install QEMU, a kernel and a userland into the cache, if they are not there"
    group.add_argument("--fetch", action="store_true", help=text)


def _disk_options(parser: Any) -> None:
    group = parser.add_argument_group("disks")
    text = "disk image; may be given again (default: a small ext4 image is made)"
    group.add_argument("--image", metavar="FILE", action="append", default=[], help=text)
    text = (
        "a device, such as blk,image=FILE,waves=FILE.fst,read-only,format=raw, with commas in names doubled; "
        "comes after the images"
    )
    group.add_argument("--device", metavar="SPEC", action="append", default=[], help=text)
    add_image_options(group, "no image")
    group.add_argument("--root", action="store_true", help="/ is on the first disk, an ext4 file system")
    text = "make FILE, an ext4 file system with a userland, and have / on it"
    group.add_argument("--make-root", metavar="FILE", help=text)
    text = "bytes of what --make-root makes (default 64M)"
    group.add_argument("--root-size", metavar="N", type=byte_count, default=64 << 20, help=text)
    text = "a device that 'ringwalker serve' offers at this socket; comes after all others"
    group.add_argument("--socket", metavar="FILE", action="append", default=[], help=text)
    text = "give the images to QEMU's own virtio-blk, to compare by hand"
    group.add_argument("--own-device", action="store_true", help=text)


def _machine_options(parser: Any) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--qemu", metavar="FILE", help="qemu-system-x86_64, 10.1 or newer (or RINGWALKER_QEMU)"
    )
    group.add_argument("--kernel", metavar="FILE", help="kernel to boot; its modules lie in /lib/modules")
    group.add_argument(
        "--append", metavar="WORDS", default="", help="more words for the kernel's command line"
    )
    group.add_argument(
        "--memory", metavar="N", type=byte_count, default=256 << 20, help="bytes (default 256M)"
    )
    text = "processors of the guest (default 1); Linux uses a queue of a disk for each"
    group.add_argument("--processors", metavar="N", type=positive, default=1, help=text)
    text = "an IOMMU between the devices and memory, and switched on in the kernel"
    group.add_argument("--iommu", choices=tuple(IOMMUS), help=text)
    text = "intx boots the kernel with pci=nomsi (default msix)"
    group.add_argument("--interrupt", choices=("msix", "intx"), default="msix", help=text)
    group.add_argument("--reboot", action="store_true", help="a reboot starts the guest again, not ends it")
    text = "stop the guest after so many seconds (default 600; with --interactive there is no limit)"
    group.add_argument("--timeout", metavar="S", type=positive, help=text)


def run(options: argparse.Namespace) -> int:
    """``ringwalker guest``."""
    from .guest_run import guest_command

    return guest_command(options)
