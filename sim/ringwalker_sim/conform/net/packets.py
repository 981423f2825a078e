"""Packets of the network checks: made from their fields, and taken apart again.

Checksums are ones' complement sums. Ref: RFC 791, 8200 (IP), 768 (UDP), 9293 (TCP), 7348 (VXLAN),
8926 (GENEVE), 2003 (IP in IP).
"""

from dataclasses import dataclass

__all__ = [
    "CWR",
    "ETHERNET_BYTES",
    "TCP",
    "UDP",
    "VLAN_BYTES",
    "Layers",
    "complete",
    "ethernet",
    "geneve",
    "inner_layers",
    "ipv4",
    "ipv6",
    "is_valid",
    "layers",
    "ones_sum",
    "pseudo_sum",
    "tcp",
    "udp",
    "vxlan",
]

ETHERNET_BYTES = 14
VLAN_BYTES = 4
TCP, UDP = 6, 17
CWR = 0x80
"""The flag of TCP that says that the window was reduced after congestion."""

_IPV4, _IPV6, _VLAN, _BRIDGED = 0x0800, 0x86DD, 0x8100, 0x6558
_VXLAN_PORT, _GENEVE_PORT = 4789, 6081
_IP_IN_IP = 4
_HOP_BY_HOP, _ROUTING, _OPTIONS = 0, 43, 60
_HOME_ADDRESS = 201


def ones_sum(*parts: bytes) -> int:
    """The ones' complement sum of 16-bit words, folded; each part is padded to whole words."""
    total = 0
    for part in parts:
        data = part + b"\0" * (len(part) & 1)
        total += sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Layers:
    """Where the headers of a packet are: offsets of the ``network`` and the ``transport`` header, the ``end``
    of the datagram, its IP ``version`` and ``protocol``, and the addresses. ``extended``: there are extension
    headers of IPv6; ``home`` and ``route`` are the addresses in them that a hash takes."""

    network: int
    version: int
    transport: int
    end: int
    protocol: int
    source: bytes
    target: bytes
    extended: bool = False
    home: bytes | None = None
    route: bytes | None = None

    @property
    def checksum_place(self) -> int:
        """Where the checksum of the transport header is; 0 if the transport has none."""
        return self.transport + {TCP: 16, UDP: 6}[self.protocol] if self.protocol in (TCP, UDP) else 0

    def ports(self, frame: bytes) -> bytes:
        """Source and destination port."""
        return frame[self.transport : self.transport + 4]

    def headers_end(self, frame: bytes) -> int:
        """Where the transport's payload begins."""
        return (
            self.transport + (frame[self.transport + 12] >> 4) * 4
            if self.protocol == TCP
            else self.transport + 8
        )


def layers(frame: bytes) -> Layers | None:
    """The outermost IP datagram of an Ethernet frame; None if there is none."""
    return _behind_ethernet(frame, 0)


def _behind_ethernet(frame: bytes, start: int) -> Layers | None:
    at = start + 12
    kind = int.from_bytes(frame[at : at + 2], "big")
    while kind == _VLAN:
        at += VLAN_BYTES
        kind = int.from_bytes(frame[at : at + 2], "big")
    return _network(frame, at + 2) if kind in (_IPV4, _IPV6) else None


def _network(frame: bytes, at: int) -> Layers | None:
    version = frame[at] >> 4 if at < len(frame) else 0
    if version == 4 and len(frame) >= at + 20:
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        transport = at + 4 * (frame[at] & 15)
        addresses = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
        return Layers(at, 4, transport, at + length, frame[at + 9], *addresses)
    if version != 6 or len(frame) < at + 40:
        return None
    length = int.from_bytes(frame[at + 4 : at + 6], "big")
    addresses = frame[at + 8 : at + 24], frame[at + 24 : at + 40]
    protocol, place, home, route = frame[at + 6], at + 40, None, None
    extended = False
    while protocol in (_HOP_BY_HOP, _ROUTING, _OPTIONS) and place + 8 <= len(frame):
        extended, size = True, 8 * (frame[place + 1] + 1)
        if protocol == _OPTIONS and frame[place + 2] == _HOME_ADDRESS:
            home = frame[place + 4 : place + 20]
        elif protocol == _ROUTING and frame[place + 2] == 2:
            route = frame[place + 8 : place + 24]
        protocol, place = frame[place], place + size
    return Layers(at, 6, place, at + 40 + length, protocol, *addresses, extended, home, route)


def inner_layers(frame: bytes) -> Layers | None:
    """The datagram inside a tunnel (VXLAN, GENEVE with Ethernet inside, IP in IP); None if there is none."""
    outer = layers(frame)
    if outer is None:
        return None
    if outer.protocol == _IP_IN_IP:
        return _network(frame, outer.transport)
    if outer.protocol != UDP:
        return None
    port, tunnel = (
        int.from_bytes(frame[outer.transport + 2 : outer.transport + 4], "big"),
        outer.transport + 8,
    )
    if port == _VXLAN_PORT:
        return _behind_ethernet(frame, tunnel + 8)
    if port == _GENEVE_PORT and int.from_bytes(frame[tunnel + 2 : tunnel + 4], "big") == _BRIDGED:
        return _behind_ethernet(frame, tunnel + 8 + 4 * (frame[tunnel] & 0x3F))
    return None


def pseudo_sum(frame: bytes, found: Layers) -> int:
    """The sum of the pseudo header of a datagram's transport."""
    length = (found.end - found.transport).to_bytes(4, "big")
    target = found.route or found.target
    return ones_sum(found.source, target, length, found.protocol.to_bytes(4, "big"))


def is_valid(frame: bytes, found: Layers) -> bool:
    """Whether the checksum of TCP or UDP is right, or is one of IPv4's UDP that is left out."""
    stored = frame[found.checksum_place : found.checksum_place + 2]
    if found.protocol == UDP and found.version == 4 and stored == b"\0\0":
        return True
    content = frame[found.transport : found.end]
    return ones_sum(pseudo_sum(frame, found).to_bytes(2, "big"), content) == 0xFFFF


def complete(frame: bytes, start: int, offset: int) -> bytes:
    """The frame with the sum from ``start`` to its end, complemented, stored ``offset`` bytes behind it."""
    result = ones_sum(frame[start:]) ^ 0xFFFF
    return frame[: start + offset] + result.to_bytes(2, "big") + frame[start + offset + 2 :]


# --- what packets are made of ------------------------------------------------------------------------------


def ethernet(target: bytes, source: bytes, payload: bytes, vlan: int | None = None) -> bytes:
    """A frame with an IP datagram in it, tagged with ``vlan``."""
    tag = b"" if vlan is None else _VLAN.to_bytes(2, "big") + vlan.to_bytes(2, "big")
    kind = _IPV4 if payload[0] >> 4 == 4 else _IPV6
    return target + source + tag + kind.to_bytes(2, "big") + payload


def ipv4(source: bytes, target: bytes, protocol: int, payload: bytes) -> bytes:
    """A datagram; the checksum of ``payload`` is filled in."""
    head = bytes([0x45, 0]) + (20 + len(payload)).to_bytes(2, "big") + bytes([0, 1, 0x40, 0, 64, protocol])
    total = ones_sum(head, source, target) ^ 0xFFFF
    return _filled(head + total.to_bytes(2, "big") + source + target + payload)


def ipv6(source: bytes, target: bytes, protocol: int, payload: bytes, home: bytes | None = None) -> bytes:
    """A datagram; the checksum of ``payload`` is filled in. With ``home`` there are destination options with
    that home address."""
    options = b""
    if home is not None:
        options = bytes([protocol, 2, _HOME_ADDRESS, 16]) + home + bytes([1, 2, 0, 0])
        protocol = _OPTIONS
    length = (len(options) + len(payload)).to_bytes(2, "big")
    return _filled(b"\x60\0\0\0" + length + bytes([protocol, 64]) + source + target + options + payload)


def _filled(datagram: bytes) -> bytes:
    found = _network(datagram, 0)
    assert found is not None
    place = found.checksum_place
    if not place:
        return datagram
    blank = datagram[:place] + b"\0\0" + datagram[place + 2 :]
    total = ones_sum(pseudo_sum(blank, found).to_bytes(2, "big"), blank[found.transport :]) ^ 0xFFFF
    return blank[:place] + (total or 0xFFFF).to_bytes(2, "big") + blank[place + 2 :]


def tcp(source: int, target: int, payload: bytes, flags: int = 0x18) -> bytes:
    """A segment without its checksum."""
    ports = source.to_bytes(2, "big") + target.to_bytes(2, "big")
    return ports + (1).to_bytes(4, "big") + bytes(4) + bytes([0x50, flags, 1, 0, 0, 0, 0, 0]) + payload


def udp(source: int, target: int, payload: bytes) -> bytes:
    """A datagram of UDP without its checksum."""
    ports = source.to_bytes(2, "big") + target.to_bytes(2, "big")
    return ports + (8 + len(payload)).to_bytes(2, "big") + b"\0\0" + payload


def vxlan(frame: bytes) -> bytes:
    """A datagram of UDP with a frame inside."""
    return udp(49152, _VXLAN_PORT, b"\x08" + bytes(7) + frame)


def geneve(frame: bytes) -> bytes:
    """A datagram of UDP with a frame inside."""
    return udp(49152, _GENEVE_PORT, b"\0\0" + _BRIDGED.to_bytes(2, "big") + bytes(4) + frame)
