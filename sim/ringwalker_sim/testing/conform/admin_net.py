"""A network device with two pairs of queues, flow filters, security associations and an administration queue.

Ref: virtio 1.4, 5.1.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from ringwalker.spec.admin import AdminCapability, AdminGroup
from ringwalker.spec.device_parts import DevPartsCapability
from ringwalker.spec.features import Feature
from ringwalker.spec.net import (
    NET_CONTROL_QUEUE,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetClass,
    NetFeature,
    NetMqCommand,
)
from ringwalker.spec.net_flow import FlowAction

from ...golden.function import Request, Schedule
from ...golden.net import NetModel
from ...guest.net_header import net_header
from ...struct_bytes import struct_bytes, struct_of
from .admin_server import AdminServer, Capabilities
from .associations import IPSEC_CAPABILITIES, IPSEC_VALID, InboundKind, OutboundKind
from .flow_filter import FLOW_CAPABILITIES, FLOW_VALID, ClassifierKind, FlowFilter, GroupKind, RuleKind
from .resources import Resources

__all__ = ["ADMIN_NET_QUEUES", "AdminNet"]

_PAIRS = 2
_ADMIN_QUEUE = 2 * _PAIRS + 1
ADMIN_NET_QUEUES = _ADMIN_QUEUE + 1
"""Two pairs, the control queue and the administration queue."""

_OFFERED = (
    Feature.ADMIN_VQ,
    Feature.SR_IOV,
    NetFeature.MQ,
    NetFeature.OUT_NET_HEADER,
    NetFeature.IPSEC,
)

_PARTS: dict[int, bytes] = {
    AdminCapability.DEV_PARTS: struct_bytes(DevPartsCapability, get_limit=2, set_limit=2)
}


def _valid_parts(mine: bytes, wanted: bytes) -> bool:
    own, theirs = (struct_of(DevPartsCapability, raw) for raw in (mine, wanted))
    return all(theirs[name] <= own[name] for name in ("get_limit", "set_limit"))


class AdminNet(NetModel):
    """The device. ``admin`` answers its commands, ``capabilities`` are what it can do, ``resources`` its
    objects of the self group, ``filter`` its flow filters.

    Set by the port: ``members()``, the numbers of its virtual functions, None without any; ``parts``, their
    resource objects.
    """

    admin_queues = 1

    def __init__(self, schedule: Schedule, **common: Any):
        self._buffers: dict[int, deque[Request]] = {}
        self._frames: dict[int, deque[bytes]] = {}
        self.pairs = 1
        self.members: Callable[[], range | None] = lambda: None
        self.parts = Resources([])
        super().__init__(schedule, **common)
        self.queue_count = ADMIN_NET_QUEUES
        self.features |= sum(1 << feature for feature in _OFFERED)
        self.put("max_virtqueue_pairs", _PAIRS)
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

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        super().reset()
        self.pairs = 1
        self._buffers.clear()
        self._frames.clear()
        self.admin.reset()
        self.resources.reset()
        self.parts.reset()
        self.capabilities.reset()

    def accept_word(self, word: int, value: int) -> None:
        """Feature bits from 64 on are in the third word."""
        if word == 2:
            self.driver_features = self.driver_features & (1 << 64) - 1 | value << 64
        else:
            super().accept_word(word, value)

    # --- queues --------------------------------------------------------------------------------------------

    @property
    def control_queue(self) -> int:
        """The index of the control queue, behind the pairs that the driver knows."""
        return 2 * _PAIRS if self.driver_features >> NetFeature.MQ & 1 else NET_CONTROL_QUEUE

    def is_receive_queue(self, index: int) -> bool:
        """Whether there is such a receive queue in use."""
        return index % 2 == NET_RECEIVE_QUEUE and index < 2 * self.pairs

    def stopped(self, queue: int) -> None:
        """Drop the buffers of a queue, and the frames for it."""
        super().stopped(queue)
        self._buffers.pop(queue, None)
        self._frames.pop(queue, None)

    def take(self, queue: int, request: Request) -> None:
        """Take a buffer."""
        if queue == _ADMIN_QUEUE:
            self.schedule(self.latency, lambda: self.admin.take(request))
        elif queue == self.control_queue:
            super().take(NET_CONTROL_QUEUE, request)
        elif queue % 2 == NET_RECEIVE_QUEUE:
            self._buffers.setdefault(queue, deque()).append(request)
            self.schedule(self.latency, lambda: self._fill(queue))
        else:
            super().take(NET_TRANSMIT_QUEUE, request)

    def _execute(self, group: int, number: int, data: bytes) -> bool:
        if group == NetClass.MQ and number == NetMqCommand.VQ_PAIRS_SET:
            pairs = int.from_bytes(data[:2], "little")
            if 0 < pairs <= _PAIRS:
                self.pairs = pairs
            return pairs == self.pairs
        return super()._execute(group, number, data)

    # --- received frames -----------------------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """Receive a frame: first the receive filters, then flow filters, then the first receive queue."""
        queue = self.queue_for(frame)
        if queue is None:
            self.dropped += 1
            return
        self._frames.setdefault(queue, deque()).append(frame)
        self._fill(queue)

    def queue_for(self, frame: bytes) -> int | None:
        """The queue of a frame; None for one that is dropped."""
        if not self.accepts(frame):
            return None
        decision = self.filter.decide(frame)
        if decision is None:
            return self.usual_queue(frame)
        action, queue = decision
        if action == FlowAction.DROP or not self.is_ready(queue):
            return None
        return queue

    def usual_queue(self, _frame: bytes) -> int:
        """The queue of a frame that no rule is for."""
        return NET_RECEIVE_QUEUE

    def is_ready(self, queue: int) -> bool:
        """Whether a queue is enabled."""
        return bool(self.server.queues[queue].enable)

    def _fill(self, queue: int) -> None:
        """Write frames into the buffers of a queue."""
        frames, buffers = self._frames.get(queue, ()), self._buffers.get(queue, ())
        while frames and buffers:
            request = buffers.popleft()
            if request.live:
                content = net_header(self.driver_features, 1) + frames.popleft()
                self.received += 1
                request.finish(content[: request.room])
