"""Faults of a network device in steering, hashes, coalescing and statistics: a check finds each."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.net import (
    NetClass,
    NetCoalesceCommand,
    NetMqCommand,
    NetRssContextCommand,
    NetStatsCommand,
)

from .fault import Fault, around
from .net_patches import Patch, kept

__all__ = ["PARAMETER_FAULTS", "STEERING_FAULTS"]

_C, _S = NetCoalesceCommand, NetStatsCommand
_COAL, _STATS = NetClass.NOTF_COAL, NetClass.STATS


def _command(group: int, number: int, wrapper: Callable[[Any, Any, bytes], bytes | None]) -> Patch:
    """A command becomes ``wrapper(handler, device, data)``."""

    def patch(port: Any) -> None:
        commands = port.model.commands
        handler = commands[group, number]
        commands[group, number] = lambda device, data: wrapper(handler, device, data)

    return patch


def _without_effect(_handler: Any, _device: Any, _data: bytes) -> bytes:
    return b""


def _all_pairs_at_first(port: Any) -> None:
    def reset(reset: Any) -> None:
        reset()
        port.model.used_pairs = 3

    around(port.model, "reset", reset)


def _one_pair_more(handler: Any, device: Any, data: bytes) -> bytes | None:
    result = handler(device, data)
    device.used_pairs = min(3, device.used_pairs + 1)
    return result


def _all_receive_queues(model: Any) -> list[bool]:
    return [model.is_enabled(queue) for queue in range(0, model.control_queue, 2)]


def _waits(port: Any) -> None:
    """Packets wait while all receive queues are reset."""
    model = port.model

    def receive(receive: Any, frame: bytes) -> None:
        if any(_all_receive_queues(model)):
            receive(frame)
        else:
            model.backlog[0].append(frame)

    around(model, "receive", receive)


def _other_hash(port: Any) -> None:
    def other(kind: int, value: int) -> tuple[int, int]:
        return kind, int.from_bytes(value.to_bytes(4, "little"), "big")

    around(port.model, "hash", lambda make, frame: other(*make(frame)))


def _hash_at_first(port: Any) -> None:
    model = port.model
    around(model, "hash", lambda make, frame: (1, 0x1234) if model.hashing is None else make(frame))


def _steer(wrapper: Callable[[Any, int | None], int | None]) -> Patch:
    def patch(port: Any) -> None:
        around(port.model, "steer", lambda steer, frame: wrapper(port.model, steer(frame)))

    return patch


STEERING_FAULTS = [
    Fault(name, check, clause, patch)
    for name, check, clause, patch in (
        (
            "all pairs from the start",
            "only_the_first_pair_is_used_at_first",
            "net-09.01",
            _all_pairs_at_first,
        ),
        (
            "one pair more",
            "pairs_beyond_the_number_are_not_used",
            "net-09.02",
            _command(NetClass.MQ, NetMqCommand.VQ_PAIRS_SET, _one_pair_more),
        ),
        (
            "flows that come back elsewhere",
            "flows_come_back_on_their_pair",
            "more-04.01",
            _steer(lambda _model, pair: None if pair is None else (pair + 1) % 3),
        ),
        (
            "no command for hashes",
            "hashes_are_reported",
            "more-04.02",
            _command(NetClass.MQ, NetMqCommand.HASH_CONFIG, lambda *_arguments: None),
        ),
        (
            "packets of a queue that is reset are lost",
            "another_queue_is_chosen_for_one_that_is_reset",
            "net-09.03",
            _steer(lambda model, pair: pair if all(_all_receive_queues(model)) else None),
        ),
        (
            "packets wait for a queue",
            "packets_are_dropped_while_all_queues_are_reset",
            "net-09.04",
            _waits,
        ),
        ("hash in the wrong order", "packets_are_steered_by_their_hash", "net-10.01", _other_hash),
        ("hash before it is configured", "hashes_are_reported", "net-10.01", _hash_at_first),
        (
            "packets of a queue that is reset go elsewhere",
            "packets_of_a_queue_that_is_reset_are_dropped",
            "net-10.02",
            _steer(lambda _model, pair: 0 if pair is None else pair),
        ),
        (
            "tunnels that are not enabled",
            "hash_of_the_inner_header",
            "net-12.01",
            _command(NetClass.HASH_TUNNEL, 0, _without_effect),
        ),
        ("tunnels that a reset leaves", "hash_of_the_inner_header", "net-12.03", kept("tunnels")),
        (
            "tunnels that are not supported",
            "unknown_tunnels_are_refused",
            "net-12.02",
            _command(NetClass.HASH_TUNNEL, 0, _without_effect),
        ),
        (
            "no RSS contexts",
            "there_are_rss_contexts",
            "net-14.01",
            _command(NetClass.RSS_CONTEXT, NetRssContextCommand.CAP_GET, lambda *_arguments: bytes(2)),
        ),
        (
            "RSS contexts that a reset leaves",
            "rss_contexts_are_gone_after_a_reset",
            "net-14.02",
            kept("contexts"),
        ),
    )
]


def _refuses_reserved(handler: Any, device: Any, data: bytes) -> bytes | None:
    return None if any(data[2:4]) else handler(device, data)


def _keeps_parameters(port: Any) -> None:
    model = port.model

    def stopped(stopped: Any, queue: int) -> None:
        before = model.coalescing.get(queue, (0, 0))
        stopped(queue)
        model.coalescing[queue] = before

    around(model, "stopped", stopped)


def _notifies(port: Any) -> None:
    def cut(cut: Any, *packet: Any) -> Any:
        port.rings.notify(1)
        return cut(*packet)

    around(port.model, "cut", cut)


def _first_only(handler: Any, device: Any, data: bytes) -> bytes | None:
    return handler(device, data[:16])


def _any_queue(handler: Any, device: Any, data: bytes) -> bytes | None:
    result = handler(device, data)
    return result if result is not None or len(data) > 16 else bytes(8)


def _nothing_without_room(port: Any) -> None:
    model = port.model

    def answer(answer: Any, content: bytes, room: int) -> bytes:
        whole = answer(content, 1 << 16)
        return whole if len(whole) <= room else whole[:1]

    around(model, "answer", answer)


PARAMETER_FAULTS = [
    Fault(name, check, clause, patch)
    for name, check, clause, patch in (
        (
            "reserved bytes that are looked at",
            "reserved_bytes_of_coalescing_are_ignored",
            "net-11.01",
            _command(_COAL, _C.VQ_SET, _refuses_reserved),
        ),
        (
            "parameters of all queues that are not set",
            "coalescing_of_all_queues_is_set_or_refused",
            "net-11.02",
            _command(_COAL, _C.TX_SET, _without_effect),
        ),
        (
            "parameters of a queue that are not set",
            "coalescing_of_a_queue_is_set_or_refused",
            "net-11.03",
            _command(_COAL, _C.VQ_SET, _without_effect),
        ),
        (
            "parameters of no queue",
            "coalescing_of_no_queue_is_refused",
            "net-11.04",
            _command(_COAL, _C.VQ_GET, lambda *_arguments: bytes(8)),
        ),
        (
            "transmit queue that keeps its parameters",
            "coalescing_of_a_transmit_queue_that_is_enabled_again",
            "net-11.05",
            _keeps_parameters,
        ),
        (
            "receive queue that keeps its parameters",
            "coalescing_of_a_receive_queue_that_is_enabled_again",
            "net-11.06",
            _keeps_parameters,
        ),
        ("notification that is suppressed", "notifications_with_coalescing", "net-11.08", _notifies),
        (
            "parameters that a reset leaves",
            "coalescing_is_off_after_a_reset",
            "net-11.09",
            kept("coalescing", "defaults"),
        ),
        (
            "no kinds of statistics",
            "kinds_of_statistics_are_said",
            "net-13.01",
            _command(_STATS, _S.QUERY, lambda *_arguments: None),
        ),
        (
            "unknown kinds of statistics",
            "kinds_of_statistics_are_said",
            "net-13.01",
            _command(_STATS, _S.QUERY, lambda *_arguments: b"\xff" * 8),
        ),
        (
            "statistics of any queue",
            "wrong_questions_for_statistics_are_refused",
            "net-13.02",
            _command(_STATS, _S.GET, _any_queue),
        ),
        (
            "statistics as far as they are right",
            "wrong_questions_for_statistics_are_refused",
            "net-13.03",
            _command(_STATS, _S.GET, _first_only),
        ),
        (
            "statistics without a size",
            "statistics_say_what_they_are",
            "net-13.04",
            _command(_STATS, _S.GET, lambda handler, device, data: _patched(handler(device, data), 6)),
        ),
        (
            "statistics of another queue",
            "statistics_say_what_they_are",
            "net-13.05",
            _command(_STATS, _S.GET, lambda handler, device, data: _patched(handler(device, data), 2)),
        ),
        (
            "statistics that need their room",
            "statistics_fill_no_more_than_they_have",
            "net-13.06",
            _nothing_without_room,
        ),
    )
]


def _patched(reply: bytes | None, at: int) -> bytes | None:
    """A reply with 0xff at a place."""
    return None if reply is None else reply[:at] + b"\xff" + reply[at + 1 :]
