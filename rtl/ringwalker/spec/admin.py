"""Group administration commands: the command and its answer, opcodes, groups, resource objects.

Ref: virtio 1.4, 2.12 (device groups, group administration commands) and 2.13 (administration virtqueues).
"""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "AdminAnswer",
    "AdminCapability",
    "AdminCapabilityHeader",
    "AdminCommand",
    "AdminGroup",
    "AdminOpcode",
    "AdminQualifier",
    "AdminResource",
    "AdminStatus",
    "ResourceFlags",
    "ResourceHeader",
]


class AdminOpcode(enum.IntEnum):
    """``opcode`` of a command. Where the table of opcodes and the sections differ, the sections count."""

    LIST_QUERY = 0x0
    LIST_USE = 0x1
    LEGACY_COMMON_CFG_WRITE = 0x2
    LEGACY_COMMON_CFG_READ = 0x3
    LEGACY_DEV_CFG_WRITE = 0x4
    LEGACY_DEV_CFG_READ = 0x5
    LEGACY_NOTIFY_INFO = 0x6
    CAP_ID_LIST_QUERY = 0x7
    DEVICE_CAP_GET = 0x8
    DRIVER_CAP_SET = 0x9
    RESOURCE_OBJ_CREATE = 0xA
    RESOURCE_OBJ_MODIFY = 0xB
    RESOURCE_OBJ_QUERY = 0xC
    RESOURCE_OBJ_DESTROY = 0xD
    DEV_PARTS_METADATA_GET = 0xE
    DEV_PARTS_GET = 0xF
    DEV_PARTS_SET = 0x10
    DEV_MODE_SET = 0x11


class AdminGroup(enum.IntEnum):
    """``group_type`` of a command: whom it is about."""

    SELF = 0
    """The device itself, member 0."""
    SR_IOV = 1
    """The virtual functions of the device, members 1 to NumVFs, while VF Enable is set."""


class AdminStatus(enum.IntEnum):
    """``status`` of an answer: numbers of Linux errors."""

    OK = 0
    ENXIO = 6
    EAGAIN = 11
    ENOMEM = 12
    EBUSY = 16
    EEXIST = 17
    EINVAL = 22
    ENOSPC = 28


class AdminQualifier(enum.IntEnum):
    """``status_qualifier`` of an answer."""

    OK = 0
    INVALID_COMMAND = 1
    INVALID_OPCODE = 2
    INVALID_FIELD = 3
    INVALID_GROUP = 4
    INVALID_MEMBER = 5
    NORESOURCE = 6
    TRYAGAIN = 7


class AdminCommand(data.Struct):
    """The start of the device-readable part; the data of the command follows."""

    opcode: unsigned(16)
    group_type: unsigned(16)
    reserved: data.ArrayLayout(8, 12)
    group_member_id: unsigned(64)


class AdminAnswer(data.Struct):
    """The start of the device-writable part; the result of the command follows."""

    status: unsigned(16)
    status_qualifier: unsigned(16)
    reserved: data.ArrayLayout(8, 4)


class AdminCapability(enum.IntEnum):
    """Ids of capabilities of all device types; from 0x800 on they belong to a type."""

    DEV_PARTS = 0x0000


class AdminCapabilityHeader(data.Struct):
    """Data of DEVICE_CAP_GET, and the start of that of DRIVER_CAP_SET: the capability follows."""

    id: unsigned(16)
    reserved: data.ArrayLayout(8, 6)


class AdminResource(enum.IntEnum):
    """Types of resource objects of all device types; from 0x200 on they belong to a type."""

    DEV_PARTS = 0x000


class ResourceHeader(data.Struct):
    """The start of the data of every command about a resource object."""

    type: unsigned(16)
    reserved: data.ArrayLayout(8, 2)
    id: unsigned(32)


class ResourceFlags(data.Struct):
    """What follows the header in all but DESTROY; the object's own data is behind it."""

    flags: unsigned(64)
