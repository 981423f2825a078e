"""The known differences between this project's block device and QEMU's, and the reasons for them."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DIFFERENCES", "Difference"]


@dataclass(frozen=True)
class Difference:
    """A difference: its reason ``why``, and ``values``: the two values as text, QEMU's first, by observation
    (a pattern with ``*``). It shows in the cases that have all of the words ``only``.
    """

    title: str
    why: str
    values: Mapping[str, tuple[str, str]]
    only: tuple[str, ...] = ()


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
        },
    ),
    Difference(
        "Length of the notification structure, one queue",
        "As the other structures: here it is four bytes for each queue.",
        {"structure NOTIFY": ("bar 0x4 offset 0x3000 size 0x1000", "bar 0x4 offset 0x3000 size 0x4")},
        ("split",),
    ),
    Difference(
        "Length of the notification structure, four queues",
        "As the other structures: here it is four bytes for each queue.",
        {"structure NOTIFY": ("bar 0x4 offset 0x3000 size 0x1000", "bar 0x4 offset 0x3000 size 0x10")},
        ("packed",),
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
        ("split",),
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
)
"""All known differences, in the order of the page."""
