"""The network device: transmission, as far as the header of a packet goes. Ref: virtio 1.4, 5.1.6.2."""

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NetFeature, NetGso, NetHeaderFlag

from ..check import WAYS, Nonconformance, check
from ..conditions import has_medium, is_type, offers
from ..net.header import PacketHeader
from ..net.packets import TCP, ethernet, ipv4, is_valid, layers, pseudo_sum, tcp, udp, vxlan
from ..net.user import BROADCAST, NEIGHBOUR, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_NET = is_type(DeviceType.NET)
_F = NetFeature
_HERE, _THERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
_MSS = 500


def _segment(length: int, port: int = 80) -> bytes:
    """A frame with a TCP segment of ``length`` bytes of payload."""
    payload = bytes((at * 7 + port) & 0xFF for at in range(length))
    return ethernet(BROADCAST, NEIGHBOUR, ipv4(_HERE, _THERE, TCP, tcp(1024, port, payload)))


def _to_be_summed(frame: bytes) -> bytes:
    """The frame with the sum of the pseudo header in place of its checksum."""
    found = layers(frame)
    assert found is not None
    place = found.checksum_place
    return frame[:place] + pseudo_sum(frame, found).to_bytes(2, "big") + frame[place + 2 :]


@check("net-02.01", ways=WAYS, needs=[_NET, has_medium])
async def unknown_flags_are_ignored(subject: Subject) -> None:
    """Sends a packet with the bit of flags set that has no meaning.

    Wrong: the packet does not come out as it is.
    """
    user = NetUser(subject)
    await user.start()
    header = PacketHeader(flags=0x80)
    await user.passes(make_frame(BROADCAST, 1), header, "net-02.01", "a packet with unknown flags")


@check("net-02.02", "net-02.11", ways=WAYS, needs=[_NET, has_medium])
async def checksum_fields_mean_nothing_without_their_flag(subject: Subject) -> None:
    """Sends a TCP segment with a right and with a wrong checksum, and numbers in csum_start and csum_offset
    that point into and beyond the packet, without NEEDS_CSUM; with CSUM where it is offered.

    Wrong: the packet is changed; or the device needs the checksum to be right, and does not go on.
    """
    user = NetUser(subject)
    await user.start(*([_F.CSUM] if subject.offers(_F.CSUM) else []))
    good = _segment(100)
    found = layers(good)
    assert found is not None
    place = found.checksum_place
    bad = good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :]
    for start, offset in ((0, 0), (34, 16), (20, 3), (0xFFFF, 0xFFFF)):
        header = PacketHeader(csum_start=start, csum_offset=offset)
        await user.passes(good, header, "net-02.02", f"a packet with csum_start {start} and no NEEDS_CSUM")
    await user.medium.received()
    await user.send(bad)
    await user.send(good)
    out = await user.sent(1, "net-02.11", "a packet behind one with a wrong checksum does not come out")
    if good not in out and good not in await user.sent(1, "net-02.11", "the second packet does not come out"):
        raise Nonconformance("net-02.11", "a packet behind one with a wrong checksum is changed")


@check("net-02.02", needs=[_NET, offers(_F.CSUM), has_medium])
async def checksum_is_completed_with_its_flag(subject: Subject) -> None:
    """Sends a TCP segment with NEEDS_CSUM. The device may hand it on so, or with the checksum made complete.

    Wrong: what comes out is neither of both.
    """
    user = NetUser(subject)
    await user.start(_F.CSUM)
    whole = _segment(321)
    open_ended = _to_be_summed(whole)
    await user.medium.received()
    header = PacketHeader(flags=NetHeaderFlag.NEEDS_CSUM, csum_start=34, csum_offset=16)
    await user.send(open_ended, header)
    (out, *_more) = await user.sent(1, "net-02.02", "a packet with NEEDS_CSUM does not come out")
    if out not in (whole, open_ended):
        raise Nonconformance("net-02.02", f"a packet with NEEDS_CSUM comes out as {out[:64].hex()}")


async def _segments(user: NetUser, header_length: int, clause: str) -> None:
    """Send a packet that is to be segmented, and look at what comes out."""
    frame = _to_be_summed(_segment(3 * _MSS + 20))
    found = layers(frame)
    assert found is not None
    payload = frame[found.headers_end(frame) :]
    header = PacketHeader(
        flags=NetHeaderFlag.NEEDS_CSUM,
        gso_type=NetGso.TCPV4,
        hdr_len=header_length,
        gso_size=_MSS,
        csum_start=34,
        csum_offset=16,
    )
    text = f"a packet to be segmented with hdr_len {header_length}"
    await user.medium.received()
    await user.send(frame, header)
    out: list[bytes] = []
    content = b""
    while len(content) < len(payload):
        for part in await user.sent(1, clause, f"{text} does not come out"):
            place = layers(part)
            if place is None or place.protocol != TCP:
                raise Nonconformance(clause, f"{text}: {part[:64].hex()} comes out")
            if part != frame and not is_valid(part, place):
                raise Nonconformance(clause, f"{text}: a segment has a wrong checksum")
            out.append(part)
            content += part[place.headers_end(part) : place.end]
    if content != payload:
        raise Nonconformance(clause, f"{text}: the payload of the segments is not that of the packet")


@check("net-02.06", "net-02.07", needs=[_NET, offers(_F.CSUM, _F.HOST_TSO4), has_medium])
async def header_length_is_only_a_hint(subject: Subject) -> None:
    """Sends packets to be segmented whose hdr_len is right, 0, too small, too large and beyond the packet,
    without GUEST_HDRLEN.

    Wrong: the segments that come out do not have the payload of the packet, or wrong checksums.
    """
    user = NetUser(subject)
    await user.start(_F.CSUM, _F.HOST_TSO4)
    for length in (54, 0, 20, 60, 0xFFFF):
        await _segments(user, length, "net-02.06" if length == 54 else "net-02.07")


@check("net-02.05", needs=[_NET, offers(_F.CSUM, _F.HOST_TSO4, _F.GUEST_HDRLEN), has_medium])
async def header_length_may_be_used_when_it_is_exact(subject: Subject) -> None:
    """Sends a packet to be segmented with GUEST_HDRLEN and the right hdr_len.

    Wrong: the segments that come out do not have the payload of the packet, or wrong checksums.
    """
    user = NetUser(subject)
    await user.start(_F.CSUM, _F.HOST_TSO4, _F.GUEST_HDRLEN)
    await _segments(user, 54, "net-02.05")


@check("net-02.03", "net-02.04", needs=[_NET, offers(_F.OUT_NET_HEADER), has_medium])
async def place_of_the_network_header_may_be_given(subject: Subject) -> None:
    """Sends a packet with the offset of its network header, and packets with 0 there.

    Wrong: one of them does not come out as it is.
    """
    user = NetUser(subject)
    await user.start(_F.OUT_NET_HEADER)
    frame = _segment(200)
    await user.passes(frame, PacketHeader(outer_nh_offset=14), "net-02.03", "a packet with outer_nh_offset")
    await user.passes(frame, PacketHeader(), "net-02.04", "a packet without outer_nh_offset")
    other = make_frame(BROADCAST, 3)
    await user.passes(other, PacketHeader(), "net-02.04", "a packet without a network header")


_TUNNEL = (_F.CSUM, _F.HOST_TSO4, _F.HOST_TSO6, _F.HOST_USO, _F.HOST_UDP_TUNNEL_GSO)


def _tunnelled() -> tuple[bytes, PacketHeader]:
    """A packet inside VXLAN that is to be segmented, and its header."""
    inner = _to_be_summed(_segment(2 * _MSS))
    frame = ethernet(BROADCAST, NEIGHBOUR, ipv4(_HERE, _THERE, 17, vxlan(inner)))
    frame = frame[:40] + b"\0\0" + frame[42:]
    start = len(frame) - len(inner) + 34
    header = PacketHeader(
        flags=NetHeaderFlag.NEEDS_CSUM,
        gso_type=NetGso.TCPV4 | NetGso.UDP_TUNNEL_IPV4,
        hdr_len=start + 20,
        gso_size=_MSS,
        csum_start=start,
        csum_offset=16,
        outer_th_offset=34,
        inner_nh_offset=start - 20,
    )
    return frame, header


@check("net-02.08", "net-02.10", needs=[_NET, offers(*_TUNNEL), has_medium])
async def contradictions_about_tunnels_are_not_accepted(subject: Subject) -> None:
    """Sends packets inside a tunnel with both kinds of tunnels set, without NEEDS_CSUM, with DATA_VALID, and
    without segmentation; a usual packet follows each.

    Wrong: the first packet comes out, or the second does not.
    """
    user = NetUser(subject)
    await user.start(*_TUNNEL)
    frame, right = _tunnelled()
    both = NetGso.TCPV4 | NetGso.UDP_TUNNEL_IPV4 | NetGso.UDP_TUNNEL_IPV6
    await user.medium.received()
    for number, (clause, changed) in enumerate(
        (
            ("net-02.08", {"gso_type": both}),
            ("net-02.10", {"flags": 0}),
            ("net-02.10", {"flags": NetHeaderFlag.NEEDS_CSUM | NetHeaderFlag.DATA_VALID}),
            ("net-02.10", {"gso_type": NetGso.UDP_TUNNEL_IPV4}),
        )
    ):
        usual = make_frame(BROADCAST, number)
        await user.send(frame, PacketHeader(**{**vars(right), **changed}))
        await user.send(usual)
        out = await user.sent(1, clause, "a usual packet behind a contradiction does not come out")
        if out != [usual]:
            raise Nonconformance(clause, f"a packet with {changed} is accepted")


@check("net-02.09", needs=[_NET, offers(*_TUNNEL), has_medium])
async def offsets_of_tunnels_mean_nothing_without_one(subject: Subject) -> None:
    """Sends packets that are in no tunnel with numbers in outer_th_offset and inner_nh_offset.

    Wrong: a packet does not come out as it is.
    """
    user = NetUser(subject)
    await user.start(*_TUNNEL)
    for offsets in ((34, 62), (1, 0xFFFF)):
        header = PacketHeader(outer_th_offset=offsets[0], inner_nh_offset=offsets[1])
        await user.passes(_segment(90), header, "net-02.09", "a packet with the offsets of a tunnel")


@check("net-02.12", needs=[_NET, offers(_F.IPSEC), has_medium])
async def resource_means_nothing_without_its_flag(subject: Subject) -> None:
    """Sends packets with numbers in resource_id and resource_type, without the flag SECURITY.

    Wrong: a packet does not come out as it is.
    """
    user = NetUser(subject)
    await user.start(_F.IPSEC)
    frame = ethernet(BROADCAST, NEIGHBOUR, ipv4(_HERE, _THERE, 17, udp(7, 9, bytes(50))))
    for number, kind in ((1, 0x203), (0xFFFF_FFFF, 0xFFFF)):
        header = PacketHeader(resource_id=number, resource_type=kind)
        await user.passes(frame, header, "net-02.12", "a packet with a resource and without SECURITY")
