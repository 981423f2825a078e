"""The network device: features, configuration and largest packets. Ref: virtio 1.4, 5.1.3 and 5.1.4."""

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NET_STEERING_CONFIG,
    NetFeature,
    NetStatus,
)

from ..changes import read_field
from ..check import WAYS, Nonconformance, NotApplicable, check
from ..conditions import has_medium, is_type, offers
from ..net.packets import ETHERNET_BYTES, VLAN_BYTES
from ..net.user import BROADCAST, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_NET = is_type(DeviceType.NET)
_F = NetFeature


@check("net-01.13", "net-01.14", needs=[_NET])
async def commands_that_hashes_and_filters_need(subject: Subject) -> None:
    """Looks whether HASH_REPORT and CTRL_RX_EXTRA are offered, and the control queue that they are set by.

    Wrong: one of them is offered without CTRL_VQ.
    """
    for feature, clause in ((_F.HASH_REPORT, "net-01.13"), (_F.CTRL_RX_EXTRA, "net-01.14")):
        if subject.offers(feature) and not subject.offers(_F.CTRL_VQ):
            raise Nonconformance(clause, f"{feature.name} is offered without CTRL_VQ")


@check("net-01.01", needs=[_NET, offers(_F.MQ)])
async def number_of_pairs_is_in_range(subject: Subject) -> None:
    """Reads the largest number of pairs of queues.

    Wrong: 0, or above 0x8000.
    """
    pairs = await NetUser(subject).field("max_virtqueue_pairs")
    if not 1 <= pairs <= 0x8000:
        raise Nonconformance("net-01.01", f"max_virtqueue_pairs is {pairs:#x}")


@check("net-01.02", "net-01.03", ways=WAYS, needs=[_NET, offers(_F.MTU)])
async def mtu_is_in_range(subject: Subject) -> None:
    """Reads the MTU.

    Wrong: below 68; below 1280, which should not be.
    """
    mtu = await NetUser(subject).field("mtu")
    if mtu < 68:
        raise Nonconformance("net-01.02", f"the MTU is {mtu}")
    if mtu < 1280:
        raise Nonconformance("net-01.03", f"the MTU is {mtu}")


@check("net-01.04", ways=WAYS, needs=[_NET, offers(_F.MTU)])
async def mtu_stays_as_it_is(subject: Subject) -> None:
    """Reads the MTU before and after negotiation, after a packet, and after a reset.

    Wrong: an MTU that changes.
    """
    user = NetUser(subject)
    seen = [await user.field("mtu")]
    await user.start(_F.MTU)
    seen.append(await user.field("mtu"))
    await user.send(make_frame(BROADCAST, 1))
    seen.append(await user.field("mtu"))
    await subject.reset()
    seen.append(await user.field("mtu"))
    if len(set(seen)) > 1:
        raise Nonconformance("net-01.04", f"the MTU is {', then '.join(map(str, seen))}")


@check("net-01.05", ways=WAYS, needs=[_NET, offers(_F.MTU), has_medium])
async def longer_packets_are_not_received(subject: Subject) -> None:
    """Lets a packet come that is longer than the MTU allows, then one of the greatest length.

    Wrong: the first is passed to the driver, or the second is not.
    """
    user = NetUser(subject)
    most = await user.field("mtu") + ETHERNET_BYTES
    await user.start(_F.MTU, room=most + 200, buffers=4)
    await user.medium.send(make_frame(user.mac, 1, most + VLAN_BYTES + 1))
    await user.accepts(make_frame(user.mac, 2, most), "net-01.05", "the largest packet")


@check("net-01.06", "core-06.01", ways=WAYS, needs=[_NET, has_medium])
async def packets_of_all_sizes_are_sent(subject: Subject) -> None:
    """Sends packets from 14 bytes to the MTU, their header by itself or in one piece with the packet, and
    some in many pieces.

    Wrong: a packet that does not come out, in pieces or with other bytes, or out of order.
    """
    user = NetUser(subject)
    await user.start()
    most = (user.mtu or 1500) + ETHERNET_BYTES
    lengths = sorted({14, 15, 17, 33, 59, 60, 61, 64, 127, 256, 511, 1000, 1514, most - 1, most})
    lengths = [length for length in lengths if length <= most]
    ways_to_cut = [(), (user.header_bytes,), (user.header_bytes, 14), (user.header_bytes, 14, 1, 7)]
    if subject.legacy:
        ways_to_cut = ways_to_cut[1:]
    await user.medium.received()
    frames = [make_frame(BROADCAST, number, length) for number, length in enumerate(lengths)]
    for number, frame in enumerate(frames):
        await user.send(frame, pieces=ways_to_cut[number % len(ways_to_cut)])
    found = await user.sent(len(frames), "net-01.06", "not all packets come out")
    for frame, other in zip(frames, found, strict=False):
        if other[: len(frame)] != frame or len(other) > max(len(frame), 60):
            text = f"a packet of {len(frame)} bytes comes out with {len(other)} or as another one"
            raise Nonconformance("net-01.06", text)


@check("net-01.07", "net-01.08", needs=[_NET])
async def limits_of_receive_side_scaling(subject: Subject) -> None:
    """Reads the largest key and the largest indirection table.

    Wrong: a key below 40 bytes, or a table below 128 entries.
    """
    if not (subject.offers(_F.RSS) or subject.offers(_F.HASH_REPORT)):
        raise NotApplicable("neither RSS nor HASH_REPORT is offered")
    key = await read_field(subject, NET_STEERING_CONFIG.rss_max_key_size)
    if key < 40:
        raise Nonconformance("net-01.07", f"rss_max_key_size is {key}")
    if subject.offers(_F.RSS):
        entries = await read_field(subject, NET_STEERING_CONFIG.rss_max_indirection_table_length)
        if entries < 128:
            raise Nonconformance("net-01.08", f"rss_max_indirection_table_length is {entries}")


@check("net-01.09", needs=[_NET, offers(_F.STANDBY), has_medium])
async def standby_device_works(subject: Subject) -> None:
    """Accepts STANDBY and sends a packet; whether the device stands by for another one is its choice.

    Wrong: a device that does not work with the feature that it offers.
    """
    user = NetUser(subject)
    await user.start(_F.STANDBY)
    await user.passes(make_frame(BROADCAST, 1), None, "net-01.09", "a packet of a standby device")


@check("net-01.10", "net-01.11", needs=[_NET, offers(_F.SPEED_DUPLEX)])
async def speed_and_duplex_exist(subject: Subject) -> None:
    """Reads speed and duplex.

    Wrong: a speed above 0x7fffffff that is not all ones; a duplex that is not 0, 1 or 0xff.
    """
    user = NetUser(subject)
    await user.start(_F.SPEED_DUPLEX)
    speed, duplex = await user.field("speed"), await user.field("duplex")
    if 0x7FFF_FFFF < speed < 0xFFFF_FFFF:
        raise Nonconformance("net-01.10", f"the speed is {speed:#x}")
    if duplex not in (0, 1, 0xFF):
        raise Nonconformance("net-01.11", f"duplex is {duplex:#x}")


@check("net-01.12", needs=[_NET, offers(_F.SPEED_DUPLEX, _F.STATUS)])
async def speed_stays_while_the_link_is_up(subject: Subject) -> None:
    """Reads speed and duplex again and again while packets are sent and the link is up.

    Wrong: one of them changes while the link is up.
    """
    user = NetUser(subject)
    await user.start(_F.SPEED_DUPLEX, _F.STATUS)
    seen: set[tuple[int, int]] = set()
    for number in range(6):
        up = await user.field("status") & NetStatus.LINK_UP
        now = await user.field("speed"), await user.field("duplex")
        if not up or not await user.field("status") & NetStatus.LINK_UP:
            seen.clear()
            continue
        seen.add(now)
        if len(seen) > 1:
            raise Nonconformance("net-01.12", f"speed and duplex change: {sorted(seen)}")
        await user.send(make_frame(BROADCAST, number))


@check("core-04.01", ways=WAYS, needs=[_NET, offers(_F.STATUS), has_medium])
async def link_status_follows_the_cable(subject: Subject) -> None:
    """Takes the link down and up again, where the cable can be reached.

    Wrong: the status does not follow, or no configuration change is notified.
    """
    user = NetUser(subject)
    await user.start(_F.STATUS, interrupt="msix")
    if not await user.medium.set_link(False):
        raise NotApplicable("the link cannot be put down from here")
    try:
        for up in (False, True):
            before = subject.arrived[0]
            await user.medium.set_link(up)

            async def follows(up: bool = up) -> bool:
                return bool(await user.field("status") & NetStatus.LINK_UP) == up

            text = f"the link is {'up' if up else 'down'}, and the status does not say so"
            await subject.until(follows, "core-04.01", text)
            await subject.settle()
            if up and subject.arrived[0] == before:
                raise Nonconformance("core-04.01", "the link has changed without a notification")
    finally:
        await user.medium.set_link(True)


@check("core-04.01", ways=WAYS, needs=[_NET, offers(_F.MAC)])
async def address_is_that_of_a_station(subject: Subject) -> None:
    """Reads the address before and after negotiation.

    Wrong: an address that changes, of a group of stations, or all zeroes.
    """
    before = await read_field(subject, NET_CONFIG.mac)
    user = NetUser(subject)
    await user.start(_F.MAC)
    if before != int.from_bytes(user.mac, "little"):
        text = f"the address is {user.mac.hex(':')}, and was {before.to_bytes(MAC_BYTES, 'little').hex(':')}"
        raise Nonconformance("core-04.01", text)
    if user.mac[0] & 1 or not any(user.mac):
        raise Nonconformance("core-04.01", f"the address is {user.mac.hex(':')}")
