"""The network device: which packets are received; announcements. Ref: virtio 1.4, 5.1.6.5.1 to 5.1.6.5.4."""

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NetClass,
    NetControlAck,
    NetFeature,
    NetMacCommand,
    NetRxCommand,
    NetStatus,
    NetVlanCommand,
)

from ..changes import config_base
from ..check import WAYS, Nonconformance, Way, check
from ..conditions import has_medium, is_type, offers
from ..net.user import BROADCAST, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_F, _RX = NetFeature, NetRxCommand
_FILTER = [is_type(DeviceType.NET), offers(_F.CTRL_VQ, _F.CTRL_RX, _F.MAC), has_medium]
_EXTRA = [*_FILTER, offers(_F.CTRL_RX_EXTRA)]
_STRANGER = bytes.fromhex("0200deadbeef")
_GROUP, _OTHER_GROUP = bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")


async def _start(subject: Subject, *features: NetFeature) -> NetUser:
    """The device with a control queue, and not promiscuous."""
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.CTRL_RX, *features)
    await _set(user, _RX.PROMISCUOUS, False, "net-05.01")
    return user


async def _set(user: NetUser, command: NetRxCommand, on: bool, clause: str) -> None:
    await user.order(NetClass.RX, command, bytes([on]), clause)


async def _filters(user: NetUser, target: bytes) -> bool:
    """Whether the device drops a frame to ``target``, as it should but need not."""
    frame = make_frame(target, 0xF11)
    await user.medium.send(frame)
    await user.subject.settle()
    found = user.arrivals()
    await user.offer(len(found))
    return not any(arrival.is_that(frame) for arrival in found)


@check("net-05.01", "net-05.02", ways=WAYS, needs=_FILTER)
async def promiscuous_mode_receives_all(subject: Subject) -> None:
    """Turns promiscuous mode on, and lets frames come to another station, to a group and to all; then off.

    Wrong: the command is refused, or a frame is not received.
    """
    user = await _start(subject)
    await _set(user, _RX.PROMISCUOUS, True, "net-05.01")
    for number, target in enumerate((_STRANGER, _GROUP, _OTHER_GROUP, BROADCAST, user.mac)):
        await user.accepts(make_frame(target, number), "net-05.02", "a frame in promiscuous mode")
    await _set(user, _RX.PROMISCUOUS, False, "net-05.01")


@check("net-05.03", ways=WAYS, needs=_FILTER)
async def promiscuous_mode_is_above_the_others(subject: Subject) -> None:
    """Turns on other modes, those that suppress frames too where there are some, and then promiscuous mode.

    Wrong: a frame to another station or a group is not received.
    """
    extra = [_F.CTRL_RX_EXTRA] if subject.offers(_F.CTRL_RX_EXTRA) else []
    user = await _start(subject, *extra)
    others = (_RX.ALL_UNICAST, _RX.NO_MULTICAST, _RX.NO_UNICAST) if extra else ()
    for mode in (_RX.ALL_MULTICAST, *others):
        await _set(user, mode, True, "net-05.05" if extra else "net-05.01")
    await _set(user, _RX.PROMISCUOUS, True, "net-05.01")
    for number, target in enumerate((_STRANGER, _GROUP)):
        await user.accepts(make_frame(target, number), "net-05.03", "a frame in promiscuous mode with others")


@check("net-05.01", "net-05.04", ways=WAYS, needs=_FILTER)
async def all_multicast_receives_groups(subject: Subject) -> None:
    """Turns all-multicast on, and lets frames come to two groups; then off.

    Wrong: the command is refused, or a frame is not received.
    """
    user = await _start(subject)
    await _set(user, _RX.ALL_MULTICAST, True, "net-05.01")
    for number, target in enumerate((_GROUP, _OTHER_GROUP)):
        await user.accepts(make_frame(target, number), "net-05.04", "a frame to a group with all-multicast")
    await _set(user, _RX.ALL_MULTICAST, False, "net-05.01")


@check("net-05.05", "net-05.06", ways=WAYS, needs=_EXTRA)
async def all_unicast_receives_stations(subject: Subject) -> None:
    """Turns all-unicast on, and lets a frame come to another station; then off.

    Wrong: the command is refused, or the frame is not received.
    """
    user = await _start(subject, _F.CTRL_RX_EXTRA)
    await _set(user, _RX.ALL_UNICAST, True, "net-05.05")
    await user.accepts(make_frame(_STRANGER, 1), "net-05.06", "a frame to a station with all-unicast")
    await _set(user, _RX.ALL_UNICAST, False, "net-05.05")


@check("net-05.05", "net-05.07", "net-05.08", "net-05.09", ways=WAYS, needs=_EXTRA)
async def suppressed_multicast_is_not_received(subject: Subject) -> None:
    """Suppresses multicast, with and without all-multicast, and lets frames come to a group and to all.

    Wrong: the frame to the group is received, or the one to all is not.
    """
    user = await _start(subject, _F.CTRL_RX_EXTRA)
    await _set(user, _RX.NO_MULTICAST, True, "net-05.05")
    await user.refuses(make_frame(_GROUP, 1), "net-05.07", "multicast is suppressed")
    await user.accepts(make_frame(BROADCAST, 2), "net-05.09", "a frame to all, with multicast suppressed")
    await _set(user, _RX.ALL_MULTICAST, True, "net-05.05")
    await user.refuses(make_frame(_GROUP, 3), "net-05.08", "multicast is suppressed beside all-multicast")
    await _set(user, _RX.NO_MULTICAST, False, "net-05.05")
    await user.accepts(make_frame(_GROUP, 4), "net-05.04", "a frame to a group that is allowed again")


@check("net-05.05", "net-05.10", "net-05.11", ways=WAYS, needs=_EXTRA)
async def suppressed_unicast_is_not_received(subject: Subject) -> None:
    """Suppresses unicast, with and without all-unicast, and lets frames come to the device and to another.

    Wrong: a frame to a station is received.
    """
    user = await _start(subject, _F.CTRL_RX_EXTRA)
    await _set(user, _RX.NO_UNICAST, True, "net-05.05")
    for number, target in enumerate((user.mac, _STRANGER)):
        await user.refuses(make_frame(target, number), "net-05.10", "unicast is suppressed")
    await _set(user, _RX.ALL_UNICAST, True, "net-05.05")
    await user.refuses(make_frame(_STRANGER, 3), "net-05.11", "unicast is suppressed beside all-unicast")
    await _set(user, _RX.NO_UNICAST, False, "net-05.05")
    await user.accepts(make_frame(user.mac, 4), "net-05.05", "a frame to the device, allowed again")


@check("net-05.05", "net-05.12", "net-05.13", ways=WAYS, needs=_EXTRA)
async def suppressed_broadcast_is_not_received(subject: Subject) -> None:
    """Suppresses broadcast, with and without all-multicast, and lets frames come to all.

    Wrong: the frame is received.
    """
    user = await _start(subject, _F.CTRL_RX_EXTRA)
    await _set(user, _RX.NO_BROADCAST, True, "net-05.05")
    await user.refuses(make_frame(BROADCAST, 1), "net-05.12", "broadcast is suppressed")
    await _set(user, _RX.ALL_MULTICAST, True, "net-05.05")
    await user.refuses(make_frame(BROADCAST, 2), "net-05.13", "broadcast is suppressed beside all-multicast")
    await _set(user, _RX.NO_BROADCAST, False, "net-05.05")
    await user.accepts(make_frame(BROADCAST, 3), "net-05.05", "a frame to all, allowed again")


def _table(stations: list[bytes], groups: list[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(4, "little") + b"".join(part) for part in (stations, groups))


async def _set_table(user: NetUser, stations: list[bytes], groups: list[bytes]) -> None:
    pieces = (2, 4 + MAC_BYTES * len(stations), 4 + MAC_BYTES * len(groups))
    data = _table(stations, groups)
    await user.order(NetClass.MAC, NetMacCommand.TABLE_SET, data, "net-06.02", pieces)


@check("net-06.02", ways=WAYS, needs=_FILTER)
async def table_of_addresses_is_set_at_once(subject: Subject) -> None:
    """Sets the table to a station and a group, lets frames come to them, and sets other tables.

    Wrong: the command is refused, or a frame to an address of the table is not received.
    """
    user = await _start(subject)
    more = [bytes.fromhex("0200000000") + bytes([number]) for number in range(1, 9)]
    for number, (stations, groups) in enumerate(
        (([_STRANGER], [_GROUP]), ([], [_OTHER_GROUP]), (more, [_GROUP, _OTHER_GROUP]), ([], []))
    ):
        await _set_table(user, stations, groups)
        for target in [*stations[-2:], *groups, user.mac]:
            text = "a frame to an address of the table"
            await user.accepts(make_frame(target, number), "net-06.02", text)


@check("net-06.01", ways=WAYS, needs=_FILTER)
async def table_of_addresses_is_empty_on_reset(subject: Subject) -> None:
    """Sets the table, resets the device, and lets frames come to the addresses; where the device drops frames
    to other addresses at all.

    Wrong: the table is still there after the reset.
    """
    user = await _start(subject)
    drops = [target for target in (_STRANGER, _GROUP) if await _filters(user, target)]
    await _set_table(user, [_STRANGER], [_GROUP])
    user = await _start(subject)
    for target in drops:
        await user.refuses(make_frame(target, 1), "net-06.01", "the table should be empty after a reset")


@check("net-06.04", ways=WAYS, needs=_FILTER)
async def frames_to_others_are_dropped(subject: Subject) -> None:
    """Lets frames come to a station and to a group that the device has no reason to receive.

    Wrong: they are received, which should not be.
    """
    user = await _start(subject)
    for number, target in enumerate((_STRANGER, _GROUP)):
        await user.refuses(make_frame(target, number), "net-06.04", "an address that is nowhere set")
    await user.accepts(make_frame(user.mac, 3), "net-06.04", "a frame to the device")


@check("net-06.03", "net-06.04", ways=WAYS, needs=[*_FILTER, offers(_F.CTRL_MAC_ADDR)])
async def address_is_set_at_once(subject: Subject) -> None:
    """Sets another address by command, reads it back, and lets frames come to it and to the old one.

    Wrong: the configuration shows another address once the command is used, or it is not received.
    """
    user = await _start(subject, _F.CTRL_MAC_ADDR)
    old, new = user.mac, bytes.fromhex("02c0ffee0123")
    for number, address in enumerate((new, old)):
        await user.order(NetClass.MAC, NetMacCommand.ADDR_SET, address, "net-06.03")
        shown = (await user.field("mac")).to_bytes(MAC_BYTES, "little")
        if shown != address:
            text = f"the address is {shown.hex(':')} after it was set to {address.hex(':')}"
            raise Nonconformance("net-06.03", text)
        await user.accepts(make_frame(address, number), "net-06.03", "a frame to the address that was set")
        if address == new:
            await user.refuses(make_frame(old, 5), "net-06.04", "the old address")


@check("legacy-01.02", ways=(Way.LEGACY,), needs=[is_type(DeviceType.NET), offers(_F.MAC), has_medium])
async def address_is_written_by_legacy_drivers(subject: Subject) -> None:
    """Writes another address into the configuration by the legacy interface, and lets frames come to it.

    Wrong: the address does not read as it was written, or its frames are not received.
    """
    user = NetUser(subject)
    await user.start()
    old, new = user.mac, bytes.fromhex("02c0ffee0456")
    bar, base = await config_base(subject)
    for address in (new, old):
        for at, byte in enumerate(address):
            await subject.pci.bar_write(bar, base + NET_CONFIG.mac.offset + at, 1, byte)
        shown = (await user.field("mac")).to_bytes(MAC_BYTES, "little")
        if shown != address:
            raise Nonconformance("legacy-01.02", f"the address is {shown.hex(':')}, not {address.hex(':')}")
        await user.accepts(make_frame(address, 1), "legacy-01.02", "a frame to the address that was written")


@check("net-07.01", ways=WAYS, needs=[is_type(DeviceType.NET), has_medium])
async def tagged_frames_are_received(subject: Subject) -> None:
    """Lets tagged frames come when VLANs are not filtered.

    Wrong: one of them is not received.
    """
    user = NetUser(subject)
    await user.start()
    for tag in (0, 1, 5, 2047, 4094):
        await user.accepts(make_frame(user.mac, tag, vlan=tag), "net-07.01", f"a frame of VLAN {tag}")


@check(
    *("net-07.02", "net-07.03"),
    ways=WAYS,
    needs=[is_type(DeviceType.NET), offers(_F.CTRL_VQ, _F.CTRL_VLAN), has_medium],
)
async def vlans_are_filtered(subject: Subject) -> None:
    """Adds and removes VLANs, the first to an empty table, and lets frames come that have their tags, others,
    and none.

    Wrong: a frame is dropped whose VLAN is in the table, or one is received whose VLAN is not.
    """
    if subject.offers(_F.CTRL_RX):
        # In promiscuous mode, which may be on at first, all packets should be received.
        user = await _start(subject, _F.CTRL_VLAN)
    else:
        user = NetUser(subject)
        await user.start(_F.CTRL_VQ, _F.CTRL_VLAN)
    await user.refuses(make_frame(user.mac, 5, vlan=5), "net-07.03", "there is no VLAN in the table")
    for tag in (1, 5, 4094):
        await user.order(NetClass.VLAN, NetVlanCommand.ADD, tag.to_bytes(2, "little"), "net-07.02")
    for tag in (1, 5, 4094):
        await user.accepts(make_frame(user.mac, tag, vlan=tag), "net-07.02", f"a frame of VLAN {tag}")
    await user.accepts(make_frame(user.mac, 9), "net-07.02", "a frame without a tag")
    await user.order(NetClass.VLAN, NetVlanCommand.DEL, (5).to_bytes(2, "little"), "net-07.02")
    await user.accepts(make_frame(user.mac, 1, vlan=1), "net-07.02", "a frame of VLAN 1")
    for tag in (5, 6, 2):
        await user.refuses(
            make_frame(user.mac, tag, vlan=tag), "net-07.03", f"VLAN {tag} is not in the table"
        )


@check(
    "net-08.01",
    ways=WAYS,
    needs=[is_type(DeviceType.NET), offers(_F.CTRL_VQ, _F.STATUS, _F.GUEST_ANNOUNCE)],
)
async def announcement_is_acknowledged(subject: Subject) -> None:
    """Acknowledges an announcement, whether the device has asked for one or not.

    Wrong: the status still asks for an announcement when the command is used.
    """
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.STATUS, _F.GUEST_ANNOUNCE)
    asked = await user.field("status") & NetStatus.ANNOUNCE
    ack, _rest = await user.command(NetClass.ANNOUNCE, 0)
    if await user.field("status") & NetStatus.ANNOUNCE:
        raise Nonconformance("net-08.01", "ANNOUNCE is still set after ANNOUNCE_ACK")
    if asked and ack != NetControlAck.OK:
        raise Nonconformance("net-08.01", "ANNOUNCE_ACK is refused")
