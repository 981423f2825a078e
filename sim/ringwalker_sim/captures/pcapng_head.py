"""The head of a pcapng file: its section, and the one interface whose packets follow.

The packets themselves are made into blocks in C++ (``src/capture.h``): scapy takes 2 us for each, a tenth of
what the simulation takes, when Python has them.

Ref: draft-ietf-opsawg-pcapng, 3.5 (options), 4.1 (Section Header Block), 4.2 (Interface Description Block).
"""

import struct
import sys

__all__ = ["pcapng_head"]

_SECTION, _INTERFACE = 0x0A0D0D0A, 1
_MAGIC = 0x1A2B3C4D
_END, _USER_APPLICATION, _NAME, _DESCRIPTION, _RESOLUTION = 0, 4, 2, 3, 9
_NANOSECONDS = bytes([9])
_ORDER = "<" if sys.byteorder == "little" else ">"


def _option(code: int, value: bytes) -> bytes:
    return struct.pack(f"{_ORDER}HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack(f"{_ORDER}I", 12 + len(body))
    return struct.pack(f"{_ORDER}I", kind) + size + body + size


def pcapng_head(link_type: int, name: str, description: str) -> bytes:
    """The head for packets of ``link_type`` on interface ``name``, with times in ns.

    The byte order is that of the machine.
    """
    section = struct.pack(f"{_ORDER}IHHq", _MAGIC, 1, 0, -1)
    section += _option(_USER_APPLICATION, b"Ringwalker") + _option(_END, b"")
    interface = struct.pack(f"{_ORDER}HHI", link_type, 0, 0)
    interface += _option(_NAME, name.encode()) + _option(_DESCRIPTION, description.encode())
    interface += _option(_RESOLUTION, _NANOSECONDS) + _option(_END, b"")
    return _block(_SECTION, section) + _block(_INTERFACE, interface)
