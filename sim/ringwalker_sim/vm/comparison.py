"""The differences between this project's block device and QEMU's, their reasons, and a check of the list.

``python -m ringwalker_sim.vm.comparison docs/qemu-comparison.md`` writes the page.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.outputs import write_file

from ..disk_image import DiskImage
from ..engine.engines import open_engine
from ..memory import GuestMemory
from .machine import OwnDisk
from .observation import disk_content, observe
from .qemu import Qemu
from .qtest import qtest_machine
from .session import LINUX_CONFIG

__all__ = ["DIFFERENCES", "Comparison", "Difference", "compare", "document", "judge"]


@dataclass(frozen=True)
class Difference:
    """A difference: its reason ``why``, and ``values``: the two values as text, QEMU's first, by observation
    (a pattern with ``*``). ``interrupt`` is the only mode in which it shows, or None.
    """

    title: str
    why: str
    values: Mapping[str, tuple[str, str]]
    interrupt: str | None = None


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Subsystem",
        "The specification leaves the choice of subsystem vendor and device id to the device. QEMU has one "
        "id for all its devices; this device repeats the virtio device type.",
        {"header subsystem_id": ("4352", "2")},
    ),
    Difference(
        "Capabilities of PCI Express",
        "On the root complex bus QEMU's device is a conventional PCI device. This device always has the PCI "
        "Express capability, which sets its payload sizes, and with it the power management capability.",
        {"capability PCI_EXPRESS": ("0", "1"), "capability POWER_MANAGEMENT": ("0", "1")},
    ),
    Difference(
        "Prefetchable BAR",
        "A read of the ISR status clears it, so its BAR is not marked as prefetchable here.",
        {"bar 4": ("64-bit prefetchable 0x4000", "64-bit 0x4000")},
    ),
    Difference(
        "Length of the structures",
        "QEMU gives every structure a whole page. Here the length is that of its fields, so that a driver "
        "can tell which fields exist. The offsets are the same.",
        {
            "structure COMMON": ("bar 0x4 offset 0x0 size 0x1000", "bar 0x4 offset 0x0 size 0x40"),
            "structure ISR": ("bar 0x4 offset 0x1000 size 0x1000", "bar 0x4 offset 0x1000 size 0x1"),
            "structure DEVICE": ("bar 0x4 offset 0x2000 size 0x1000", "bar 0x4 offset 0x2000 size 0x24"),
            "structure NOTIFY": ("bar 0x4 offset 0x3000 size 0x1000", "bar 0x4 offset 0x3000 size 0x4"),
        },
    ),
    Difference(
        "Features",
        "QEMU offers more features: geometry, topology, the cache mode, discard and write zeroes. This "
        "device does not implement them.",
        {
            "feature GEOMETRY": ("1", "0"),
            "feature TOPOLOGY": ("1", "0"),
            "feature CONFIG_WCE": ("1", "0"),
            "feature DISCARD": ("1", "0"),
            "feature WRITE_ZEROES": ("1", "0"),
            "after reset: device_feature": ("805334612", "805306948"),
        },
    ),
    Difference(
        "Notifications that carry the index",
        "This device offers VIRTIO_F_NOTIFICATION_DATA; with it, it need not read the available index. With "
        "VIRTIO_F_NOTIF_CONFIG_DATA it says itself how a notification names a queue. QEMU, as started for "
        "this page, offers neither.",
        {
            "feature NOTIFICATION_DATA": ("0", "1"),
            "feature NOTIF_CONFIG_DATA": ("0", "1"),
            "running: device_feature": ("257", "475"),
            "after requests: device_feature": ("257", "475"),
        },
    ),
    Difference(
        "Addresses and order of a platform",
        "This device offers VIRTIO_F_ACCESS_PLATFORM and VIRTIO_F_ORDER_PLATFORM, as a card behind an IOMMU "
        "should, and VIRTIO_F_IN_ORDER. QEMU, as started for this page, does not offer them. The driver "
        "accepts the first two.",
        {
            "feature ACCESS_PLATFORM": ("0", "1"),
            "feature IN_ORDER": ("0", "1"),
            "feature ORDER_PLATFORM": ("0", "1"),
            "negotiated": ("0x10100000244", "0x11300000244"),
            "running: driver_feature": ("257", "275"),
            "after requests: driver_feature": ("257", "275"),
        },
    ),
    Difference(
        "Fields that belong to those features",
        "A field of device configuration is 0 here without its feature. QEMU sets some of these fields also "
        "when their feature was not negotiated.",
        {
            "config cylinders": ("4", "0"),
            "config heads": ("16", "0"),
            "config sectors": ("63", "0"),
            "config writeback": ("1", "0"),
            "config num_queues": ("1", "0"),
        },
    ),
    Difference(
        "A queue that does not exist",
        "The specification defines only the size of such a queue, 0. Here all of its fields read 0.",
        {
            "*, no such queue: queue_msix_vector": ("65535", "0"),
            "*, no such queue: queue_notify_off": ("31", "0"),
        },
    ),
    Difference(
        "ISR status with MSI-X",
        "QEMU sets the queue bit of the ISR status also when it sends an MSI-X message. The specification "
        "requires it for INTx only.",
        {"after requests: isr_status": ("1", "0")},
        "msix",
    ),
    Difference(
        "Registers after a reset by the driver",
        "QEMU keeps the two feature selectors over a device reset, and so shows the upper half of the "
        "features. Here all read-write registers return to their reset values.",
        {
            "reset again: device_feature_select": ("1", "0"),
            "reset again: driver_feature_select": ("1", "0"),
            "reset again: device_feature": ("257", "805306948"),
        },
    ),
    Difference(
        "Used length of a refused request",
        "QEMU counts the data buffers also when it has not written them. Here the used length counts the "
        "written bytes from the first writable one on. The data before the status was not written, so the "
        "used length is 0.",
        {
            "read across the end: used len": ("1025", "0"),
            "read after the end: used len": ("513", "0"),
            "read at the largest sector: used len": ("513", "0"),
            "read of half a sector: used len": ("257", "0"),
            "unknown type with data: used len": ("513", "0"),
        },
    ),
    Difference(
        "A chain without room for a header",
        "QEMU stops the device. Here the ring itself is valid, so the device returns the chain with a used "
        "length of 0, leaves the status byte as it was, and goes on.",
        {
            "no readable descriptor: needs reset": ("1", "0"),
            "no readable descriptor: used": ("0", "1"),
            "no readable descriptor: config interrupts": ("1", "0"),
            "header of 15 bytes: needs reset": ("1", "0"),
            "header of 15 bytes: used": ("0", "1"),
            "header of 15 bytes: config interrupts": ("1", "0"),
        },
    ),
    Difference(
        "An available index ahead by more than the ring",
        "Both devices stop. QEMU first takes chains from the ring, and stops when more are in flight than "
        "the ring holds. This device refuses the index before it takes any chain.",
        {"index ahead by the ring: status": ("0", "255")},
    ),
)
"""All known differences, in the order of the page."""


@dataclass
class Comparison:
    """The result of a comparison: the number of observations that agree, and two lists.

    ``unexplained``: differences that are not in :data:`DIFFERENCES`. ``missing``: entries of
    :data:`DIFFERENCES` that did not show.
    """

    agreeing: int
    unexplained: list[str]
    missing: list[str]


def judge(theirs: Mapping[str, Any], ours: Mapping[str, Any], interrupt: str) -> Comparison:
    """Compare two tables of :func:`~.observation.observe`, QEMU's and ours, with :data:`DIFFERENCES`."""
    expected = {
        pattern: values
        for item in DIFFERENCES
        if item.interrupt in (None, interrupt)
        for pattern, values in item.values.items()
    }
    unused = set(expected)
    agreeing, unexplained = 0, []
    for key in {**theirs, **ours}:
        pair = str(theirs.get(key, "nothing")), str(ours.get(key, "nothing"))
        if pair[0] == pair[1]:
            agreeing += 1
            continue
        matching = [
            pattern for pattern, values in expected.items() if fnmatchcase(key, pattern) and values == pair
        ]
        unused -= set(matching)
        if not matching:
            unexplained.append(f"{key}: QEMU {pair[0]}, here {pair[1]}")
    return Comparison(agreeing, unexplained, sorted(unused))


def compare(qemu: Qemu, interrupt: str = "msix", config: DeviceConfig = LINUX_CONFIG) -> Comparison:
    """Drive QEMU's virtio-blk-pci and this project's device of ``config`` with the same requests.

    All observations are compared. The final contents of the two disks are compared too.
    Errors: those of the engines and of QEMU.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        paths = [Path(name) / item for item in ("theirs.img", "ours.img")]
        for path in paths:
            disk_content().tofile(path)
        with qtest_machine(qemu, [OwnDisk(paths[0])]) as port:
            theirs = port.run(observe(port, interrupt))
            memory = GuestMemory(port.memory.size, port.memory.base)
        with DiskImage(paths[1]) as disk, open_engine("native", config, memory, disk) as port:
            ours = port.run(observe(port, interrupt))
        result = judge(theirs, ours, interrupt)
        if paths[0].read_bytes() != paths[1].read_bytes():
            result.unexplained.append("the final contents of the two disks differ")
        return result


_INTRODUCTION = """\
# This device beside QEMU's virtio-blk-pci

The guest driver of this project drives QEMU's own block device through QEMU's test socket, and this
project's device on the native engine, with the same valid and invalid requests. The comparison covers
registers after every step, features, device configuration, used rings, statuses, data, interrupts and the
final contents of the disks, with MSI-X and with INTx. Some 350 observations agree. This page lists every
difference: a test fails for one that is not listed, and for an entry that no longer shows. The page is made
from the table in `sim/ringwalker_sim/vm/comparison.py`.
"""


def document(differences: Sequence[Difference] = DIFFERENCES) -> str:
    """The page for the docs, in Markdown."""
    parts = [_INTRODUCTION]
    for item in differences:
        only = f" Only with {'MSI-X' if item.interrupt == 'msix' else 'INTx'}." if item.interrupt else ""
        parts.append(f"## {item.title}\n\n{item.why}{only}\n\n| | QEMU | Ringwalker |\n|---|---|---|")
        rows = "".join(f"| {key} | {theirs} | {ours} |\n" for key, (theirs, ours) in item.values.items())
        parts[-1] += "\n" + rows
    return "\n".join(parts)


if __name__ == "__main__":
    write_file(sys.argv[1], document())
