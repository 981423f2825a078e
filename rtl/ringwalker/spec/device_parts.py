"""Device parts: the state of a device, as administration commands get and set it.

Ref: virtio 1.4, 2.12.1.4 (commands) and 2.14 (parts).
"""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "PARTS_IN_ORDER",
    "DevPart",
    "DevPartFlag",
    "DevPartHeader",
    "DevPartsCapability",
    "DevPartsGet",
    "DevPartsMetadata",
    "DevPartsObject",
    "DevPartsObjectType",
    "DevPartsSelector",
    "VqConfigPart",
    "VqNotifyPart",
]


class DevPartsCapability(data.Struct):
    """The capability: most objects to get parts, and to set them."""

    get_limit: unsigned(8)
    set_limit: unsigned(8)


class DevPartsObjectType(enum.IntEnum):
    """``type`` of the resource object."""

    GET = 0
    SET = 1


class DevPartsObject(data.Struct):
    """The data of the resource object."""

    type: unsigned(8)
    reserved: data.ArrayLayout(8, 7)


class DevPartsSelector(data.Struct):
    """What follows the resource's header in METADATA_GET and GET."""

    type: unsigned(8)
    reserved: data.ArrayLayout(8, 7)


class DevPartsMetadata(enum.IntEnum):
    """``type`` of METADATA_GET: bytes of all parts, their number, their headers."""

    SIZE = 0
    COUNT = 1
    LIST = 2


class DevPartsGet(enum.IntEnum):
    """``type`` of GET."""

    SELECTED = 0
    ALL = 1


class DevPart(enum.IntEnum):
    """``part_type``."""

    DEV_FEATURES = 0x100
    DRV_FEATURES = 0x101
    PCI_COMMON_CFG = 0x102
    DEVICE_STATUS = 0x103
    VQ_CFG = 0x104
    VQ_NOTIFY_CFG = 0x105


PARTS_IN_ORDER = tuple(DevPart)
"""The order in which parts are got and set."""


class DevPartFlag(enum.IntFlag):
    """``flags`` of a part."""

    OPTIONAL = 1


class DevPartHeader(data.Struct):
    """In front of the value of a part. ``selector`` is an offset in the common configuration, or the index
    of a queue."""

    part_type: unsigned(16)
    flags: unsigned(8)
    reserved: unsigned(8)
    selector: unsigned(32)
    selector_high: unsigned(32)
    length: unsigned(32)


class VqConfigPart(data.Struct):
    """The value of VQ_CFG."""

    size: unsigned(16)
    vector: unsigned(16)
    enabled: unsigned(16)
    reserved: unsigned(16)
    desc: unsigned(64)
    driver: unsigned(64)
    device: unsigned(64)


class VqNotifyPart(data.Struct):
    """The value of VQ_NOTIFY_CFG."""

    notify_off: unsigned(16)
    notif_config_data: unsigned(16)
    reserved: data.ArrayLayout(8, 4)
