"""Where this project's block device and QEMU's behave differently, why, and a check that this is all.

``python -m ringwalker_sim.vm.comparison docs/qemu-comparison.md`` writes the page.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig, Identity

from ..engine.engines import open_engine
from ..memory import DiskImage, GuestMemory
from .machine import OwnDisk
from .observation import disk_content, observe
from .qemu import Qemu
from .qtest import qtest_machine

__all__ = ["DIFFERENCES", "Comparison", "Difference", "compare", "document", "judge"]


@dataclass(frozen=True)
class Difference:
    """Something that the two devices do differently: ``why``, and by what is looked at (a pattern with ``*``)
    the two values, QEMU's first, as text. ``interrupt``: only in this mode, if not None.
    """

    title: str
    why: str
    values: Mapping[str, tuple[str, str]]
    interrupt: str | None = None


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Subsystem",
        "The specification asks for a subsystem vendor and device id and leaves the choice open. QEMU has "
        "one id for all its devices, this device repeats the virtio device type.",
        {"header subsystem_id": ("4352", "2")},
    ),
    Difference(
        "Place on PCI Express",
        "Directly on the root complex QEMU's device is a conventional one. This device always has the PCI "
        "Express capability, since payload sizes are set there, and the power management capability that "
        "belongs to it.",
        {"capability PCI_EXPRESS": ("0", "1"), "capability POWER_MANAGEMENT": ("0", "1")},
    ),
    Difference(
        "Prefetchable BAR",
        "Reading the ISR status clears it, so the BAR that has it is not marked prefetchable here.",
        {"bar 4": ("64-bit prefetchable 0x4000", "64-bit 0x4000")},
    ),
    Difference(
        "Length of the structures",
        "QEMU gives every structure a whole page. Here the length is what there is, so that a driver can "
        "tell which fields exist; the places are the same.",
        {
            "structure COMMON": ("bar 0x4 offset 0x0 size 0x1000", "bar 0x4 offset 0x0 size 0x40"),
            "structure ISR": ("bar 0x4 offset 0x1000 size 0x1000", "bar 0x4 offset 0x1000 size 0x1"),
            "structure DEVICE": ("bar 0x4 offset 0x2000 size 0x1000", "bar 0x4 offset 0x2000 size 0x24"),
            "structure NOTIFY": ("bar 0x4 offset 0x3000 size 0x1000", "bar 0x4 offset 0x3000 size 0x4"),
        },
    ),
    Difference(
        "Features",
        "QEMU offers more: geometry, topology, the cache mode, discard and write zeroes. This device offers "
        "what it implements.",
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
        "This device offers VIRTIO_F_NOTIFICATION_DATA, with which it need not read the available index. "
        "QEMU, as it is started for this page, does not.",
        {
            "feature NOTIFICATION_DATA": ("0", "1"),
            "running: device_feature": ("257", "321"),
            "after requests: device_feature": ("257", "321"),
        },
    ),
    Difference(
        "Fields that belong to those features",
        "A field of device configuration without its feature is 0 here. QEMU fills in some of them also when "
        "the feature was not negotiated.",
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
        "The specification says of such a queue only that its size reads 0. Here all of its fields read 0.",
        {
            "*, no such queue: queue_msix_vector": ("65535", "0"),
            "*, no such queue: queue_notify_off": ("31", "0"),
        },
    ),
    Difference(
        "ISR status with MSI-X",
        "QEMU sets the queue bit of the ISR status also when it sends a message. The specification asks for "
        "it with INTx only.",
        {"after requests: isr_status": ("1", "0")},
        "msix",
    ),
    Difference(
        "Registers after a reset by the driver",
        "QEMU keeps the two feature selectors over a reset of the device, and so shows the upper half of the "
        "features. Here all read-write registers get back their reset values.",
        {
            "reset again: device_feature_select": ("1", "0"),
            "reset again: driver_feature_select": ("1", "0"),
            "reset again: device_feature": ("257", "805306948"),
        },
    ),
    Difference(
        "Used length of a refused request",
        "QEMU counts the data buffers also when it has not written them. Here the used length counts bytes "
        "from the first writable one on that were written; the status lies behind data that was not, so it "
        "is 0.",
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
        "QEMU stops the device. Here the ring itself is sound, so the chain is given back with the used "
        "length 0 and an untouched status, and the device goes on.",
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
        "Both stop the device. QEMU first takes the chains that the ring shows and notices when more are "
        "under way than fit; here the index is refused before any chain is looked at.",
        {"index ahead by the ring: status": ("0", "255")},
    ),
)
"""All that is known to differ, in the order of the page."""


@dataclass
class Comparison:
    """What came of a comparison: how many observations agree, and the ``unexplained`` and ``missing`` ones.

    ``unexplained``: what differs and is not in :data:`DIFFERENCES`. ``missing``: entries of it that did not
    show.
    """

    agreeing: int
    unexplained: list[str]
    missing: list[str]


def judge(theirs: Mapping[str, Any], ours: Mapping[str, Any], interrupt: str) -> Comparison:
    """Hold two tables of :func:`~.observation.observe`, QEMU's and ours, against :data:`DIFFERENCES`."""
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


def compare(qemu: Qemu, interrupt: str = "msix") -> Comparison:
    """Drive QEMU's virtio-blk-pci and this project's device with the same requests, and compare all that
    shows.

    What is on the two disks in the end is compared too. Errors: those of the engines and of QEMU.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        paths = [Path(name) / item for item in ("theirs.img", "ours.img")]
        for path in paths:
            disk_content().tofile(path)
        with qtest_machine(qemu, [OwnDisk(paths[0])]) as port:
            theirs = port.run(observe(port, interrupt))
            memory = GuestMemory(port.memory.size, port.memory.base)
        config = DeviceConfig(identity=Identity(preset="oasis"))
        with DiskImage(paths[1]) as disk, open_engine("native", config, memory, disk) as port:
            ours = port.run(observe(port, interrupt))
        result = judge(theirs, ours, interrupt)
        if paths[0].read_bytes() != paths[1].read_bytes():
            result.unexplained.append("the contents of the two disks differ in the end")
        return result


_INTRODUCTION = """\
# This device beside QEMU's virtio-blk-pci

The guest driver of this project drives QEMU's own block device through QEMU's test socket, and this project's
device on the native engine, with the same requests, well-formed and malformed. Registers after every step,
features, device configuration, used rings, statuses, data, interrupts and the disks in the end are compared,
with MSI-X and with INTx. Some 350 observations agree. What differs is listed here, all of it: a test fails
for a difference that is not on this page, and for an entry that no longer shows. This page is made from the
table in `sim/ringwalker_sim/vm/comparison.py`.
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
    Path(sys.argv[1]).write_text(document())
