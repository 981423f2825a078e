"""The control commands of the reference network device: each takes the device and the data of the command.

It gives the result behind the acknowledgement, or None to refuse.
"""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.net import (
    MAC_BYTES,
    NetClass,
    NetCoalesceCommand,
    NetFeature,
    NetMacCommand,
    NetMqCommand,
    NetRssContextCommand,
    NetRxCommand,
    NetStatsCommand,
    NetStatsReply,
    NetStatsType,
    NetStatus,
    NetVlanCommand,
)

from ...conform.net.hash import HashConfig
from ...memory import dtype_of

__all__ = ["COMMANDS", "CONTEXTS"]

CONTEXTS = 4
"""Most RSS contexts."""

_STATISTICS = 1 << NetStatsType.RX_BASIC | 1 << NetStatsType.TX_BASIC | 1 << NetStatsType.CVQ
_REPLY = dtype_of(NetStatsReply).itemsize


def _number(data: bytes, at: int = 0, size: int = 2) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _rx(command: NetRxCommand) -> Callable[[Any, bytes], bytes | None]:
    def handle(device: Any, data: bytes) -> bytes | None:
        if len(data) != 1 or data[0] > 1:
            return None
        (device.modes.add if data[0] else device.modes.discard)(command)
        return b""

    return handle


def _set_table(device: Any, data: bytes) -> bytes | None:
    found: set[bytes] = set()
    for _part in range(2):
        end = 4 + MAC_BYTES * _number(data, 0, 4)
        if len(data) < end:
            return None
        found |= {data[at : at + MAC_BYTES] for at in range(4, end, MAC_BYTES)}
        data = data[end:]
    device.stations = found
    return b""


def _set_address(device: Any, data: bytes) -> bytes | None:
    if len(data) != MAC_BYTES:
        return None
    device.put("mac", _number(data, 0, MAC_BYTES))
    return b""


def _add_vlan(device: Any, data: bytes) -> bytes | None:
    device.vlans.add(_number(data))
    return b""


def _remove_vlan(device: Any, data: bytes) -> bytes | None:
    device.vlans.discard(_number(data))
    return b""


def _acknowledge(device: Any, _data: bytes) -> bytes | None:
    device.put("status", device.get("status") & ~int(NetStatus.ANNOUNCE))
    return b""


def _set_pairs(device: Any, data: bytes) -> bytes | None:
    if not 1 <= _number(data) <= device.get("max_virtqueue_pairs"):
        return None
    device.used_pairs, device.hashing = _number(data), None
    return b""


def _set_hash(steers: bool) -> Callable[[Any, bytes], bytes | None]:
    def handle(device: Any, data: bytes) -> bytes | None:
        device.hashing = HashConfig.unpack(data, steers)
        return b""

    return handle


def _set_tunnels(device: Any, data: bytes) -> bytes | None:
    if _number(data, 0, 4) & ~device.get("supported_tunnel_types"):
        return None
    device.tunnels = _number(data, 0, 4)
    return b""


# --- coalescing --------------------------------------------------------------------------------------------


def _set_all(kind: int) -> Callable[[Any, bytes], bytes | None]:
    def handle(device: Any, data: bytes) -> bytes | None:
        device.defaults[kind] = _number(data, 0, 4), _number(data, 4, 4)
        for queue in range(kind, device.control_queue, 2):
            device.coalescing[queue] = device.defaults[kind]
        return b""

    return handle


def _set_one(device: Any, data: bytes) -> bytes | None:
    queue = _number(data)
    if queue >= device.control_queue or not device.is_enabled(queue):
        return None
    device.coalescing[queue] = _number(data, 4, 4), _number(data, 8, 4)
    return b""


def _get_one(device: Any, data: bytes) -> bytes | None:
    queue = _number(data)
    if queue >= device.control_queue or not device.is_enabled(queue):
        return None
    return b"".join(value.to_bytes(4, "little") for value in device.coalescing.get(queue, (0, 0)))


# --- statistics --------------------------------------------------------------------------------------------


def _query(device: Any, _data: bytes) -> bytes | None:
    return _STATISTICS.to_bytes(8, "little") if device.has(NetFeature.DEVICE_STATS) else None


def _statistic(device: Any, kind: int, queue: int) -> bytes:
    first, second = device.counts[queue]
    numbers = [first, second] if kind == NetStatsType.CVQ else [0, first, second, 0, 0, 0]
    size = _REPLY + 8 * len(numbers)
    head = bytes([kind, 0]) + b"".join(value.to_bytes(2, "little") for value in (queue, 0, size))
    return head + b"".join(number.to_bytes(8, "little") for number in numbers)


def _get_statistics(device: Any, data: bytes) -> bytes | None:
    if not data or len(data) % 16:
        return None
    result = b""
    for at in range(0, len(data), 16):
        queue, kinds = _number(data, at), _number(data, at + 8, 8)
        last = device.control_queue
        possible = (
            NetStatsType.CVQ if queue == last else (NetStatsType.RX_BASIC, NetStatsType.TX_BASIC)[queue % 2]
        )
        if queue > last or kinds & ~(1 << possible):
            return None
        result += _statistic(device, possible, queue) if kinds else b""
    return result


# --- RSS contexts ------------------------------------------------------------------------------------------


def _context(exists: bool) -> Callable[[Any, bytes], bytes | None]:
    def handle(device: Any, data: bytes) -> bytes | None:
        number = _number(data)
        if not 1 <= number <= CONTEXTS or (number in device.contexts) != exists:
            return None
        device.contexts[number] = HashConfig.unpack(data[8:], True)
        return b""

    return handle


def _remove_context(device: Any, data: bytes) -> bytes | None:
    return None if device.contexts.pop(_number(data), None) is None else b""


def _capability(_device: Any, _data: bytes) -> bytes | None:
    return CONTEXTS.to_bytes(2, "little")


COMMANDS: dict[tuple[int, int], Callable[[Any, bytes], bytes | None]] = {
    **{(NetClass.RX, command): _rx(command) for command in NetRxCommand},
    (NetClass.MAC, NetMacCommand.TABLE_SET): _set_table,
    (NetClass.MAC, NetMacCommand.ADDR_SET): _set_address,
    (NetClass.VLAN, NetVlanCommand.ADD): _add_vlan,
    (NetClass.VLAN, NetVlanCommand.DEL): _remove_vlan,
    (NetClass.ANNOUNCE, 0): _acknowledge,
    (NetClass.MQ, NetMqCommand.VQ_PAIRS_SET): _set_pairs,
    (NetClass.MQ, NetMqCommand.RSS_CONFIG): _set_hash(True),
    (NetClass.MQ, NetMqCommand.HASH_CONFIG): _set_hash(False),
    (NetClass.NOTF_COAL, NetCoalesceCommand.RX_SET): _set_all(0),
    (NetClass.NOTF_COAL, NetCoalesceCommand.TX_SET): _set_all(1),
    (NetClass.NOTF_COAL, NetCoalesceCommand.VQ_SET): _set_one,
    (NetClass.NOTF_COAL, NetCoalesceCommand.VQ_GET): _get_one,
    (NetClass.HASH_TUNNEL, 0): _set_tunnels,
    (NetClass.STATS, NetStatsCommand.QUERY): _query,
    (NetClass.STATS, NetStatsCommand.GET): _get_statistics,
    (NetClass.RSS_CONTEXT, NetRssContextCommand.CAP_GET): _capability,
    (NetClass.RSS_CONTEXT, NetRssContextCommand.ADD): _context(False),
    (NetClass.RSS_CONTEXT, NetRssContextCommand.MOD): _context(True),
    (NetClass.RSS_CONTEXT, NetRssContextCommand.DEL): _remove_context,
}
"""By class and command."""
