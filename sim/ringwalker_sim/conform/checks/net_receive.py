"""The network device: reception. Ref: virtio 1.4, 5.1.6.3 and 5.1.6.4."""

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.net import NetFeature

from ..check import WAYS, Nonconformance, NotApplicable, check
from ..conditions import has_medium, is_type, offers
from ..net.packets import CWR, ETHERNET_BYTES, TCP, UDP, ethernet, ipv4, ipv6, tcp, udp, vxlan
from ..net.rule import GUEST_OFFLOADS
from ..net.user import NEIGHBOUR, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_NET = is_type(DeviceType.NET)
_F = NetFeature
_V4 = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
_V6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")

_RULES = [f"net-04.{number:02d}" for number in (*range(5, 38), 39, 42)]
"""What :func:`..net.rule.judge` holds each packet to, of what devices do without security associations."""


@check("net-03.01", "net-03.02", "net-04.01", ways=WAYS, needs=[_NET, has_medium])
async def packets_of_all_sizes_are_received(subject: Subject) -> None:
    """Lets packets come from 14 bytes to the MTU, each for one buffer, without MRG_RXBUF.

    Wrong: a packet that is changed, in more than one buffer, out of order, or whose num_buffers is not 1.
    """
    user = NetUser(subject, counts=True)
    await user.start()
    most = min((user.mtu or 1500), 9000) + ETHERNET_BYTES
    lengths = sorted({14, 15, 33, 60, 61, 64, 65, 127, 128, 500, 999, 1400, most - 1, most})
    frames = [make_frame(user.mac, number, length) for number, length in enumerate(lengths) if length <= most]
    for frame in frames:
        await user.accepts(frame, "net-03.01", f"a packet of {len(frame)} bytes")
    together = frames[:4]
    for frame, arrival in zip(together, await user.exchange(together, "net-03.01", "packets"), strict=True):
        if not arrival.is_that(frame):
            raise Nonconformance("net-03.01", "packets are received out of order, or changed")
    subject.check_guards("net-03.02")


@check(
    *("net-03.01", "net-04.02", "net-04.03", "net-04.04"),
    ways=WAYS,
    needs=[_NET, offers(_F.MRG_RXBUF), has_medium],
)
async def packets_are_spread_over_buffers(subject: Subject) -> None:
    """Lets packets come that fill one buffer, or need several, with MRG_RXBUF.

    Wrong: num_buffers is another number; a buffer that is not the last is not full; they are not used
    together.
    """
    user = NetUser(subject)
    await user.start(_F.MRG_RXBUF, room=256, buffers=16)
    for number, length in enumerate((60, 256 - user.header_bytes, 257 - user.header_bytes, 700, 1514)):
        frame = make_frame(user.mac, number, length)
        arrival = await user.accepts(frame, "net-04.02", f"a packet of {length} bytes in buffers of 256")
        wanted = -(-(user.header_bytes + len(arrival.frame)) // 256)
        if arrival.buffers != wanted:
            text = f"a packet of {length} bytes is in {arrival.buffers} buffers of 256; {wanted} have room"
            raise Nonconformance("net-04.03", text)
    subject.check_guards("net-04.02")


@check("net-03.02", ways=WAYS, needs=[_NET, has_medium])
async def packets_do_not_go_into_two_buffers(subject: Subject) -> None:
    """Lets a packet come that is larger than each of the buffers, without MRG_RXBUF; then offers larger ones.
    What becomes of the packet, and of the small buffers, is the device's choice.

    Wrong: the device writes into several buffers, or beside one, or says that it has; or it receives nothing
    afterwards.
    """
    user = NetUser(subject)
    await user.start(room=256, buffers=6)
    await user.medium.send(make_frame(user.mac, 1, 1000))
    await subject.settle()
    subject.check_guards("net-03.02")
    queue = user.receive_queue()
    found = queue.take()
    if any(used.offer is None or used.length > used.offer.room for used in found):
        raise Nonconformance("net-03.02", "more bytes are said to be in a buffer than it has")
    if sum(used.length > 0 for used in found) > 1:
        raise Nonconformance("net-03.02", f"a packet is in {len(found)} buffers without MRG_RXBUF")
    if await subject.status() & DeviceStatus.DEVICE_NEEDS_RESET:
        return
    # What is left of the small buffers is used up by small packets.
    left = len(queue.in_flight)
    await user.offer(6, room=2048)
    for number in range(left):
        await user.medium.send(make_frame(user.mac, 2 + number, 64))
        await subject.settle()
    last = make_frame(user.mac, 9, 900)
    await user.medium.send(last)
    contents: list[bytes] = []

    async def arrived() -> bool:
        for used in queue.take():
            assert used.offer is not None
            contents.append(user.content(used)[user.header_bytes :])
        return last in contents

    await subject.until(arrived, "net-03.02", "nothing is received behind a packet without room")
    subject.check_guards("net-03.02")


def _traffic(mac: bytes) -> list[bytes]:
    """Packets of all kinds that the rule looks into, with right checksums."""
    inner = ethernet(mac, NEIGHBOUR, ipv4(*_V4, TCP, tcp(9, 10, bytes(40))))
    datagrams = [
        ipv4(*_V4, TCP, tcp(1024, 80, bytes(range(200)))),
        ipv4(*_V4, TCP, tcp(1024, 80, b"odd", 0x18 | CWR)),
        ipv4(*_V4, UDP, udp(1024, 53, b"question")),
        ipv4(*_V4, UDP, vxlan(inner)),
        ipv6(*_V6, TCP, tcp(1024, 80, bytes(1000))),
        ipv6(*_V6, UDP, udp(1024, 53, b"question")),
        ipv6(*_V6, UDP, udp(1024, 53, b"extended"), home=_V6[0]),
    ]
    tagged = ethernet(mac, NEIGHBOUR, datagrams[0], vlan=5)
    return [ethernet(mac, NEIGHBOUR, item) for item in datagrams] + [tagged, make_frame(mac, 1, 60)]


async def _hold_to_the_rule(subject: Subject, *features: NetFeature) -> None:
    user = NetUser(subject)
    await user.start(*features)
    for frame in _traffic(user.mac):
        # NetUser judges each packet; what a device may change about it are checksums left open.
        arrival = await user.accepts_open(frame, "net-04.06", f"a packet with {_names(features)}")
        subject.note("header", vars(arrival.header))


def _names(features: tuple[NetFeature, ...]) -> str:
    return " and ".join(feature.name for feature in features) or "no offload"


@check(*_RULES, ways=WAYS, needs=[_NET, has_medium])
async def headers_without_offloads(subject: Subject) -> None:
    """Lets TCP and UDP come by IPv4 and IPv6, in a tunnel, with a VLAN tag and with extension headers, and
    other frames, when the driver has accepted no offload.

    Wrong: flags or gso_type are not 0, or a checksum is not right.
    """
    await _hold_to_the_rule(subject)


@check(*_RULES, ways=WAYS, needs=[_NET, offers(_F.GUEST_CSUM), has_medium])
async def headers_with_checksum_offload(subject: Subject) -> None:
    """Lets the same packets come when the driver has accepted GUEST_CSUM alone.

    Wrong: a packet that needs segmentation; a checksum that is said to be right and is not, or that cannot be
    completed as the header says.
    """
    await _hold_to_the_rule(subject, _F.GUEST_CSUM)


@check(*_RULES, ways=WAYS, needs=[_NET, offers(_F.GUEST_CSUM), has_medium])
async def headers_with_all_offloads(subject: Subject) -> None:
    """Lets the same packets come when the driver has accepted all offloads that are offered.

    Wrong: a header that contradicts the packet or the features.
    """
    more = (*GUEST_OFFLOADS, _F.GUEST_ECN, _F.GUEST_UDP_TUNNEL_GSO, _F.GUEST_UDP_TUNNEL_GSO_CSUM)
    found = [feature for feature in (*more, _F.OUT_NET_HEADER) if subject.offers(feature)]
    coalescing = (_F.RSC_EXT, _F.HOST_TSO4, _F.CSUM)
    if all(subject.offers(feature) for feature in coalescing):
        found += coalescing
    if not found:
        raise NotApplicable("there are no offloads beside GUEST_CSUM")
    await _hold_to_the_rule(subject, _F.GUEST_CSUM, *found)


@check("net-04.39", "net-04.42", needs=[_NET, offers(_F.IPSEC), has_medium])
async def headers_without_security_associations(subject: Subject) -> None:
    """Lets packets come when IPSEC is negotiated and there is no security association.

    Wrong: flags say that a packet went through IPsec processing, or met an error there.
    """
    await _hold_to_the_rule(subject, _F.IPSEC)


@check("net-03.01", ways=WAYS, needs=[_NET, has_medium])
async def buffers_in_pieces_are_filled(subject: Subject) -> None:
    """Offers receive buffers in several descriptors, the header in one of them by itself, and lets packets
    come.

    Wrong: a packet that is changed, or missing.
    """
    user = NetUser(subject)
    await user.start(buffers=0)
    for number, pieces in enumerate(
        ((user.header_bytes,), (user.header_bytes, 14, 46), (user.header_bytes, 1))
    ):
        await user.offer(1, pieces=pieces)
        frame = make_frame(user.mac, number, 200 + number)
        await user.medium.send(frame)
        arrival = await user.next_arrival("net-03.01", "a packet does not arrive in a buffer of pieces")
        if not arrival.is_that(frame):
            raise Nonconformance("net-03.01", f"a packet is changed in a buffer of pieces {pieces}")
    subject.check_guards("net-03.01")
