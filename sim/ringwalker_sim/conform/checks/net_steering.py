"""The network device: several queues, and hashes.

Ref: virtio 1.4, 5.1.6.4.3 to 5.1.6.4.5, 5.1.6.5.6 to 5.1.6.5.8.
"""

from collections.abc import Sequence

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import (
    NET_STEERING_CONFIG,
    NetClass,
    NetControlAck,
    NetFeature,
    NetHashReport,
    NetMqCommand,
    NetRssContextCommand,
    NetTunnel,
)

from ..changes import read_field
from ..check import RINGS, WAYS, Nonconformance, NotApplicable, check
from ..conditions import has_medium, is_type, offers
from ..net.hash import HashConfig, hash_bit, packet_hash
from ..net.packets import TCP, UDP, ethernet, geneve, ipv4, ipv6, tcp, udp, vxlan
from ..net.user import NEIGHBOUR, Arrival, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_NET = is_type(DeviceType.NET)
_F, _R = NetFeature, NetHashReport
_ALL = 0x1FF
_SIXES = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")


def _address(number: int) -> bytes:
    return bytes([198, 51, 100, number])


def _flow(mac: bytes, number: int) -> bytes:
    """A frame of flow ``number``."""
    datagram = ipv4(_address(number + 1), _address(200), TCP, tcp(1000 + 77 * number, 80, bytes([number])))
    return ethernet(mac, NEIGHBOUR, datagram)


async def _start(subject: Subject, *features: NetFeature | Feature) -> NetUser:
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, *features)
    return user


async def _set_pairs(user: NetUser, count: int) -> None:
    data = count.to_bytes(2, "little")
    await user.order(NetClass.MQ, NetMqCommand.VQ_PAIRS_SET, data, "net-09.02")


async def _arrive_below(user: NetUser, pairs: int, clause: str) -> None:
    """Let flows come, none of which may go to pair ``pairs`` or later."""
    for first in range(0, 12, 4):
        frames = [_flow(user.mac, number) for number in range(first, first + 4)]
        for arrival in await user.exchange(frames, clause, "packets of many flows"):
            if arrival.pair >= pairs:
                text = f"a packet is in receive queue {arrival.pair + 1}, and {pairs} are in use"
                raise Nonconformance(clause, text)


@check("net-09.01", ways=WAYS, needs=[_NET, offers(_F.CTRL_VQ, _F.MQ), has_medium])
async def only_the_first_pair_is_used_at_first(subject: Subject) -> None:
    """Lets packets of many flows come before the number of pairs is set, and after a reset that follows.

    Wrong: a packet is in another receive queue than the first.
    """
    user = await _start(subject, _F.MQ)
    await _arrive_below(user, 1, "net-09.01")
    await _set_pairs(user, user.pairs)
    user = await _start(subject, _F.MQ)
    await _arrive_below(user, 1, "net-09.01")


@check("net-09.02", ways=WAYS, needs=[_NET, offers(_F.CTRL_VQ, _F.MQ), has_medium])
async def pairs_beyond_the_number_are_not_used(subject: Subject) -> None:
    """Sets the number of pairs to the most, to less and to one, sends on each, and lets many flows come.

    Wrong: a packet is in a receive queue beyond the number, or what is sent does not come out.
    """
    user = await _start(subject, _F.MQ)
    for pairs in sorted({user.pairs, max(1, user.pairs - 1), 1}, reverse=True):
        await _set_pairs(user, pairs)
        await user.medium.received()
        for pair in range(pairs):
            await user.send(_flow(user.mac, pair), pair=pair)
        await user.sent(pairs, "net-09.02", f"packets sent on {pairs} pairs do not come out")
        await _arrive_below(user, pairs, "net-09.02")


@check("more-04.01", ways=WAYS, needs=[_NET, offers(_F.CTRL_VQ, _F.MQ), has_medium])
async def flows_come_back_on_their_pair(subject: Subject) -> None:
    """Sends a packet of a flow of its own on each pair, twice in another order, and lets the answers come.

    Wrong: an answer is in the receive queue of another pair, which should not be.
    """
    user = await _start(subject, _F.MQ)
    if user.pairs < 2:
        raise NotApplicable("there is one pair of queues")
    await _set_pairs(user, user.pairs)
    pairs = range(min(user.pairs, 8))
    for order in (pairs, [*pairs][::-1]):
        for flow, pair in enumerate(order):
            there, back = _address(10 + flow), _address(100)
            text = b"flow%d" % flow
            out = ethernet(NEIGHBOUR, user.mac, ipv4(back, there, TCP, tcp(4000, 5000 + flow, text)))
            answer = ethernet(user.mac, NEIGHBOUR, ipv4(there, back, TCP, tcp(5000 + flow, 4000, text)))
            await user.send(out, pair=pair)
            arrival = await user.accepts(answer, "more-04.01", "the answer of a flow")
            if arrival.pair != pair:
                wrong = f"the answer to pair {pair + 1} is in receive queue {arrival.pair + 1}"
                raise Nonconformance("more-04.01", wrong)


_RESETTING = [_NET, offers(_F.CTRL_VQ, _F.MQ, Feature.RING_RESET), has_medium]


@check("net-09.03", ways=RINGS, needs=_RESETTING)
async def another_queue_is_chosen_for_one_that_is_reset(subject: Subject) -> None:
    """Resets the receive queue that gets a flow, and lets the flow go on.

    Wrong: its packets get lost, which should not be.
    """
    user = await _start(subject, _F.MQ, Feature.RING_RESET)
    if user.pairs < 2:
        raise NotApplicable("there is one pair of queues")
    await _set_pairs(user, user.pairs)
    frame = _flow(user.mac, 3)
    pair = (await user.accepts(frame, "net-09.03", "a packet")).pair
    await user.reset_receive_queue(pair)
    await user.accepts(frame, "net-09.03", "a packet whose queue is reset")
    await user.enable_receive_queue(pair)
    await user.accepts(frame, "net-09.03", "a packet whose queue is enabled again")


@check("net-09.04", ways=RINGS, needs=_RESETTING)
async def packets_are_dropped_while_all_queues_are_reset(subject: Subject) -> None:
    """Resets all receive queues, lets a packet come, enables them again, and lets another come.

    Wrong: the first is received, or the second is not.
    """
    user = await _start(subject, _F.MQ, Feature.RING_RESET)
    await _set_pairs(user, user.pairs)
    for pair in range(user.pairs):
        await user.reset_receive_queue(pair)
    lost = _flow(user.mac, 1)
    await user.medium.send(lost)
    await subject.settle()
    for pair in range(user.pairs):
        await user.enable_receive_queue(pair)
    await subject.settle()
    if any(arrival.is_that(lost) for arrival in user.arrivals()):
        raise Nonconformance("net-09.04", "a packet is received that came while all queues were reset")
    await user.accepts(_flow(user.mac, 2), "net-09.04", "a packet after all queues are enabled again")


# --- receive-side scaling ----------------------------------------------------------------------------------


def _kinds(mac: bytes) -> list[bytes]:
    """Packets that are hashed in different ways."""
    datagrams = [
        ipv4(_address(1), _address(2), TCP, tcp(2794, 1766, b"tcp")),
        ipv4(_address(3), _address(4), UDP, udp(14230, 4739, b"udp")),
        ipv4(_address(5), _address(6), 1, bytes(8)),
        ipv6(*_SIXES, TCP, tcp(2794, 1766, b"tcp")),
        ipv6(*_SIXES, UDP, udp(14230, 4739, b"udp")),
        ipv6(*_SIXES, 58, bytes(8)),
        ipv6(*_SIXES, TCP, tcp(2794, 1766, b"tcp"), home=_SIXES[1][::-1]),
        ipv6(*_SIXES, UDP, udp(14230, 4739, b"udp"), home=_SIXES[1][::-1]),
    ]
    frames = [ethernet(mac, NEIGHBOUR, datagram) for datagram in datagrams]
    return [*frames, *(_flow(mac, number) for number in range(8)), make_frame(mac, 1)]


async def _supported(subject: Subject) -> int:
    return await read_field(subject, NET_STEERING_CONFIG.supported_hash_types)


def _check_hash(user: NetUser, arrival: Arrival, wanted: tuple[int, int], clause: str, text: str) -> None:
    if user.subject.has(_F.HASH_REPORT):
        found = arrival.header.hash_report, arrival.header.hash_value
        if found[0] != wanted[0] or (wanted[0] and found != wanted):
            said = f"the hash of type {found[0]} is {found[1]:#x}; type {wanted[0]} gives {wanted[1]:#x}"
            raise Nonconformance(clause, f"{text}: {said}")


async def _configure(user: NetUser, config: HashConfig, clause: str) -> None:
    command = NetMqCommand.RSS_CONFIG if config.table else NetMqCommand.HASH_CONFIG
    await user.order(NetClass.MQ, command, config.pack(), clause)


@check("net-10.01", ways=RINGS, needs=[_NET, offers(_F.CTRL_VQ, _F.RSS), has_medium])
async def packets_are_steered_by_their_hash(subject: Subject) -> None:
    """Sets keys, types of hashes and indirection tables, and lets packets of each type come.

    Wrong: a packet is in another receive queue than the Toeplitz hash and the table say, or in another than
    that for unclassified packets when it has no hash; or another hash is reported.
    """
    supported = await _supported(subject)
    reports = [_F.HASH_REPORT] if subject.offers(_F.HASH_REPORT) else []
    user = await _start(subject, _F.RSS, *reports)
    most = await read_field(subject, NET_STEERING_CONFIG.rss_max_indirection_table_length)
    size = 1 << min(most, 16).bit_length() - 1
    for number, types in enumerate((supported, hash_bit(_R.IPV4) | hash_bit(_R.TCPV6), hash_bit(_R.UDPV4))):
        table = tuple((entry + number) % user.pairs for entry in range(size))
        key = bytes((at * 29 + number) & 0xFF for at in range(40))
        config = HashConfig(types & supported, key, table, number % user.pairs, user.pairs)
        await _configure(user, config, "net-10.01")
        for frame in _kinds(user.mac):
            arrival = await user.accepts(frame, "net-10.01", "a packet with receive-side scaling")
            kind, value = packet_hash(frame, config.types, key)
            pair = table[value & size - 1] if kind else config.unclassified
            if arrival.pair != pair:
                text = f"a packet with a hash of type {kind}, {value:#x}, is in queue {arrival.pair + 1}"
                raise Nonconformance("net-10.01", f"{text}; it belongs into {pair + 1}")
            _check_hash(user, arrival, (kind, value), "net-10.01", "receive-side scaling")


@check("net-10.01", "more-04.02", ways=RINGS, needs=[_NET, offers(_F.CTRL_VQ, _F.HASH_REPORT), has_medium])
async def hashes_are_reported(subject: Subject) -> None:
    """Lets packets come before hashes are configured, and after that, without receive-side scaling.

    Wrong: a hash is reported before, or another one afterwards.
    """
    supported = await _supported(subject)
    user = await _start(subject, _F.HASH_REPORT)
    config = HashConfig(supported)
    for types in (0, supported):
        if types:
            await _configure(user, config, "more-04.02")
        for frame in _kinds(user.mac):
            arrival = await user.accepts(frame, "net-10.01", "a packet with HASH_REPORT")
            _check_hash(user, arrival, packet_hash(frame, types, config.key), "net-10.01", "HASH_REPORT")


@check("net-10.02", ways=RINGS, needs=[_NET, offers(_F.CTRL_VQ, _F.RSS, Feature.RING_RESET), has_medium])
async def packets_of_a_queue_that_is_reset_are_dropped(subject: Subject) -> None:
    """Steers a flow to a receive queue by its hash, resets that queue, and lets the flow go on.

    Wrong: a packet is received, in another queue or afterwards.
    """
    user = await _start(subject, _F.RSS, Feature.RING_RESET)
    pair = user.pairs - 1
    await _configure(user, HashConfig(await _supported(subject), table=(pair,) * 2), "net-10.01")
    await user.accepts(_flow(user.mac, 1), "net-10.01", "a packet with receive-side scaling")
    await user.reset_receive_queue(pair)
    await user.refuses(_flow(user.mac, 2), "net-10.02", "the queue of a packet is reset")
    await user.enable_receive_queue(pair)
    await user.accepts(_flow(user.mac, 3), "net-10.02", "a packet whose queue is enabled again")


# --- what is inside a tunnel -------------------------------------------------------------------------------


def _tunnelled(mac: bytes) -> dict[NetTunnel, bytes]:
    inner = ipv4(_address(77), _address(78), TCP, tcp(5000, 443, b"inside"))
    bridged = ethernet(mac, NEIGHBOUR, inner)
    outer = {
        NetTunnel.VXLAN: (UDP, vxlan(bridged)),
        NetTunnel.GENEVE: (UDP, geneve(bridged)),
        NetTunnel.IPIP: (4, inner),
    }
    return {
        kind: ethernet(mac, NEIGHBOUR, ipv4(_address(9), _address(10), protocol, payload))
        for kind, (protocol, payload) in outer.items()
    }


_HASH_TUNNEL = [_NET, offers(_F.CTRL_VQ, _F.HASH_TUNNEL, _F.HASH_REPORT), has_medium]


async def _hash_tunnels(user: NetUser, types: int, enabled: Sequence[NetTunnel], clause: str) -> None:
    """Let a packet of each tunnel come; those ``enabled`` have the hash of what is inside."""
    for kind, frame in _tunnelled(user.mac).items():
        arrival = await user.accepts(frame, clause, f"a packet of a tunnel {kind.name}")
        wanted = packet_hash(frame, types, HashConfig(types).key, kind in enabled)
        text = f"tunnel {kind.name}, {'enabled' if kind in enabled else 'not enabled'}"
        _check_hash(user, arrival, wanted, clause, text)


async def _enable_tunnels(user: NetUser, mask: int) -> None:
    await user.order(NetClass.HASH_TUNNEL, 0, mask.to_bytes(4, "little"), "net-12.01")


@check("net-12.01", "net-12.03", ways=RINGS, needs=_HASH_TUNNEL)
async def hash_of_the_inner_header(subject: Subject) -> None:
    """Enables each kind of tunnel by itself, disables all, and resets the device; lets packets of each kind
    come.

    Wrong: the hash is not that of the inner header with the kind enabled, or not that of the outer one else.
    """
    types = await _supported(subject)
    tunnels = await read_field(subject, NET_STEERING_CONFIG.supported_tunnel_types)
    for _round in range(2):
        user = await _start(subject, _F.HASH_TUNNEL, _F.HASH_REPORT)
        await _configure(user, HashConfig(types), "net-12.01")
        await _hash_tunnels(user, types, (), "net-12.03")
        for kind in (kind for kind in _tunnelled(user.mac) if tunnels >> kind & 1):
            await _enable_tunnels(user, 1 << kind)
            await _hash_tunnels(user, types, (kind,), "net-12.01")
        await _enable_tunnels(user, 0)
        await _hash_tunnels(user, types, (), "net-12.03")
        await _enable_tunnels(user, tunnels)


@check("net-12.02", needs=[_NET, offers(_F.CTRL_VQ, _F.HASH_TUNNEL)])
async def unknown_tunnels_are_refused(subject: Subject) -> None:
    """Enables kinds of tunnels that are not supported.

    Wrong: the command is not refused, which should be.
    """
    tunnels = await read_field(subject, NET_STEERING_CONFIG.supported_tunnel_types)
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.HASH_TUNNEL, _F.RSS if subject.offers(_F.RSS) else _F.HASH_REPORT)
    for bit in (bit for bit in range(32) if not tunnels >> bit & 1):
        ack, _rest = await user.command(NetClass.HASH_TUNNEL, 0, (tunnels | 1 << bit).to_bytes(4, "little"))
        if ack == NetControlAck.OK:
            raise Nonconformance("net-12.02", f"tunnels of kind {bit} are enabled, which are not supported")


# --- RSS contexts ------------------------------------------------------------------------------------------

_CONTEXTS = [_NET, offers(_F.CTRL_VQ, _F.RSS, _F.RSS_CONTEXT)]


async def _contexts(user: NetUser) -> int:
    ack, result = await user.command(NetClass.RSS_CONTEXT, NetRssContextCommand.CAP_GET, room=2)
    if ack != NetControlAck.OK or len(result) != 2:
        raise Nonconformance(
            "net-14.01", f"the number of RSS contexts is answered with {ack}, {result.hex()}"
        )
    return int.from_bytes(result, "little")


@check("net-14.01", needs=_CONTEXTS)
async def there_are_rss_contexts(subject: Subject) -> None:
    """Asks for the number of RSS contexts.

    Wrong: there are none.
    """
    user = await _start(subject, _F.RSS, _F.RSS_CONTEXT)
    if not await _contexts(user):
        raise Nonconformance("net-14.01", "max_rss_contexts is 0")


@check("net-14.02", needs=_CONTEXTS)
async def rss_contexts_are_gone_after_a_reset(subject: Subject) -> None:
    """Adds RSS contexts, changes one, resets the device, and adds them again.

    Wrong: a context of before the reset can still be changed, or takes the place of a new one.
    """
    config = HashConfig(await _supported(subject), table=(0, 0))
    parameters = bytes(6) + config.pack()

    async def command(user: NetUser, number: NetRssContextCommand, context: int) -> int:
        data = context.to_bytes(2, "little") + parameters
        return (await user.command(NetClass.RSS_CONTEXT, number, data))[0]

    for again in (False, True):
        user = await _start(subject, _F.RSS, _F.RSS_CONTEXT)
        last = min(await _contexts(user), 8)
        if again and await command(user, NetRssContextCommand.MOD, 1) == NetControlAck.OK:
            raise Nonconformance("net-14.02", "a context of before the reset is still there")
        for context in range(1, last + 1):
            if await command(user, NetRssContextCommand.ADD, context) != NetControlAck.OK:
                raise Nonconformance("net-14.02", f"context {context} of {last} cannot be added")
        if await command(user, NetRssContextCommand.MOD, last) != NetControlAck.OK:
            raise Nonconformance("net-14.02", f"context {last} cannot be changed")
