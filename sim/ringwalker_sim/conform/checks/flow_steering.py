"""Flow filters of the network device: what they do with received packets. Ref: virtio 1.4, 5.1.9.6."""

from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NetClass, NetFeature, NetRxCommand
from ringwalker.spec.net_flow import FlowAction

from ..check import Nonconformance, NotApplicable, check
from ..conditions import has_medium, is_type, offers
from ..flow_bench import OTHER, THIS, FlowBench
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
