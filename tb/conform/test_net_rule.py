"""The rule for received packets, with headers made by hand; and the packets and hashes that it needs."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from ringwalker.spec.features import Feature
from ringwalker.spec.net import NetFeature, NetGso, NetHashReport, NetHeaderFlag
from ringwalker_sim.conform.check import Nonconformance
from ringwalker_sim.conform.net.hash import KEY, HashConfig, packet_hash, toeplitz
from ringwalker_sim.conform.net.header import PacketHeader, header_size
from ringwalker_sim.conform.net.packets import (
    CWR,
    TCP,
    UDP,
    Layers,
    complete,
    ethernet,
    geneve,
    inner_layers,
    ipv4,
    ipv6,
    is_valid,
    layers,
    pseudo_sum,
    tcp,
    udp,
    vxlan,
)
from ringwalker_sim.conform.net.rule import judge

F, FLAG = NetFeature, NetHeaderFlag
HERE, THERE = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
V4 = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
V6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
MODERN = (Feature.VERSION_1,)
OFFLOADS = (*MODERN, F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_UFO, F.GUEST_USO4, F.GUEST_USO6)
TUNNELS = (*OFFLOADS, F.GUEST_UDP_TUNNEL_GSO)
TUNNEL_SUMS = (*TUNNELS, F.GUEST_UDP_TUNNEL_GSO_CSUM)

SEGMENT = ethernet(HERE, THERE, ipv4(*V4, TCP, tcp(1000, 80, bytes(range(100)))))
REDUCED = ethernet(HERE, THERE, ipv4(*V4, TCP, tcp(1000, 80, bytes(100), 0x10 | CWR)))
SEGMENT_6 = ethernet(HERE, THERE, ipv6(*V6, TCP, tcp(1000, 80, bytes(100))))
DATAGRAM = ethernet(HERE, THERE, ipv4(*V4, UDP, udp(1000, 53, b"question")))
OTHER = HERE + THERE + b"\x88\xb5" + bytes(46)


def found(frame: bytes, inner: bool = False) -> Layers:
    place = inner_layers(frame) if inner else layers(frame)
    assert place is not None
    return place


def with_sum(frame: bytes, place: int, value: int) -> bytes:
    return frame[:place] + value.to_bytes(2, "big") + frame[place + 2 :]


def opened(frame: bytes) -> bytes:
    """The frame with the sum of the pseudo header for its checksum."""
    return with_sum(frame, found(frame).checksum_place, pseudo_sum(frame, found(frame)))


def tunnelled(inner: bytes, outer: int = 0) -> bytes:
    """A frame inside VXLAN, with a value for the outer checksum."""
    return with_sum(ethernet(HERE, THERE, ipv4(*V4, UDP, vxlan(inner))), 40, outer)


IN_TUNNEL = tunnelled(opened(SEGMENT))
INNER = found(IN_TUNNEL, inner=True)
PLAIN = PacketHeader(num_buffers=1)
OPEN = replace(PLAIN, flags=FLAG.NEEDS_CSUM, csum_start=34, csum_offset=16)
LARGE = replace(OPEN, gso_type=NetGso.TCPV4, gso_size=50, hdr_len=54)
LARGE_6 = replace(LARGE, gso_type=NetGso.TCPV6, csum_start=54, hdr_len=74)
TUNNEL = replace(
    LARGE,
    gso_type=NetGso.TCPV4 | NetGso.UDP_TUNNEL_IPV4,
    csum_start=INNER.transport,
    hdr_len=INNER.transport + 20,
    outer_th_offset=34,
    inner_nh_offset=INNER.network,
)
DATA_VALID = replace(PLAIN, flags=FLAG.DATA_VALID)


class Case(NamedTuple):
    """A packet that the rule lets pass, or with a ``clause`` not."""

    clause: str
    features: tuple[int, ...]
    header: PacketHeader
    frame: bytes
    mtu: int | None = None
    security: int = 0


def both(header: PacketHeader, **values: int) -> PacketHeader:
    return replace(header, **values)


OUTER_PSEUDO = pseudo_sum(IN_TUNNEL, found(IN_TUNNEL))
SUMMED = both(TUNNEL, flags=FLAG.NEEDS_CSUM | FLAG.UDP_TUNNEL_CSUM)
RSC = (*OFFLOADS, F.RSC_EXT)
COALESCED = both(LARGE, flags=FLAG.NEEDS_CSUM | FLAG.RSC_INFO, csum_start=3, csum_offset=0)
IPSEC = (*MODERN, F.IPSEC)
SECURE, FAILED, WARNED = FLAG.SECURITY, FLAG.SECURITY_ERR, FLAG.SECURITY_SA_SOFT_EXPIRY_WARN

GOOD = [
    Case("", MODERN, PLAIN, SEGMENT),
    Case("", MODERN, PLAIN, OTHER),
    Case("", (), PacketHeader(), SEGMENT),
    Case("", (*MODERN, F.MRG_RXBUF), both(PLAIN, num_buffers=3), SEGMENT),
    Case("", OFFLOADS, PLAIN, SEGMENT_6),
    Case("", OFFLOADS, OPEN, opened(SEGMENT)),
    Case("", OFFLOADS, both(OPEN, csum_offset=6), opened(DATAGRAM)),
    Case("", OFFLOADS, LARGE, opened(SEGMENT), 100),
    Case("", OFFLOADS, LARGE_6, opened(SEGMENT_6)),
    Case("", OFFLOADS, DATA_VALID, DATAGRAM),
    Case("", (*OFFLOADS, F.GUEST_ECN), both(LARGE, gso_type=NetGso.TCPV4 | NetGso.ECN), opened(REDUCED)),
    Case("", RSC, COALESCED, opened(SEGMENT)),
    Case("", TUNNELS, TUNNEL, IN_TUNNEL),
    Case("", TUNNEL_SUMS, SUMMED, with_sum(IN_TUNNEL, 40, OUTER_PSEUDO)),
    Case("", (*MODERN, F.OUT_NET_HEADER), both(PLAIN, outer_nh_offset=14), SEGMENT),
    Case("", (*MODERN, F.MTU), PLAIN, SEGMENT, 140),
    Case("", IPSEC, both(PLAIN, flags=SECURE), SEGMENT, None, SECURE),
    Case("", IPSEC, both(PLAIN, flags=SECURE | FAILED | WARNED), SEGMENT, None, SECURE | FAILED | WARNED),
]

BAD = [
    Case("net-01.05", (*MODERN, F.MTU), PLAIN, SEGMENT, 139),
    Case("net-04.01", MODERN, both(PLAIN, num_buffers=2), SEGMENT),
    Case("net-04.05", MODERN, OPEN, opened(SEGMENT)),
    Case("net-04.06", MODERN, PLAIN, opened(SEGMENT)),
    Case("net-04.07", (*MODERN, F.GUEST_CSUM, F.GUEST_TSO6), LARGE, opened(SEGMENT)),
    Case("net-04.08", (*MODERN, F.GUEST_CSUM, F.GUEST_TSO4), both(LARGE, gso_type=NetGso.UDP), DATAGRAM),
    Case("net-04.09", (*MODERN, F.GUEST_CSUM, F.GUEST_TSO4), LARGE_6, opened(SEGMENT_6)),
    Case("net-04.10", (*MODERN, F.GUEST_CSUM, F.GUEST_TSO4), both(LARGE, gso_type=NetGso.UDP_L4), DATAGRAM),
    Case("net-04.11", OFFLOADS, TUNNEL, IN_TUNNEL),
    Case("net-04.12", TUNNELS, SUMMED, with_sum(IN_TUNNEL, 40, OUTER_PSEUDO)),
    Case("net-04.13", OFFLOADS, LARGE, opened(REDUCED)),
    Case("net-04.13", OFFLOADS, both(LARGE, gso_type=NetGso.TCPV4 | NetGso.ECN), opened(SEGMENT)),
    Case("net-04.14", (*OFFLOADS, F.GUEST_ECN), LARGE, opened(REDUCED)),
    Case("net-04.15", (*MODERN, F.OUT_NET_HEADER), both(PLAIN, outer_nh_offset=18), SEGMENT),
    Case("net-04.16", (*MODERN, F.OUT_NET_HEADER), both(PLAIN, outer_nh_offset=14), OTHER),
    Case("net-04.18", OFFLOADS, OPEN, with_sum(opened(SEGMENT), 24, 0x1234)),
    Case("net-04.19", OFFLOADS, OPEN, SEGMENT),
    Case("net-04.20", OFFLOADS, both(OPEN, csum_start=30), opened(SEGMENT)),
    Case("net-04.20", OFFLOADS, both(OPEN, csum_start=0xFFF0), opened(SEGMENT)),
    Case("net-04.20", OFFLOADS, OPEN, OTHER),
    Case("net-04.21", OFFLOADS, both(TUNNEL, gso_type=NetGso.TCPV4), IN_TUNNEL),
    Case("net-04.22", TUNNELS, both(TUNNEL, gso_type=NetGso.TCPV4), IN_TUNNEL),
    Case("net-04.22", TUNNELS, both(TUNNEL, gso_type=NetGso.TCPV4 | NetGso.UDP_TUNNEL_IPV6), IN_TUNNEL),
    Case("net-04.22", TUNNELS, both(LARGE, gso_type=NetGso.TCPV4 | NetGso.UDP_TUNNEL_IPV4), opened(SEGMENT)),
    Case("net-04.23", TUNNELS, both(TUNNEL, outer_th_offset=42), IN_TUNNEL),
    Case("net-04.23", TUNNELS, both(TUNNEL, inner_nh_offset=INNER.network - 14), IN_TUNNEL),
    Case("net-04.24", TUNNELS, TUNNEL, with_sum(IN_TUNNEL, 40, 0x1234)),
    Case("net-04.25", TUNNELS, TUNNEL, with_sum(IN_TUNNEL, 40, OUTER_PSEUDO)),
    Case("net-04.26", (*MODERN, F.GUEST_CSUM), both(PLAIN, gso_type=NetGso.ECN), SEGMENT),
    Case("net-04.26", OFFLOADS, both(LARGE, gso_type=2), opened(SEGMENT)),
    Case("net-04.27", OFFLOADS, both(LARGE, flags=0), SEGMENT),
    Case("net-04.28", OFFLOADS, both(LARGE, gso_size=0), opened(SEGMENT)),
    Case("net-04.29", RSC, LARGE, opened(SEGMENT)),
    Case("net-04.29", RSC, both(COALESCED, csum_start=0), opened(SEGMENT)),
    Case("net-04.30", OFFLOADS, COALESCED, opened(SEGMENT)),
    Case("net-04.31", OFFLOADS, both(LARGE, hdr_len=53), opened(SEGMENT)),
    Case("net-04.33", OFFLOADS, DATA_VALID, opened(SEGMENT)),
    Case("net-04.34", TUNNELS, both(TUNNEL, flags=FLAG.NEEDS_CSUM | FLAG.DATA_VALID), IN_TUNNEL),
    Case("net-04.36", TUNNEL_SUMS, SUMMED, with_sum(IN_TUNNEL, 40, OUTER_PSEUDO ^ 1)),
    Case("net-04.37", TUNNEL_SUMS, TUNNEL, with_sum(IN_TUNNEL, 40, 0x1234)),
    Case("net-04.38", IPSEC, PLAIN, SEGMENT, None, SECURE),
    Case("net-04.39", IPSEC, both(PLAIN, flags=SECURE), SEGMENT),
    Case("net-04.39", MODERN, both(PLAIN, flags=SECURE), SEGMENT),
    Case("net-04.40", IPSEC, both(PLAIN, flags=FAILED), SEGMENT, None, SECURE | FAILED),
    Case("net-04.41", IPSEC, both(PLAIN, flags=SECURE), SEGMENT, None, SECURE | FAILED),
    Case("net-04.42", IPSEC, both(PLAIN, flags=FAILED), SEGMENT),
    Case("net-04.43", IPSEC, both(PLAIN, flags=SECURE | WARNED), SEGMENT, None, SECURE | FAILED | WARNED),
    Case("net-04.44", IPSEC, both(PLAIN, flags=SECURE), SEGMENT, None, SECURE | WARNED),
]


def mask(features: tuple[int, ...]) -> int:
    return sum(1 << feature for feature in features)


@pytest.mark.parametrize("case", GOOD, ids=range(len(GOOD)))
def test_a_lawful_packet_passes(case: Case):
    judge(mask(case.features), case.header, case.frame, mtu=case.mtu, security=case.security)


@pytest.mark.parametrize("case", BAD, ids=[f"{case.clause}-{at}" for at, case in enumerate(BAD)])
def test_an_unlawful_packet_breaks_its_clause(case: Case):
    with pytest.raises(Nonconformance) as caught:
        judge(mask(case.features), case.header, case.frame, mtu=case.mtu, security=case.security)
    assert caught.value.clause == case.clause


def test_every_statement_about_headers_has_a_packet_that_breaks_it():
    choices = {17, 32, 35}
    elsewhere = {2, 3, 4}
    wanted = {f"net-04.{number:02d}" for number in set(range(1, 45)) - choices - elsewhere}
    assert wanted - {case.clause for case in BAD} == set()


def test_an_outer_checksum_that_is_right_passes():
    whole = complete(IN_TUNNEL, INNER.transport, 16)
    filled = ethernet(HERE, THERE, ipv4(*V4, UDP, vxlan(whole[50:])))
    stored = int.from_bytes(filled[40:42], "big")
    judge(mask(TUNNEL_SUMS), TUNNEL, with_sum(IN_TUNNEL, 40, stored))


def test_headers_have_the_fields_of_the_features():
    assert header_size(0) == 10
    assert header_size(mask((F.MRG_RXBUF,))) == header_size(mask(MODERN)) == 12
    assert header_size(mask((*MODERN, F.HASH_REPORT))) == 20
    assert header_size(mask((*MODERN, F.HOST_UDP_TUNNEL_GSO))) == 16
    assert header_size(mask((*MODERN, F.IPSEC))) == 18
    assert header_size(mask((*MODERN, *F))) == 32
    header = PacketHeader(flags=1, num_buffers=2, hash_value=0x12345678, outer_nh_offset=14)
    everything = mask((*MODERN, *F))
    assert PacketHeader.unpack(everything, header.pack(everything)) == header
    assert PacketHeader.unpack(mask(MODERN), header.pack(mask(MODERN))) == PacketHeader(
        flags=1, num_buffers=2
    )


@pytest.mark.parametrize("frame", [SEGMENT, SEGMENT_6, DATAGRAM], ids=["tcp", "tcp6", "udp"])
def test_checksums_are_right_until_a_bit_changes(frame: bytes):
    assert is_valid(frame, found(frame))
    assert not is_valid(frame[:-1] + bytes([frame[-1] ^ 1]), found(frame))
    assert complete(opened(frame), found(frame).transport, found(frame).checksum_place - 34) == frame or (
        found(frame).version == 6
    )


@pytest.mark.parametrize("wrap", [vxlan, geneve])
def test_the_packet_inside_a_tunnel_is_found(wrap):
    frame = ethernet(HERE, THERE, ipv4(*V4, UDP, wrap(SEGMENT_6)))
    assert found(frame, inner=True).version == 6
    assert frame[found(frame, inner=True).transport :] == SEGMENT_6[54:]
    assert inner_layers(DATAGRAM) is None


@pytest.mark.parametrize(
    ("source", "target", "alone", "ports"),
    [
        ("66.9.149.187:2794", "161.142.100.80:1766", 0x323E8FC2, 0x51CCC178),
        ("199.92.111.2:14230", "65.69.140.83:4739", 0xD718262A, 0xC626B0EA),
        ("24.19.198.95:12898", "12.22.207.184:38024", 0xD2D0A5DE, 0x5C2B394A),
    ],
)
def test_toeplitz_gives_the_hashes_of_its_verification_suite(source, target, alone, ports):
    sides = [text.split(":") for text in (source, target)]
    addresses = b"".join(bytes(map(int, address.split("."))) for address, _port in sides)
    numbers = b"".join(int(port).to_bytes(2, "big") for _address, port in sides)
    assert toeplitz(KEY, addresses) == alone
    assert toeplitz(KEY, addresses + numbers) == ports


def test_the_hash_has_the_best_type_that_is_enabled():
    home = ethernet(HERE, THERE, ipv6(*V6, TCP, tcp(1, 2, b""), home=V6[1]))
    assert packet_hash(SEGMENT, 0x1FF, KEY)[0] == NetHashReport.TCPV4
    assert packet_hash(SEGMENT, 0x1, KEY) == (NetHashReport.IPV4, toeplitz(KEY, b"".join(V4)))
    assert packet_hash(SEGMENT, 0x1FC, KEY) == (NetHashReport.NONE, 0)
    assert packet_hash(OTHER, 0x1FF, KEY) == (NetHashReport.NONE, 0)
    assert packet_hash(home, 0x40, KEY) == (NetHashReport.IPV6_EX, toeplitz(KEY, V6[1] + V6[1]))
    assert packet_hash(home, 0x08, KEY) == (NetHashReport.IPV6, toeplitz(KEY, b"".join(V6)))
    assert packet_hash(IN_TUNNEL, 0x1FF, KEY, inner=True)[0] == NetHashReport.TCPV4


@pytest.mark.parametrize(
    "config", [HashConfig(5), HashConfig(7, KEY, (0, 1, 2, 1), 2, 3)], ids=["hash", "rss"]
)
def test_parameters_of_hashes_are_packed_and_unpacked(config: HashConfig):
    data = config.pack()
    assert HashConfig.unpack(data, bool(config.table)) == config
    with pytest.raises(ValueError, match="bytes"):
        HashConfig.unpack(data[:-1], bool(config.table))
