"""What can be chosen about the network function."""

import re
from dataclasses import dataclass

from ...checks import check, check_flag, check_power, check_range

__all__ = ["NetSettings"]

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


@dataclass(frozen=True)
class NetSettings:
    """The network function."""

    mac: str = "52:57:00:00:00:01"
    """The address after reset."""
    mtu: int = 1500
    """Most bytes of payload in a frame."""
    buffer_bytes: int = 16384
    """Size of the receive buffer, which holds whole frames until the driver has buffers for them."""
    pause: bool = True
    """While the receive buffer is full, the MAC has to wait; otherwise frames are dropped."""

    def __post_init__(self):
        ok = isinstance(self.mac, str) and _MAC.fullmatch(self.mac) is not None
        check(ok, "net.mac", self.mac, "six hexadecimal bytes with colons between them")
        check(
            not self.address[0] & 1, "net.mac", self.mac, "an address of one station (bit 0 of byte 0 clear)"
        )
        check_range("net.mtu", self.mtu, 68, 9216)
        check_power("net.buffer_bytes", self.buffer_bytes, 2048, 1 << 20)
        check(
            self.buffer_bytes >= 2 * self.frame_bytes,
            "net.buffer_bytes",
            self.buffer_bytes,
            f"at least two frames of {self.frame_bytes} bytes, since net.mtu is {self.mtu}",
        )
        check_flag("net.pause", self.pause)

    @property
    def address(self) -> bytes:
        """``mac`` as six bytes."""
        return bytes.fromhex(self.mac.replace(":", ""))

    @property
    def frame_bytes(self) -> int:
        """The longest frame, without its check sequence: payload, header, and one VLAN tag."""
        return self.mtu + 18
