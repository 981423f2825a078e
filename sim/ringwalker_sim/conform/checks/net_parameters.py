"""The network device: coalescing of notifications, and statistics.

Ref: virtio 1.4, 5.1.6.5.10 and 5.1.6.5.11.
"""

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import (
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetClass,
    NetCoalesceCommand,
    NetControlAck,
    NetFeature,
    NetStatsCommand,
    NetStatsReply,
    NetStatsType,
)

from ...memory import dtype_of
from ..check import RINGS, Nonconformance, NotApplicable, check
from ..conditions import has_msix, is_type, offers
from ..net.user import BROADCAST, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_NET = is_type(DeviceType.NET)
_F, _C = NetFeature, NetCoalesceCommand
_ALL = [_NET, offers(_F.CTRL_VQ, _F.NOTF_COAL)]
_EACH = [_NET, offers(_F.CTRL_VQ, _F.VQ_NOTF_COAL)]
_BOTH = [_NET, offers(_F.CTRL_VQ, _F.NOTF_COAL, _F.VQ_NOTF_COAL)]
_VALUES = ((1, 10), (15, 1000), (0, 0), (0xFFFF_FFFF, 0xFFFF_FFFF))
_SETS = {NET_RECEIVE_QUEUE: _C.RX_SET, NET_TRANSMIT_QUEUE: _C.TX_SET}


def _pack(packets: int, microseconds: int) -> bytes:
    return packets.to_bytes(4, "little") + microseconds.to_bytes(4, "little")


async def _set_all(user: NetUser, queue: int, values: tuple[int, int]) -> bool:
    ack, _rest = await user.command(NetClass.NOTF_COAL, _SETS[queue & 1], _pack(*values))
    return ack == NetControlAck.OK


async def _set(user: NetUser, queue: int, values: tuple[int, int], reserved: int = 0) -> bool:
    data = queue.to_bytes(2, "little") + reserved.to_bytes(2, "little") + _pack(*values)
    return (await user.command(NetClass.NOTF_COAL, _C.VQ_SET, data))[0] == NetControlAck.OK


async def _get(user: NetUser, queue: int, reserved: int = 0) -> tuple[int, int] | None:
    """The parameters of a queue; None when the command is refused."""
    data = queue.to_bytes(2, "little") + reserved.to_bytes(2, "little")
    ack, result = await user.command(NetClass.NOTF_COAL, _C.VQ_GET, data, room=8)
    if ack != NetControlAck.OK:
        return None
    return int.from_bytes(result[:4], "little"), int.from_bytes(result[4:8], "little")


async def _expect(user: NetUser, queue: int, values: tuple[int, int], clause: str, text: str) -> None:
    found = await _get(user, queue)
    if found != values:
        raise Nonconformance(clause, f"{text}: queue {queue} has {found}, and not {values}")


@check("net-11.01", needs=_EACH)
async def reserved_bytes_of_coalescing_are_ignored(subject: Subject) -> None:
    """Sets and gets the parameters of a queue with ones in the reserved bytes.

    Wrong: a command is refused, or has another result than with zeroes.
    """
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.VQ_NOTF_COAL)
    first = await _set(user, NET_TRANSMIT_QUEUE, (3, 30))
    if await _set(user, NET_TRANSMIT_QUEUE, (4, 40), reserved=0xFFFF) != first:
        raise Nonconformance("net-11.01", "VQ_SET has another answer with ones in the reserved bytes")
    plain, with_ones = await _get(user, NET_TRANSMIT_QUEUE), await _get(user, NET_TRANSMIT_QUEUE, 0xFFFF)
    if plain != with_ones or (first and plain != (4, 40)):
        raise Nonconformance("net-11.01", f"VQ_GET has {plain}, and {with_ones} with ones in reserved bytes")


@check("net-11.02", needs=_BOTH)
async def coalescing_of_all_queues_is_set_or_refused(subject: Subject) -> None:
    """Sets the parameters of all receive, and all transmit queues to many values, and gets them.

    Wrong: the command is not refused, and the queues have other parameters.
    """
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.NOTF_COAL, _F.VQ_NOTF_COAL)
    for queue in (NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE):
        for values in _VALUES:
            if await _set_all(user, queue, values):
                await _expect(user, queue, values, "net-11.02", "parameters of all queues were set")


@check("net-11.03", needs=_EACH)
async def coalescing_of_a_queue_is_set_or_refused(subject: Subject) -> None:
    """Sets the parameters of each queue to many values, and gets them.

    Wrong: the command is not refused, and the queue has other parameters; or another queue has them.
    """
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.VQ_NOTF_COAL)
    for queue in (NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE):
        for values in _VALUES:
            other = await _get(user, queue ^ 1)
            if await _set(user, queue, values):
                await _expect(user, queue, values, "net-11.03", "parameters of a queue were set")
                if await _get(user, queue ^ 1) != other:
                    raise Nonconformance("net-11.03", "parameters of another queue have changed")


@check("net-11.04", needs=_EACH)
async def coalescing_of_no_queue_is_refused(subject: Subject) -> None:
    """Sets and gets parameters of the control queue, and of queues that do not exist.

    Wrong: a command is not refused.
    """
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.VQ_NOTF_COAL)
    for queue in (2 * user.pairs, 2 * user.pairs + 1, 0x7FFF, 0xFFFF):
        if await _set(user, queue, (1, 1)) or await _get(user, queue) is not None:
            raise Nonconformance("net-11.04", f"coalescing parameters of queue {queue} are accepted")


async def _again(subject: Subject, queue: int, clause: str) -> None:
    """Set parameters, reset the queue, enable it again: once with, once without parameters of all queues."""
    user = NetUser(subject)
    for values in (None, (7, 70)):
        await user.start(_F.CTRL_VQ, _F.NOTF_COAL, _F.VQ_NOTF_COAL, Feature.RING_RESET)
        if values is not None and not await _set_all(user, queue, values):
            raise NotApplicable("the parameters of all queues cannot be set")
        if not await _set(user, queue, (9, 90)):
            raise NotApplicable("the parameters of a queue cannot be set")
        await user.reset_queue(queue)
        if await _get(user, queue) is not None:
            raise Nonconformance(
                "net-11.04", f"coalescing parameters of queue {queue} are got while it is reset"
            )
        await user.enable_queue(queue)
        await _expect(user, queue, values or (0, 0), clause, "enabled again")


@check("net-11.04", "net-11.05", needs=[*_BOTH, offers(Feature.RING_RESET)])
async def coalescing_of_a_transmit_queue_that_is_enabled_again(subject: Subject) -> None:
    """Sets the parameters of a transmit queue, resets it and enables it again.

    Wrong: it has other parameters than those of all transmit queues, or than 0 if these were not set.
    """
    await _again(subject, NET_TRANSMIT_QUEUE, "net-11.05")


@check("net-11.04", "net-11.06", needs=[*_BOTH, offers(Feature.RING_RESET)])
async def coalescing_of_a_receive_queue_that_is_enabled_again(subject: Subject) -> None:
    """Sets the parameters of a receive queue, resets it and enables it again.

    Wrong: it has other parameters than those of all receive queues, or than 0 if these were not set.
    """
    await _again(subject, NET_RECEIVE_QUEUE, "net-11.06")


@check("net-11.07", "net-11.08", ways=RINGS, needs=[*_ALL, has_msix])
async def notifications_with_coalescing(subject: Subject) -> None:
    """Coalesces notifications of sent packets and sends some, first with notifications suppressed; how many
    there are otherwise is the device's choice.

    Wrong: buffers that are not used, or a notification while they are suppressed, which should not be.
    """
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.NOTF_COAL, interrupt="msix")
    if not await _set_all(user, NET_TRANSMIT_QUEUE, (4, 50)):
        raise NotApplicable("the parameters cannot be set")
    queue = user.transmit_queue()
    for suppressed in (True, False):
        queue.suppress(suppressed)
        await subject.settle()
        before = subject.interrupts(queue.index)
        for number in range(6):
            await user.send(make_frame(BROADCAST, number))
        await subject.settle()
        if suppressed and subject.interrupts(queue.index) != before:
            raise Nonconformance("net-11.08", "a notification comes that is suppressed")
        subject.note("notifications", subject.interrupts(queue.index) - before)


@check("net-11.09", needs=_EACH)
async def coalescing_is_off_after_a_reset(subject: Subject) -> None:
    """Sets parameters of all queues, resets the device, and gets them.

    Wrong: they are not 0.
    """
    user = NetUser(subject)
    for _round in range(2):
        await user.start(_F.CTRL_VQ, _F.VQ_NOTF_COAL)
        for queue in (NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE):
            await _expect(user, queue, (0, 0), "net-11.09", "after a reset")
            await _set(user, queue, (11, 110))


# --- statistics --------------------------------------------------------------------------------------------

_STATS = [_NET, offers(_F.CTRL_VQ, _F.DEVICE_STATS)]
_HEADER = dtype_of(NetStatsReply)
_KNOWN = sum(1 << kind for kind in NetStatsType)
_BASIC = {NetStatsType.RX_BASIC: 56, NetStatsType.TX_BASIC: 56, NetStatsType.CVQ: 24}
"""Bytes of replies."""


async def _start(subject: Subject) -> tuple[NetUser, int]:
    """The device, and the mask of its statistics."""
    user = NetUser(subject)
    await user.start(_F.CTRL_VQ, _F.DEVICE_STATS)
    ack, result = await user.command(NetClass.STATS, NetStatsCommand.QUERY, room=8)
    if ack != NetControlAck.OK or len(result) != 8:
        raise Nonconformance("net-13.01", f"the kinds of statistics are answered with {ack}, {result.hex()}")
    return user, int.from_bytes(result, "little")


def _ask(*what: tuple[int, int]) -> bytes:
    return b"".join(queue.to_bytes(8, "little") + kinds.to_bytes(8, "little") for queue, kinds in what)


def _possible(user: NetUser, kinds: int) -> list[tuple[int, NetStatsType]]:
    """Queues, and a kind of statistic that each has."""
    wanted = (
        (NET_RECEIVE_QUEUE, NetStatsType.RX_BASIC),
        (NET_TRANSMIT_QUEUE, NetStatsType.TX_BASIC),
        (2 * user.pairs, NetStatsType.CVQ),
    )
    return [(queue, kind) for queue, kind in wanted if kinds >> kind & 1]


@check("net-13.01", needs=_STATS)
async def kinds_of_statistics_are_said(subject: Subject) -> None:
    """Asks for the kinds of statistics.

    Wrong: no answer, or kinds that do not exist.
    """
    _user, kinds = await _start(subject)
    if kinds & ~_KNOWN:
        raise Nonconformance("net-13.01", f"the kinds of statistics are {kinds:#x}")


@check("net-13.02", "net-13.03", needs=_STATS)
async def wrong_questions_for_statistics_are_refused(subject: Subject) -> None:
    """Asks for statistics of queues that do not exist, of kinds that do not exist or belong to other queues;
    alone, and behind a right question.

    Wrong: a command is not refused.
    """
    user, kinds = await _start(subject)
    wrong = [(2 * user.pairs + 1, 1), (0xFFFF, 1), (NET_RECEIVE_QUEUE, 1 << 63)]
    wrong += [(NET_RECEIVE_QUEUE, 1 << NetStatsType.TX_BASIC), (NET_TRANSMIT_QUEUE, 1)]
    right = [(queue, 1 << kind) for queue, kind in _possible(user, kinds)][:1]
    for question in wrong:
        for first in ([], right):
            data = _ask(*first, question)
            ack, _rest = await user.command(NetClass.STATS, NetStatsCommand.GET, data, room=256)
            if ack == NetControlAck.OK:
                clause = "net-13.03" if first else "net-13.02"
                text = f"statistics {question[1]:#x} of queue {question[0]} are answered"
                raise Nonconformance(clause, text)


@check("net-13.04", "net-13.05", needs=_STATS)
async def statistics_say_what_they_are(subject: Subject) -> None:
    """Asks for the basic statistics of each queue.

    Wrong: the size in the header is not that of the reply; type or queue are others.
    """
    user, kinds = await _start(subject)
    for queue, kind in _possible(user, kinds):
        question = _ask((queue, 1 << kind))
        ack, result = await user.command(NetClass.STATS, NetStatsCommand.GET, question, room=256)
        if ack != NetControlAck.OK or len(result) < _HEADER.itemsize:
            raise Nonconformance(
                "net-13.04", f"statistics {kind.name} are answered with {ack}, {result.hex()}"
            )
        size, kind_said = int.from_bytes(result[6:8], "little"), result[0]
        if size != len(result) or size < _BASIC[kind]:
            text = f"statistics {kind.name} of {len(result)} bytes say that they have {size}"
            raise Nonconformance("net-13.04", text)
        if kind_said != kind or int.from_bytes(result[2:4], "little") != queue:
            raise Nonconformance("net-13.05", f"statistics {kind.name} say that they are {result[:8].hex()}")


@check("net-13.06", needs=_STATS)
async def statistics_fill_no_more_than_they_have(subject: Subject) -> None:
    """Asks for statistics with buffers that are smaller and larger than the reply.

    Wrong: bytes are written behind the reply, or it is not there.
    """
    user, kinds = await _start(subject)
    for queue, kind in _possible(user, kinds):
        question = _ask((queue, 1 << kind))
        _ack, whole = await user.command(NetClass.STATS, NetStatsCommand.GET, question, room=1024)
        for room in (1, 8, len(whole) - 1, len(whole), len(whole) + 1):
            ack, part = await user.command(NetClass.STATS, NetStatsCommand.GET, question, room=room)
            if ack == NetControlAck.OK and len(part) != min(room, len(whole)):
                text = f"{len(part)} bytes of a reply of {len(whole)} are in a buffer of {room}"
                raise Nonconformance("net-13.06", text)
    subject.check_guards("net-13.06")
