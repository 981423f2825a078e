"""The reference network device with flow filters, security associations and an administration queue.

Ref: virtio 1.4, 2.12, 5.1.9.6, 5.1.9.7.
"""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.admin import AdminCapability, AdminGroup
from ringwalker.spec.device_parts import DevPartsCapability
from ringwalker.spec.features import Feature
from ringwalker.spec.net_flow import FlowAction

from ...golden.function import Request, Schedule
from ...struct_bytes import struct_bytes, struct_of
from .admin_server import AdminServer, Capabilities
from .associations import IPSEC_CAPABILITIES, IPSEC_VALID, InboundKind, OutboundKind
from .flow_filter import FLOW_CAPABILITIES, FLOW_VALID, ClassifierKind, FlowFilter, GroupKind, RuleKind
from .reference_net import PAIRS, ReferenceNet
from .resources import Resources

__all__ = ["ADMIN_NET_QUEUES", "AdminNet"]

_ADMIN_QUEUE = 2 * PAIRS + 1
ADMIN_NET_QUEUES = _ADMIN_QUEUE + 1
"""The pairs, the control queue and the administration queue."""

_PARTS: dict[int, bytes] = {
    AdminCapability.DEV_PARTS: struct_bytes(DevPartsCapability, get_limit=2, set_limit=2)
}


def _valid_parts(mine: bytes, wanted: bytes) -> bool:
    own, theirs = (struct_of(DevPartsCapability, raw) for raw in (mine, wanted))
    return all(theirs[name] <= own[name] for name in ("get_limit", "set_limit"))


class AdminNet(ReferenceNet):
    """The device. ``admin`` answers its commands, ``capabilities`` are what it can do, ``resources`` its
    objects of the self group, ``filter`` its flow filters.

    Set by the port: ``members()``, the numbers of its virtual functions, None without any; ``parts``, their
    resource objects.
    """

    admin_queues = 1

    def __init__(self, schedule: Schedule, **options: Any):
        self.members: Callable[[], range | None] = lambda: None
        self.parts = Resources([])
        super().__init__(schedule, **options)
        self.queue_count = ADMIN_NET_QUEUES
        self.features |= 1 << Feature.ADMIN_VQ | 1 << Feature.SR_IOV
        self.capabilities = Capabilities(
            _PARTS | FLOW_CAPABILITIES | IPSEC_CAPABILITIES,
            {AdminCapability.DEV_PARTS: _valid_parts, **FLOW_VALID, **IPSEC_VALID},
            self.in_use,
        )
        groups, classifiers = GroupKind(self.capabilities), ClassifierKind(self.capabilities)
        rules = RuleKind(self.capabilities, classifiers, self.is_receive_queue)
        associations = [OutboundKind(self.capabilities), InboundKind(self.capabilities)]
        self.filter = FlowFilter(groups, classifiers, rules)
        self.resources = Resources([groups, classifiers, rules, *associations])
        self.admin = AdminServer(schedule, self._members_of)
        own = self.admin.handlers[AdminGroup.SELF]
        own |= self.capabilities.handlers()
        own |= self.resources.handlers()

    def _members_of(self, group: int) -> range | None:
        if group == AdminGroup.SELF:
            return range(1)
        return self.members() if group == AdminGroup.SR_IOV else None

    def in_use(self, capability: int) -> bool:
        """Whether objects depend on a capability."""
        return self.resources.in_use(capability) or self.parts.in_use(capability)

    def is_receive_queue(self, index: int) -> bool:
        """Whether there is such a receive queue in use."""
        return index % 2 == 0 and index < 2 * self.used_pairs

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        super().reset()
        self.admin.reset()
        self.resources.reset()
        self.parts.reset()
        self.capabilities.reset()

    def take(self, queue: int, request: Request) -> None:
        """Take a buffer."""
        if queue == _ADMIN_QUEUE:
            self.schedule(self.latency, lambda: self.admin.take(request))
        else:
            super().take(queue, request)

    def steer(self, frame: bytes) -> int | None:
        """The pair that gets a frame; None if it is dropped. Without a rule for it: what is usual."""
        decision = self.filter.decide(frame)
        if decision is None:
            return super().steer(frame)
        action, queue = decision
        return None if action == FlowAction.DROP or not self.is_enabled(queue) else queue // 2
