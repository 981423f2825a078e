"""The fields of the list of 2007 that hold the registers of device configuration."""

from dataclasses import dataclass

from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.console import CONSOLE_CONFIG
from ringwalker.spec.fields import BlkField, ConsoleField, FieldFlag, NetField
from ringwalker.spec.net import NET_CONFIG
from ringwalker.spec.registers import Access, Register, RegisterTable

__all__ = ["DEVICE_FIELDS", "DeviceField", "device_fields", "locate"]


@dataclass(frozen=True)
class DeviceField:
    """A field of type ``kind``. Its value is the adjacent registers ``rows``, in their order.

    ``length`` is in bytes; 0 stands for the length of the registers. ``volatile``: the device may change it.
    """

    kind: int
    rows: tuple[Register, ...]
    volatile: bool = False
    length: int = 0

    @property
    def start(self) -> int:
        """Offset of the first register in the device's configuration."""
        return self.rows[0].offset

    @property
    def size(self) -> int:
        """Length of the value in bytes."""
        return self.length or sum(row.size for row in self.rows)

    @property
    def flags(self) -> FieldFlag:
        """The flags in the header of the field."""
        writable = any(row.access in (Access.RW, Access.WO) for row in self.rows)
        return (FieldFlag.WRITABLE if writable else FieldFlag(0)) | (
            FieldFlag.VOLATILE if self.volatile else FieldFlag(0)
        )


DEVICE_FIELDS: dict[str, tuple[DeviceField, ...]] = {
    BLK_CONFIG.name: (
        DeviceField(BlkField.CAPACITY, (BLK_CONFIG.capacity,), volatile=True),
        DeviceField(BlkField.SEGMENTS, (BLK_CONFIG.seg_max,)),
        DeviceField(BlkField.BLOCK_SIZE, (BLK_CONFIG.blk_size,)),
        DeviceField(BlkField.QUEUES, (BLK_CONFIG.num_queues,)),
    ),
    NET_CONFIG.name: (
        DeviceField(NetField.MAC, (NET_CONFIG.mac,)),
        DeviceField(NetField.MEDIA, (NET_CONFIG.status,), volatile=True),
        DeviceField(NetField.MTU, (NET_CONFIG.mtu,)),
        DeviceField(NetField.MODE, (NET_CONFIG.rx_mode,)),
    ),
    CONSOLE_CONFIG.name: (
        DeviceField(ConsoleField.SIZE, (CONSOLE_CONFIG.cols, CONSOLE_CONFIG.rows), volatile=True),
        DeviceField(ConsoleField.EMERGENCY_WRITE, (CONSOLE_CONFIG.emerg_wr,), length=1),
    ),
}
"""The fields of each table of device configuration, by its name."""

_OWN = 0x40
"""The first field type that is specific to a device type."""


def device_fields(table: RegisterTable) -> tuple[DeviceField, ...]:
    """The fields of ``table``. A device type that is newer than 2007 has one field for each register."""
    known = DEVICE_FIELDS.get(table.name)
    return known or tuple(DeviceField(_OWN + 1 + n, (row,), volatile=True) for n, row in enumerate(table))


def locate(table: RegisterTable, name: str) -> tuple[int, int] | None:
    """The type of the field that holds register ``name``, and the offset in its value; None without one."""
    for field in device_fields(table):
        for row in field.rows:
            if row.name == name:
                return field.kind, row.offset - field.start
    return None
