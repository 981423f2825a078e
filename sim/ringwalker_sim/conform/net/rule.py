"""What the header of a received packet may say: one rule for every packet that any check receives.

Ref: virtio 1.4, 5.1.6.4.1 (Device Requirements: Processing of Incoming Packets).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ringwalker.spec.features import Feature
from ringwalker.spec.net import NetFeature, NetGso, NetHeaderFlag

from ..check import Nonconformance
from .header import PacketHeader, has_feature
from .packets import (
    CWR,
    ETHERNET_BYTES,
    TCP,
    UDP,
    VLAN_BYTES,
    Layers,
    complete,
    inner_layers,
    is_valid,
    layers,
    ones_sum,
    pseudo_sum,
)

__all__ = ["GUEST_OFFLOADS", "judge"]

GUEST_OFFLOADS = (
    NetFeature.GUEST_TSO4,
    NetFeature.GUEST_TSO6,
    NetFeature.GUEST_UFO,
    NetFeature.GUEST_USO4,
    NetFeature.GUEST_USO6,
)
"""With one of these packets may come that need segmentation."""

_ALLOWED_BY = {
    NetGso.TCPV4: ("net-04.07", (NetFeature.GUEST_TSO4,)),
    NetGso.UDP: ("net-04.08", (NetFeature.GUEST_UFO,)),
    NetGso.TCPV6: ("net-04.09", (NetFeature.GUEST_TSO6,)),
    NetGso.UDP_L4: ("net-04.10", (NetFeature.GUEST_USO4, NetFeature.GUEST_USO6)),
}
_TUNNELS = NetGso.UDP_TUNNEL_IPV4 | NetGso.UDP_TUNNEL_IPV6
_SECURITY = NetHeaderFlag.SECURITY | NetHeaderFlag.SECURITY_ERR | NetHeaderFlag.SECURITY_SA_SOFT_EXPIRY_WARN

Fault = tuple[str, str]
"""A clause, and what breaks it."""


@dataclass(frozen=True)
class _Packet:
    features: int
    header: PacketHeader
    frame: bytes
    mtu: int | None
    security: int

    def has(self, *any_of: int) -> bool:
        return has_feature(self.features, *any_of)

    def flag(self, flag: NetHeaderFlag) -> bool:
        return bool(self.header.flags & flag)

    @property
    def kind(self) -> int:
        """``gso_type`` without its bits."""
        return self.header.gso_type & ~int(_TUNNELS | NetGso.ECN)

    @property
    def tunnels(self) -> int:
        return self.header.gso_type & _TUNNELS


def judge(
    features: int, header: PacketHeader, frame: bytes, *, mtu: int | None = None, security: int = 0
) -> None:
    """Whether a device may pass ``frame`` with ``header`` to a driver that has negotiated ``features``.

    ``mtu`` is that of the device, where it says one; ``security`` are the flags that IPsec processing of the
    packet has to set. The frame is one that arrived from outside with right checksums. ``hdr_len`` is looked
    at in packets that need segmentation, which are those that it is for. Errors: :class:`Nonconformance`.
    """
    packet = _Packet(features, header, frame, mtu, security)
    for rule in (_count, _kinds, _flags, _ipsec, _tunnel, _segmentation, _checksum, _place, _length):
        for clause, text in rule(packet):
            raise Nonconformance(clause, f"{text} ({header})")


def _count(packet: _Packet) -> Iterator[Fault]:
    count = packet.header.num_buffers
    if not packet.has(NetFeature.MRG_RXBUF) and packet.has(Feature.VERSION_1) and count != 1:
        yield "net-04.01", f"num_buffers is {count} without MRG_RXBUF"


def _kinds(packet: _Packet) -> Iterator[Fault]:
    kind, gso = packet.kind, packet.header.gso_type
    if packet.tunnels and not packet.has(NetFeature.GUEST_UDP_TUNNEL_GSO):
        yield "net-04.11", f"gso_type is {gso:#x} without GUEST_UDP_TUNNEL_GSO"
    if kind in tuple(_ALLOWED_BY):
        clause, any_of = _ALLOWED_BY[NetGso(kind)]
        if not packet.has(*any_of):
            yield clause, f"gso_type is {gso:#x} without {' or '.join(item.name for item in any_of)}"
    elif kind:
        yield "net-04.26", f"gso_type is {gso:#x}, which does not exist"
    if gso and not packet.has(*GUEST_OFFLOADS):
        yield "net-04.26", f"gso_type is {gso:#x} without any offload"
    found = inner_layers(packet.frame) if packet.tunnels else layers(packet.frame)
    reduced = found is not None and found.protocol == TCP and packet.frame[found.transport + 13] & CWR
    if (kind in (NetGso.TCPV4, NetGso.TCPV6) and reduced) or gso & NetGso.ECN:
        if not packet.has(NetFeature.GUEST_ECN):
            yield "net-04.13", "a packet to be segmented has ECN set without GUEST_ECN"
        elif not gso & NetGso.ECN:
            yield "net-04.14", "a packet to be segmented has ECN set, and gso_type does not say so"


def _flags(packet: _Packet) -> Iterator[Fault]:
    flags = packet.header.flags
    if packet.flag(NetHeaderFlag.UDP_TUNNEL_CSUM) and not packet.has(NetFeature.GUEST_UDP_TUNNEL_GSO_CSUM):
        yield "net-04.12", "UDP_TUNNEL_CSUM is set without GUEST_UDP_TUNNEL_GSO_CSUM"
    if packet.flag(NetHeaderFlag.RSC_INFO) and not packet.has(NetFeature.RSC_EXT):
        yield "net-04.30", "RSC_INFO is set without RSC_EXT"
    found = layers(packet.frame)
    valid = found is None or not found.checksum_place or is_valid(packet.frame, found)
    if not packet.has(NetFeature.GUEST_CSUM):
        if flags & ~int(_SECURITY):
            yield "net-04.05", f"flags are {flags:#x} without GUEST_CSUM"
        if not valid:
            yield "net-04.06", "the checksum is not right without GUEST_CSUM"
    if packet.flag(NetHeaderFlag.DATA_VALID):
        if packet.tunnels:
            yield "net-04.34", "DATA_VALID is set beside a tunnel"
        if not packet.flag(NetHeaderFlag.NEEDS_CSUM) and not valid:
            yield "net-04.33", "DATA_VALID is set, and the checksum is not right"


def _ipsec(packet: _Packet) -> Iterator[Fault]:
    flags, wanted = packet.header.flags, packet.security
    warns = bool(flags & NetHeaderFlag.SECURITY_SA_SOFT_EXPIRY_WARN)
    for flag, missing, extra, others, mixed in (
        (NetHeaderFlag.SECURITY, "net-04.38", "net-04.39", NetHeaderFlag.SECURITY_ERR, "net-04.40"),
        (NetHeaderFlag.SECURITY_ERR, "net-04.41", "net-04.42", NetHeaderFlag(0), "net-04.43"),
    ):
        if (flags ^ wanted) & flag:
            beside = warns or bool(flags & others)
            clause = mixed if beside and wanted else missing if wanted & flag else extra
            yield clause, f"flags are {flags:#x}, and IPsec makes them {wanted:#x}"
    if wanted & NetHeaderFlag.SECURITY_SA_SOFT_EXPIRY_WARN and not warns:
        yield "net-04.44", "a soft limit is reached, and flags do not say so"


def _tunnel(packet: _Packet) -> Iterator[Fault]:
    """Packets inside a UDP tunnel that need segmentation."""
    outer, inner = layers(packet.frame), inner_layers(packet.frame)
    if not packet.kind or outer is None or outer.protocol != UDP or inner is None:
        if packet.tunnels:
            yield "net-04.22", "a tunnel is said to be in a packet without one, or that needs no segmentation"
        return
    of_inner = packet.kind in (NetGso.TCPV4, NetGso.TCPV6) or packet.header.csum_start > outer.transport
    if not packet.tunnels and not of_inner:
        return
    if not packet.has(NetFeature.GUEST_UDP_TUNNEL_GSO):
        yield "net-04.21", "a packet inside a UDP tunnel needs segmentation without GUEST_UDP_TUNNEL_GSO"
        return
    right = NetGso.UDP_TUNNEL_IPV4 if inner.version == 4 else NetGso.UDP_TUNNEL_IPV6
    if packet.tunnels != right:
        yield (
            "net-04.22",
            f"the tunnel bits are {packet.tunnels:#x}, and what is inside makes them {int(right):#x}",
        )
    header = packet.header
    if (header.outer_th_offset, header.inner_nh_offset) != (outer.transport, inner.network):
        yield "net-04.23", f"the headers of the tunnel are at {outer.transport} and {inner.network}"
    yield from _outer_checksum(packet, outer, inner)


def _outer_checksum(packet: _Packet, outer: Layers, inner: Layers) -> Iterator[Fault]:
    frame, place = packet.frame, outer.checksum_place
    stored, pseudo = int.from_bytes(frame[place : place + 2], "big"), pseudo_sum(frame, outer)
    offloads = packet.has(NetFeature.GUEST_UDP_TUNNEL_GSO_CSUM)
    if packet.flag(NetHeaderFlag.UDP_TUNNEL_CSUM):
        if stored != pseudo:
            yield "net-04.36", f"the outer checksum is {stored:#x}; that of the pseudo header is {pseudo:#x}"
    elif stored and not is_valid(frame, outer):
        whole = complete(frame, inner.transport, inner.checksum_place - inner.transport)
        if not is_valid(whole, outer):
            clause = "net-04.37" if offloads else "net-04.25" if stored == pseudo else "net-04.24"
            yield clause, f"the outer checksum {stored:#x} is neither 0 nor right"


def _segmentation(packet: _Packet) -> Iterator[Fault]:
    if not packet.kind:
        return
    header = packet.header
    if not packet.flag(NetHeaderFlag.NEEDS_CSUM):
        yield "net-04.27", f"gso_type is {header.gso_type:#x} without NEEDS_CSUM"
    if not header.gso_size:
        yield "net-04.28", "gso_size is 0 in a packet that needs segmentation"
    if packet.has(NetFeature.RSC_EXT) and not (packet.flag(NetHeaderFlag.RSC_INFO) and header.csum_start):
        yield "net-04.29", "RSC_INFO and the number of segments are missing with RSC_EXT"
    found = inner_layers(packet.frame) if packet.tunnels else layers(packet.frame)
    if found is not None and found.checksum_place and header.hdr_len < found.headers_end(packet.frame):
        end = found.headers_end(packet.frame)
        yield "net-04.31", f"hdr_len is {header.hdr_len}; the headers have {end} bytes"


def _checksum(packet: _Packet) -> Iterator[Fault]:
    """NEEDS_CSUM: the rest of the packet is sound, and the sum ends up where it has to."""
    if not packet.flag(NetHeaderFlag.NEEDS_CSUM) or packet.flag(NetHeaderFlag.RSC_INFO):
        return
    header, frame = packet.header, packet.frame
    found = inner_layers(frame) if packet.tunnels else layers(frame)
    if found is None or not found.checksum_place:
        yield "net-04.20", "NEEDS_CSUM is set in a packet without TCP and UDP"
        return
    if found.version == 4 and ones_sum(frame[found.network : found.transport]) != 0xFFFF:
        yield "net-04.18", "NEEDS_CSUM is set, and the checksum of the IP header is not right"
    start, place = header.csum_start, header.csum_start + header.csum_offset
    if place + 2 <= len(frame) and is_valid(complete(frame, start, header.csum_offset), found):
        return
    if (start, place) == (found.transport, found.checksum_place):
        yield "net-04.19", "the checksum in the packet is not that of the pseudo header"
    yield "net-04.20", f"the checksum is at {found.checksum_place}, and begins at {found.transport}"


def _place(packet: _Packet) -> Iterator[Fault]:
    offset = packet.header.outer_nh_offset
    if offset:
        found = layers(packet.frame)
        if found is None:
            yield "net-04.16", f"outer_nh_offset is {offset} in a packet without a network header"
        elif found.network != offset:
            yield "net-04.15", f"outer_nh_offset is {offset}; the header is at {found.network}"


def _length(packet: _Packet) -> Iterator[Fault]:
    if packet.mtu is None or packet.kind or not packet.has(NetFeature.MTU):
        return
    most = packet.mtu + ETHERNET_BYTES + VLAN_BYTES * (packet.frame[12:14] == b"\x81\0")
    if len(packet.frame) > most:
        yield "net-01.05", f"a packet of {len(packet.frame)} bytes is passed with an MTU of {packet.mtu}"
