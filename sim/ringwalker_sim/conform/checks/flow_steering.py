"""Flow filters of the network device: what they do with received packets. Ref: virtio 1.4, 5.1.9.6."""

from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NetClass, NetFeature, NetRxCommand
from ringwalker.spec.net_flow import (
    FLOW_HEADER_BYTES,
    FlowAction,
    FlowFlag,
    FlowHeader,
    FlowList,
    FlowResource,
)

from ...struct_bytes import struct_bytes
from ..check import Nonconformance, NotApplicable, check
from ..conditions import has_medium, is_type, offers
from ..net.flow_bench import OTHER, THIS, FlowBench
from ..net.flow_rules import key_of, mask_of, selector
from ..net.packets import TCP, UDP, ethernet, ipv4, ipv6, tcp, udp
from ..net.user import NEIGHBOUR
from ..subject import Subject

__all__: list[str] = []

_NEEDS = [is_type(DeviceType.NET), offers(Feature.ADMIN_VQ), has_medium]
_STRANGER = bytes.fromhex("0200deadbeef")
_DROP, _DIRECT = FlowAction.DROP, FlowAction.DIRECT_RX_VQ


async def _bench(subject: Subject, *features: int) -> tuple[FlowBench, dict[str, Any], dict[str, Any]]:
    """A device, and the contents of a rule that drops and of one that directs to the last queue."""
    bench = await FlowBench.open(subject, *features)
    bench.needs_actions(_DROP, _DIRECT)
    return bench, {"action": _DROP}, {"action": _DIRECT, "queue": bench.last}


@check("net-15.16", needs=_NEEDS)
async def actions_are_taken(subject: Subject) -> None:
    """Lets packets come with a rule that drops them, and with one that directs them to the last queue.

    Wrong: a packet that is received, or that is in another queue.
    """
    bench, drop, direct = await _bench(subject)
    await bench.set_rules(drop)
    await bench.expect(None, "net-15.16", "a rule that drops it")
    await bench.set_rules(direct)
    await bench.expect(bench.last, "net-15.16", f"a rule that directs it to queue {bench.last}")


@check("net-15.16", "net-15.22", needs=_NEEDS)
async def rules_match_bits_of_a_field(subject: Subject) -> None:
    """Makes a rule that drops packets by one bit of a field.

    Wrong: a packet with that bit that is received, or one without it that is not.
    """
    bench, drop, _direct = await _bench(subject)
    if not bench.rules.partial or bench.rules.limits["classifiers_limit"] < 2:
        raise NotApplicable("there is no second classifier with a partial mask")
    this, other = (key_of(bench.rules.field, value) for value in (THIS, OTHER))
    differing = bytes(one & ~two for one, two in zip(this, other, strict=True))
    content = struct_bytes(FlowList, count=1) + selector(FlowHeader.ETH, differing, FlowFlag.PARTIAL_MASK)
    answer = await bench.rules.admin.create(FlowResource.CLASSIFIER, 1, content)
    answer.expect("net-15.22", f"creating a partial classifier with mask {differing.hex()}")
    await bench.set_rules({"classifier": 1, "key": this, **drop})
    await bench.expect(None, "net-15.16", f"a rule by {differing.hex()} that drops it")
    await bench.expect(bench.usual, "net-15.19", f"a rule by {differing.hex()} for others", OTHER)


def _headers(version: FlowHeader, transport: FlowHeader) -> list[tuple[FlowHeader, bytes]]:
    """Masks for the type of a frame, protocol and destination of its datagram, and the port."""
    ip, ports = bytearray(FLOW_HEADER_BYTES[version]), bytearray(FLOW_HEADER_BYTES[transport])
    fields = {FlowHeader.IPV4: (9, 16), FlowHeader.IPV6: (6, 24)}
    protocol, target = fields[version]
    ip[protocol] = 0xFF
    ip[target:] = b"\xff" * (len(ip) - target)
    ports[2:4] = b"\xff\xff"
    return [(FlowHeader.ETH, mask_of("type")), (version, bytes(ip)), (transport, bytes(ports))]


def _datagram(mac: bytes, version: FlowHeader, transport: FlowHeader, port: int, host: int) -> bytes:
    content = bytes(32)
    segment = tcp(1000, port, content) if transport == FlowHeader.TCP else udp(1000, port, content)
    protocol = TCP if transport == FlowHeader.TCP else UDP
    if version == FlowHeader.IPV4:
        network = bytes([198, 51, 100])
        return ethernet(mac, NEIGHBOUR, ipv4(network + b"\x01", network + bytes([host]), protocol, segment))
    network = bytes.fromhex("20010db8000000000000000000000000")[:15]
    return ethernet(mac, NEIGHBOUR, ipv6(network + b"\x01", network + bytes([host]), protocol, segment))


@check("net-15.16", "net-15.19", needs=_NEEDS)
async def rules_match_datagrams(subject: Subject) -> None:
    """Makes rules that drop datagrams of TCP and UDP, of IPv4 and IPv6, to a host and a port.

    Wrong: such a datagram that is received, or one to another host or port, or of another protocol, that is
    not.
    """
    bench, drop, _direct = await _bench(subject)
    rules, host, port = bench.rules, 2, 7
    versions, transports = (FlowHeader.IPV4, FlowHeader.IPV6), (FlowHeader.TCP, FlowHeader.UDP)
    kinds = [
        (version, transport)
        for version in versions
        for transport in transports
        if all(rules.can_match(*item) for item in _headers(version, transport))
    ]
    limits = rules.limits
    if not kinds or limits["classifiers_limit"] < 2 or limits["selectors_per_classifier_limit"] < 3:
        raise NotApplicable("no classifier can have three headers")
    for kind in kinds:
        masks = _headers(*kind)
        frame = _datagram(bench.user.mac, *kind, port, host)
        starts = (0, 14, 14 + FLOW_HEADER_BYTES[kind[0]])
        key = b"".join(
            frame[start : start + len(mask)] for start, (_kind, mask) in zip(starts, masks, strict=True)
        )
        content = struct_bytes(FlowList, count=3) + b"".join(selector(*item) for item in masks)
        answer = await rules.admin.create(FlowResource.CLASSIFIER, 1, content)
        name = f"{kind[1].name} in {kind[0].name}"
        answer.expect("net-15.02", f"creating a classifier of {name}")
        await bench.set_rules({"classifier": 1, "key": key, **drop})
        if found := await bench.queues_of_frame(frame):
            text = f"a datagram of {name} that a rule drops is received in queues {found}"
            raise Nonconformance("net-15.16", text)
        others = [_datagram(bench.user.mac, *other, port, host) for other in kinds if other != kind]
        others += [_datagram(bench.user.mac, *kind, *place) for place in ((port + 1, host), (port, host + 1))]
        for other in others:
            if not await bench.queues_of_frame(other):
                text = f"{other[:64].hex()} is dropped by a rule for {frame[:64].hex()}"
                raise Nonconformance("net-15.19", text)
        await bench.clear()
        answer = await rules.admin.destroy(FlowResource.CLASSIFIER, 1)
        answer.expect("net-15.02", f"destroying a classifier of {name}")


@check("net-15.12", "net-15.13", "net-15.14", needs=_NEEDS)
async def groups_by_priority(subject: Subject) -> None:
    """Makes rules in three groups, which were not created in the order of their priorities.

    Wrong: a packet with the action of another group than the highest one that matches.
    """
    bench, drop, direct = await _bench(subject)
    limits = bench.rules.limits
    if min(limits["groups_limit"], limits["rules_per_group_limit"]) < 3 or limits["rules_limit"] < 3:
        raise NotApplicable("there are no three groups with a rule each")
    middle, high, low = 0, 1, 2
    await bench.rules.add_group(high, priority=9)
    await bench.rules.add_group(low, priority=2)
    await bench.set_rules({"group": middle, **drop}, {"group": high, **direct}, {"group": low, **drop})
    await bench.expect(bench.last, "net-15.12", "the highest group directing it, and others dropping it")
    await bench.set_rules({"group": middle, **direct}, {"group": high, **drop}, {"group": low, **direct})
    await bench.expect(None, "net-15.13", "the highest group dropping it, and others directing it")
    await bench.set_rules(
        {"group": low, **direct}, {"group": high, **direct, "value": OTHER}, {"group": middle, **drop}
    )
    await bench.expect(None, "net-15.14", "the second group dropping it, and no match in the highest")


@check("net-15.11", "net-15.15", "net-15.17", "net-15.20", needs=_NEEDS)
async def rules_by_priority(subject: Subject) -> None:
    """Makes rules of several priorities in a group, created in any order.

    Wrong: a packet with another action than that of the highest rule that matches, or with two actions.
    """
    bench, drop, direct = await _bench(subject)
    if bench.rules.limits["last_rule_priority"] < 4:
        raise NotApplicable("there are no four priorities of rules")
    await bench.set_rules(direct)
    if len(found := await bench.queues_of(THIS)) > 1:
        text = f"a packet that a rule directs to queue {bench.last} is received in queues {found}"
        raise Nonconformance("net-15.11", text)
    lower, higher = {"priority": 1}, {"priority": 3}
    what = "the higher rule directing it, and the lower one dropping it"
    for rules in ((higher | direct, lower | drop), (lower | drop, higher | direct)):
        await bench.set_rules(*rules)
        await bench.expect(bench.last, "net-15.15", what)
    what = "the higher rule dropping it, and the lower one directing it"
    for rules in ((higher | drop, lower | direct), (lower | direct, higher | drop)):
        await bench.set_rules(*rules)
        await bench.expect(None, "net-15.20", what)
    usual = {"action": _DIRECT, "queue": bench.usual}
    await bench.set_rules(higher | direct, lower | usual)
    await bench.expect(bench.last, "net-15.17", "both rules directing it")


@check("net-15.18", needs=_NEEDS)
async def rules_of_the_same_priority(subject: Subject) -> None:
    """Makes two rules of the same priority that match, one of which drops.

    Wrong: a packet that is received twice, or in a queue that no rule names.
    """
    bench, drop, direct = await _bench(subject)
    for rules in ((direct, drop), (drop, direct)):
        await bench.set_rules(*rules)
        found = await bench.queues_of(THIS)
        if found not in ([], [bench.last]):
            text = f"a packet for queue {bench.last}, or for none, is received in queues {found}"
            raise Nonconformance("net-15.17" if len(found) > 1 else "net-15.18", text)


@check("net-15.19", needs=_NEEDS)
async def packets_without_a_rule(subject: Subject) -> None:
    """Makes a rule, lets packets come that it is not for, and destroys it.

    Wrong: a packet without a rule that is in another queue than without any rules.
    """
    bench, _drop, direct = await _bench(subject)
    bench.needs_two_queues()
    await bench.set_rules(direct)
    await bench.expect(bench.last, "net-15.19", f"a rule for queue {bench.last}")
    await bench.expect(bench.usual, "net-15.19", "a rule for other packets", OTHER)
    await bench.clear()
    await bench.expect(bench.usual, "net-15.19", "no rules")


@check("net-15.21", needs=[*_NEEDS, offers(NetFeature.MAC, NetFeature.CTRL_VQ, NetFeature.CTRL_RX)])
async def receive_filters_come_first(subject: Subject) -> None:
    """Turns promiscuous mode off, and makes a rule for packets to another station.

    Wrong: a packet that the receive filter drops without the rule, and that is received with it.
    """
    bench, _drop, direct = await _bench(subject)
    off = bytes([False])
    await bench.user.order(NetClass.RX, NetRxCommand.PROMISCUOUS, off, "net-05.01")
    if await bench.queues_of(THIS, _STRANGER):
        raise NotApplicable("the device receives packets to other stations, as it may")
    await bench.set_rules(direct)
    found = await bench.queues_of(THIS, _STRANGER)
    if found:
        text = f"a packet to another station is received in queues {found}, since a rule is for it"
        raise Nonconformance("net-15.21", text)
    await bench.expect(bench.last, "net-15.16", f"a rule for queue {bench.last}")


@check("net-15.10", needs=[*_NEEDS, offers(Feature.RING_RESET, NetFeature.MQ)])
async def queue_of_a_rule_is_reset(subject: Subject) -> None:
    """Directs packets to the last receive queue, and resets that queue; enables it again.

    Wrong: a packet that came meanwhile and is received, in another queue or later.
    """
    bench, _drop, direct = await _bench(subject, Feature.RING_RESET)
    bench.needs_two_queues()
    await bench.set_rules(direct)
    await bench.expect(bench.last, "net-15.16", f"a rule for queue {bench.last}")
    registers = subject.registers(bench.last)
    await registers.write("reset", 1)

    async def done() -> bool:
        return not await registers.read("reset")

    await subject.until(done, "pci-05.13", "the reset of a queue does not end")
    found = await bench.queues_of(THIS)
    if found:
        text = f"a packet for queue {bench.last}, which is reset, is received in queues {found}"
        raise Nonconformance("net-15.10", text)
    queue = subject.queues[bench.last]
    queue.reset()
    await subject.enable_queue(queue)
    await bench.user.offer(8, pair=bench.last // 2)
    await subject.settle()
    if bench.user.arrivals():
        text = f"a packet that came while queue {bench.last} was reset is received afterwards"
        raise Nonconformance("net-15.10", text)
    await bench.expect(bench.last, "net-15.16", f"a rule for queue {bench.last}, enabled again,")
