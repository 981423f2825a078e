"""A network device with flow filters whose received packets are watched, queue by queue."""

from typing import Any

from ringwalker.spec.net import NET_RECEIVE_QUEUE, NetClass, NetFeature, NetMqCommand
from ringwalker.spec.net_flow import FlowAction, FlowResource

from ..check import Nonconformance, NotApplicable
from ..subject import Subject
from .flow_rules import FlowRules
from .user import NetUser

__all__ = ["OTHER", "THIS", "FlowBench"]

THIS, OTHER = 0xB5, 0xB6
"""Values of the field that rules match."""

_WANTED = (NetFeature.MAC, NetFeature.CTRL_VQ, NetFeature.CTRL_RX, NetFeature.MQ)


class FlowBench:
    """Flow filters and the packets they are for. There is group 0 and classifier 0.

    ``last`` is the last receive queue in use, ``usual`` the queue of packets that no rule matches.
    """

    def __init__(self, rules: FlowRules, user: NetUser):
        self.rules = rules
        self.user = user
        self.last = self.usual = NET_RECEIVE_QUEUE
        self._count = 0

    @classmethod
    async def open(cls, subject: Subject, *features: int) -> "FlowBench":
        """With all pairs of queues in use. Errors: :class:`NotApplicable`."""
        wanted = [bit for bit in _WANTED if subject.offers(bit)]
        if NetFeature.CTRL_VQ not in wanted:
            wanted = [bit for bit in wanted if bit == NetFeature.MAC]
        rules = await FlowRules.open(subject, *wanted, *features, queues=True)
        user = NetUser(subject)
        _ = user.medium
        pairs = await user.field("max_virtqueue_pairs") if subject.has(NetFeature.MQ) else 1
        await user.take_over(pairs)
        made = cls(rules, user)
        if pairs > 1:
            data = pairs.to_bytes(2, "little")
            await user.order(NetClass.MQ, NetMqCommand.VQ_PAIRS_SET, data, "net-09.02")
            made.last = 2 * (pairs - 1) + NET_RECEIVE_QUEUE
        await rules.add_group(0, priority=4)
        await rules.add_classifier()
        found = await made.queues_of(OTHER)
        if len(found) != 1:
            raise NotApplicable(f"a packet without a rule for it is received {len(found)} times")
        made.usual = found[0]
        return made

    def needs_actions(self, *actions: FlowAction) -> None:
        """Errors: :class:`NotApplicable` unless the device offers all of ``actions``."""
        for action in actions:
            if action not in self.rules.actions:
                raise NotApplicable(f"rules cannot have the action {action.name}")

    def needs_two_queues(self) -> None:
        """Errors: :class:`NotApplicable` when a rule can choose no other queue than the usual one."""
        if self.last == self.usual:
            raise NotApplicable("there are no two receive queues")

    async def queues_of(self, value: int, target: bytes | None = None) -> list[int]:
        """Let a packet with ``value`` come; the receive queues in which it arrives."""
        return await self.queues_of_frame(self.rules.frame(target or self.user.mac, value))

    async def queues_of_frame(self, frame: bytes) -> list[int]:
        """Let a packet come; the receive queues in which it arrives."""
        user = self.user
        await user.medium.send(frame)
        await user.subject.settle()
        found = user.arrivals()
        for arrival in found:
            await user.offer(arrival.buffers, pair=arrival.pair)
        return [2 * arrival.pair + NET_RECEIVE_QUEUE for arrival in found if arrival.is_that(frame)]

    async def expect(self, queue: int | None, clause: str, rules: str, value: int = THIS) -> None:
        """Let a packet come, which has to arrive once, in ``queue``; None: not at all.

        Errors: :class:`Nonconformance` of ``clause``; one that arrives twice is against net-15.17.
        """
        found = await self.queues_of(value)
        wanted = [] if queue is None else [queue]
        if found != wanted:
            names = {True: "dropped", False: f"in queue {queue}"}[queue is None]
            text = f"with {rules}, a packet has to be {names}, and is received in queues {found}"
            raise Nonconformance("net-15.17" if len(found) > 1 else clause, text)

    async def set_rules(self, *rules: dict[str, Any]) -> None:
        """Destroy all rules, and create those with the arguments of :meth:`.FlowRules.rule`.

        Errors: :class:`NotApplicable` when there cannot be so many.
        """
        limits = self.rules.limits
        if len(rules) > min(limits["rules_limit"], limits["rules_per_group_limit"]):
            raise NotApplicable(f"there cannot be {len(rules)} rules")
        await self.clear()
        for number, content in enumerate(rules):
            await self.rules.add_rule(number, **content)
        self._count = len(rules)

    async def clear(self) -> None:
        """Destroy all rules."""
        for number in range(self._count):
            answer = await self.rules.admin.destroy(FlowResource.RULE, number)
            answer.expect("net-15.02", f"destroying rule {number}")
        self._count = 0
