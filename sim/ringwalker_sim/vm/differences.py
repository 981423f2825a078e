"""The known differences between this project's block device and QEMU's, and the reasons for them."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DIFFERENCES", "WORDS", "Difference"]

WORDS = {
    "msix": "with MSI-X",
    "intx": "with INTx",
    "split": "with split rings",
    "packed": "with packed rings",
    "one queue": "with one queue",
    "more queues": "with four queues",
    "modern device": "on a modern device",
    "legacy device": "on a legacy device",
    "transitional device": "on a transitional device",
    "modern registers": "on a modern or transitional device",
    "legacy registers": "on a legacy or transitional device",
    "modern face": "through the modern face",
    "legacy face": "through the legacy face",
}
"""What a case can be, and what the page calls it."""


@dataclass(frozen=True)
class Difference:
    """A difference: its reason ``why``, and ``values``: the two values as text, QEMU's first, by observation
    (a pattern with ``*``). It shows in the cases that have all of the words ``only``.
    """

    title: str
    why: str
    values: Mapping[str, tuple[str, str]]
    only: tuple[str, ...] = ()


_PARTS = ((1, 1), (1, 2), (1, 3), (1, 5), (1, 6), (1, 7), (2, 1), (2, 2), (2, 5), (2, 6))
"""Bytes of a part of a register, and its offset in the legacy header."""

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Subsystem",
        "The specification leaves the choice of subsystem vendor and device id to the device. QEMU has one "
        "id for all its devices; this device has 0x40 plus the virtio device type.",
        {"header subsystem_id": ("4352", "66")},
        ("modern device",),
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
        ("modern registers",),
    ),
    Difference(
        "Length of the structures",
        "QEMU gives every structure a whole page. Here the length is that of its fields, so that a driver "
        "can tell which fields exist. The offsets are the same.",
        {
            "structure COMMON": ("bar 0x4 offset 0x0 size 0x1000", "bar 0x4 offset 0x0 size 0x40"),
            "structure ISR": ("bar 0x4 offset 0x1000 size 0x1000", "bar 0x4 offset 0x1000 size 0x1"),
            "structure DEVICE": ("bar 0x4 offset 0x2000 size 0x1000", "bar 0x4 offset 0x2000 size 0x24"),
        },
        ("modern registers",),
    ),
    Difference(
        "Length of the notification structure, one queue",
        "As the other structures: here it is four bytes for each queue.",
        {"structure NOTIFY": ("bar 0x4 offset 0x3000 size 0x1000", "bar 0x4 offset 0x3000 size 0x4")},
        ("modern registers", "one queue"),
    ),
    Difference(
        "Length of the notification structure, four queues",
        "As the other structures: here it is four bytes for each queue.",
        {"structure NOTIFY": ("bar 0x4 offset 0x3000 size 0x1000", "bar 0x4 offset 0x3000 size 0x10")},
        ("modern registers", "more queues"),
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
        },
        ("modern face",),
    ),
    Difference(
        "Addresses and order of a platform",
        "This device offers VIRTIO_F_ACCESS_PLATFORM and VIRTIO_F_ORDER_PLATFORM, as a card behind an IOMMU "
        "should. QEMU, as started for this page, does not offer them. The driver accepts both.",
        {
            "feature ACCESS_PLATFORM": ("0", "1"),
            "feature ORDER_PLATFORM": ("0", "1"),
            "accepted feature ACCESS_PLATFORM": ("0", "1"),
            "accepted feature ORDER_PLATFORM": ("0", "1"),
        },
        ("modern face",),
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
        },
    ),
    Difference(
        "The number of queues of a device that has one",
        "It belongs to VIRTIO_BLK_F_MQ, which neither device offers with one queue.",
        {"config num_queues": ("1", "0")},
        ("one queue",),
    ),
    Difference(
        "A queue that does not exist",
        "The specification defines only the size of such a queue, 0. Here all of its fields read 0.",
        {
            "*, no such queue: queue_msix_vector": ("65535", "0"),
            "*, no such queue: queue_notify_off": ("31", "0"),
        },
        ("modern registers",),
    ),
    Difference(
        "A queue that does not exist, of a legacy device",
        "The same.",
        {"*, no such queue: queue_msix_vector": ("65535", "0")},
        ("legacy device", "msix"),
    ),
    Difference(
        "ISR status with MSI-X",
        "QEMU sets the queue bit of the ISR status also when it sends an MSI-X message. The specification "
        "requires it for INTx only.",
        {"after requests: isr_status": ("1", "0")},
        ("msix",),
    ),
    Difference(
        "Registers after a reset by the driver",
        "QEMU keeps the two feature selectors over a device reset, and so shows the upper half of the "
        "features. Here all read-write registers return to their reset values.",
        {
            "reset again: device_feature_select": ("1", "0"),
            "reset again: driver_feature_select": ("1", "0"),
            "reset again: device_feature": ("high half", "low half"),
        },
        ("modern face",),
    ),
    Difference(
        "Used length of a refused request",
        "QEMU counts the data buffers also when it has not written them. Here the used length counts the "
        "written bytes from the first writable one on. The data before the status was not written, so the "
        "used length is 0.",
        {
            "*read across the end: used len": ("1025", "0"),
            "*read after the end: used len": ("513", "0"),
            "*read at the largest sector: used len": ("513", "0"),
            "*read of half a sector: used len": ("257", "0"),
            "*unknown type with data: used len": ("513", "0"),
        },
    ),
    Difference(
        "Used descriptors of packed rings",
        "The specification says with the flag WRITE of a used descriptor that its length counts. QEMU never "
        "sets it. Here it is set when the length is not 0.",
        {"*: used flag WRITE": ("0", "1")},
        ("packed",),
    ),
    Difference(
        "A chain without room for a header",
        "QEMU stops the device. Here the ring itself is valid, so the device returns the chain with a used "
        "length of 0, leaves the status byte as it was, and goes on.",
        {
            "no readable descriptor: used": ("0", "1"),
            "header of 15 bytes: used": ("0", "1"),
        },
    ),
    Difference(
        "The driver hears of a chain without room for a header",
        "This follows from it.",
        {
            "no readable descriptor: needs reset": ("1", "0"),
            "no readable descriptor: config interrupts": ("1", "0"),
            "header of 15 bytes: needs reset": ("1", "0"),
            "header of 15 bytes: config interrupts": ("1", "0"),
        },
        ("modern face",),
    ),
    Difference(
        "An available index ahead by more than the ring",
        "Both devices stop. QEMU first takes chains from the ring, and stops when more are in flight than "
        "the ring holds. This device refuses the index before it takes any chain.",
        {"index ahead by the ring: status": ("0", "255")},
        ("split",),
    ),
    Difference(
        "An indirect table in an indirect table",
        "The specification does not allow the flag INDIRECT in an indirect table. QEMU takes no notice of it "
        "in those of split rings; on packed rings both devices stop.",
        {
            "indirect in indirect: needs reset": ("0", "1"),
            "indirect in indirect: used": ("1", "0"),
            "indirect in indirect: status": ("0", "255"),
            "indirect in indirect: config interrupts": ("0", "1"),
        },
        ("split",),
    ),
    Difference(
        "Size of the legacy BAR",
        "Header, vectors and device configuration are 60 bytes. QEMU has fields behind them.",
        {"bar 0": ("io 0x80", "io 0x40")},
        ("legacy registers",),
    ),
    Difference(
        "The legacy doorbell is read",
        "The specification does not say what it reads as.",
        {"*: queue_notify": ("65535", "0")},
        ("legacy registers",),
    ),
    Difference(
        "Parts of registers of the legacy header",
        "QEMU knows whole registers only: a byte or a word in one reads as ones. Here the header is read and "
        "written in bytes, words and dwords.",
        {f"header, {size} bytes at {at}: as in the dword": ("0", "1") for size, at in _PARTS},
        ("legacy face",),
    ),
    Difference(
        "A word at an odd address",
        "QEMU does not take it in its device configuration.",
        {"configuration, 2 bytes at 1: as in the dword": ("0", "1")},
        ("legacy face",),
    ),
    Difference(
        "Bit 30 of the legacy features",
        "QEMU offers a bit that no driver may accept, to find drivers that accept everything.",
        {"feature bit 30": ("1", "0")},
        ("legacy face",),
    ),
    Difference(
        "Features of a legacy device",
        "Without its modern face QEMU offers the SCSI commands of old, bit 7, and only takes requests with "
        "the header in a descriptor of its own.",
        {
            "feature bit 7": ("1", "0"),
            "feature ANY_LAYOUT": ("0", "1"),
            "accepted feature ANY_LAYOUT": ("0", "1"),
        },
        ("legacy device",),
    ),
    Difference(
        "A device that has failed, through the legacy face",
        "Both devices stop. The legacy interface knows no DEVICE_NEEDS_RESET, and QEMU does not show it "
        "there. Here it shows in both faces, and a configuration change is notified.",
        {"*: needs reset": ("0", "1"), "*: config interrupts": ("0", "1")},
        ("legacy face",),
    ),
    Difference(
        "What a legacy driver has written, through the modern face",
        "QEMU has registers of the modern face beside the state of its queues, which only drivers of that "
        "face write. Here both faces are views of the same registers.",
        {
            "*, other face: driver_feature": ("0", "low half"),
            "*, other face: queue_enable": ("0", "1"),
            "*, other face: queue_desc": ("0", "set"),
            "*, other face: queue_driver": ("0", "set"),
            "*, other face: queue_device": ("0", "set"),
        },
        ("transitional device", "legacy face"),
    ),
)
"""All known differences, in the order of the page."""
