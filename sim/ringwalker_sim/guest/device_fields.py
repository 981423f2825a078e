"""Which fields of the list of 2007 hold which registers of a device's configuration."""

from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.console import CONSOLE_CONFIG
from ringwalker.spec.fields import BlkField, ConsoleField, NetField
from ringwalker.spec.net import NET_CONFIG
from ringwalker.spec.registers import Register, RegisterTable

__all__ = ["DEVICE_FIELDS", "device_fields", "locate"]

DEVICE_FIELDS: dict[str, tuple[tuple[int, tuple[Register, ...]], ...]] = {
    BLK_CONFIG.name: (
        (BlkField.CAPACITY, (BLK_CONFIG.capacity,)),
        (BlkField.SEGMENTS, (BLK_CONFIG.seg_max,)),
        (BlkField.BLOCK_SIZE, (BLK_CONFIG.blk_size,)),
        (BlkField.QUEUES, (BLK_CONFIG.num_queues,)),
    ),
    NET_CONFIG.name: (
        (NetField.MAC, (NET_CONFIG.mac,)),
        (NetField.MEDIA, (NET_CONFIG.status,)),
        (NetField.MTU, (NET_CONFIG.mtu,)),
        (NetField.MODE, (NET_CONFIG.rx_mode,)),
    ),
    CONSOLE_CONFIG.name: (
        (ConsoleField.SIZE, (CONSOLE_CONFIG.cols, CONSOLE_CONFIG.rows)),
        (ConsoleField.EMERGENCY_WRITE, (CONSOLE_CONFIG.emerg_wr,)),
    ),
}
"""By table of device configuration: each type of field and the registers that its value consists of."""

_OWN = 0x40
"""The first type of field that belongs to the device."""


def device_fields(table: RegisterTable) -> tuple[tuple[int, tuple[Register, ...]], ...]:
    """The fields of a device's own. A device that 2007 does not know has one for each register."""
    known = DEVICE_FIELDS.get(table.name)
    return known or tuple((_OWN + 1 + n, (row,)) for n, row in enumerate(table))


def locate(table: RegisterTable, name: str) -> tuple[int, int] | None:
    """The type of the field that holds register ``name``, and the offset in its value; None if none does."""
    for kind, rows in device_fields(table):
        offset = 0
        for row in rows:
            if row.name == name:
                return kind, offset
            offset += row.size
    return None
