"""The console device: queues, features, configuration. Ref: virtio 1.4, 5.3."""

import enum

from .registers import Access, Register, RegisterTable

__all__ = ["CONSOLE_CONFIG", "CONSOLE_RECEIVE_QUEUE", "CONSOLE_TRANSMIT_QUEUE", "ConsoleFeature"]

CONSOLE_RECEIVE_QUEUE = 0
CONSOLE_TRANSMIT_QUEUE = 1
"""Queue numbers of port 0."""


class ConsoleFeature(enum.IntEnum):
    """Bit numbers."""

    SIZE = 0
    MULTIPORT = 1
    EMERG_WRITE = 2


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
