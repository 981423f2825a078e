"""The console device: queues, features, configuration. Ref: virtio 1.4, 5.3."""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

from .registers import Access, Register, RegisterTable

__all__ = [
    "CONSOLE_CONFIG",
    "CONSOLE_CONTROL_RECEIVE_QUEUE",
    "CONSOLE_CONTROL_TRANSMIT_QUEUE",
    "CONSOLE_RECEIVE_QUEUE",
    "CONSOLE_TRANSMIT_QUEUE",
    "ConsoleControl",
    "ConsoleEvent",
    "ConsoleFeature",
]

CONSOLE_RECEIVE_QUEUE = 0
CONSOLE_TRANSMIT_QUEUE = 1
"""Queue numbers of port 0."""

CONSOLE_CONTROL_RECEIVE_QUEUE = 2
CONSOLE_CONTROL_TRANSMIT_QUEUE = 3
"""Queue numbers of control messages (MULTIPORT)."""


class ConsoleFeature(enum.IntEnum):
    """Bit numbers."""

    SIZE = 0
    MULTIPORT = 1
    EMERG_WRITE = 2


class ConsoleControl(data.Struct):
    """A control message (MULTIPORT); a name or a size may follow."""

    id: unsigned(32)
    event: unsigned(16)
    value: unsigned(16)


class ConsoleEvent(enum.IntEnum):
    """``event`` of a control message."""

    DEVICE_READY = 0
    DEVICE_ADD = 1
    DEVICE_REMOVE = 2
    PORT_READY = 3
    CONSOLE_PORT = 4
    RESIZE = 5
    PORT_OPEN = 6
    PORT_NAME = 7


CONSOLE_CONFIG = RegisterTable(
    "console_config",
    "Device configuration of the console (struct virtio_console_config).",
    (
        Register("cols", 0x00, 16, Access.RO, "Columns of the terminal (SIZE)."),
        Register("rows", 0x02, 16, Access.RO, "Rows of the terminal (SIZE)."),
        Register("max_nr_ports", 0x04, 32, Access.RO, "Most ports (MULTIPORT)."),
        Register("emerg_wr", 0x08, 32, Access.WO, "Byte 0 is sent out at once (EMERG_WRITE)."),
    ),
)
