"""TLPs as packets of a capture: a link type for users, and a head of 16 bytes in front of each TLP.

All numbers of the head are big-endian.

| bytes | what |
|---|---|
| 0 | version, 1 |
| 1 | direction: 0 from the device to the host, 1 from the host to the device |
| 2, 3 | bytes of the TLP on the link, with framing, sequence number and LCRC |
| 4 to 7 | how long it occupied the link, in ps |
| 8 to 15 | the cycle of the device's clock by which it had arrived |

Behind it the TLP stands as on the wire, from its first header byte to its last payload byte, without prefixes
and digest. The time of the packet is that of its arrival.

Ref: tcpdump.org, "Link-layer header types" (LINKTYPE_USER0).
"""

from pathlib import Path

__all__ = ["DISSECTOR", "LINK_TYPE", "TLP_HEAD_BYTES", "TLP_HEAD_VERSION"]

LINK_TYPE = 147
"""LINKTYPE_USER0."""

TLP_HEAD_BYTES = 16
TLP_HEAD_VERSION = 1

DISSECTOR = Path(__file__).with_name("ringwalker_tlp.lua")
"""What shows them in Wireshark and tshark."""
