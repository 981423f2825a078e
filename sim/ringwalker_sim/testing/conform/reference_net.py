"""A network device in Python that offers what the specification has, as a reference for checks.

Three pairs of queues; all receive filters; merged buffers, checksums and segmentation on the way out;
steering, hashes, coalescing parameters and statistics.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import FunctionKind
from ringwalker.spec.ids import CLASS_CODES, DeviceType
from ringwalker.spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NET_STEERING_CONFIG,
    NetControlAck,
    NetFeature,
    NetGso,
    NetHeaderFlag,
    NetRxCommand,
    NetStatus,
    NetTunnel,
)
from ringwalker.spec.registers import RegisterTable

from ...conform.net.hash import HashConfig, packet_hash
from ...conform.net.header import PacketHeader, header_size
from ...conform.net.packets import TCP, complete, inner_layers, ipv4, layers, pseudo_sum
from ...function.simulation import FunctionSimulation
from ...golden.function import Request, Schedule
from ...golden.net import NetModel
from ...guest.net import net_driver
from .net_commands import COMMANDS

__all__ = ["KIND", "PAIRS", "SIMULATION", "ReferenceNet"]

PAIRS = 3
_F, _RX = NetFeature, NetRxCommand
_TUNNELS = NetGso.UDP_TUNNEL_IPV4 | NetGso.UDP_TUNNEL_IPV6
_BROADCAST = b"\xff" * MAC_BYTES
_WITHOUT = (_F.CTRL_GUEST_OFFLOADS,)
_TABLE = RegisterTable(
    "reference_net_config",
    "The configuration of a network device, whole.",
    (*NET_CONFIG.registers, *NET_STEERING_CONFIG.registers),
)


class ReferenceNet(NetModel):
    """See the module. ``modes`` are the filters that are on, ``stations`` the table of addresses, ``vlans``
    that of VLANs; ``used_pairs`` are in use; ``hashing`` says how hashes are calculated, ``tunnels`` in which
    tunnels; ``contexts`` are further ones by id. ``coalescing`` has the parameters of each queue, and
    ``defaults`` those of receive (0) and transmit queues (1)."""

    table = _TABLE

    def __init__(self, schedule: Schedule, **options: Any):
        super().__init__(schedule, **options)
        self.queue_count = 2 * PAIRS + 1
        self.commands = dict(COMMANDS)
        self.features |= sum(1 << feature for feature in _F if feature not in _WITHOUT)
        for name, value in (
            ("max_virtqueue_pairs", PAIRS),
            ("speed", 10_000),
            ("duplex", 1),
            ("rss_max_key_size", 40),
            ("rss_max_indirection_table_length", 128),
            ("supported_hash_types", 0x1FF),
            ("supported_tunnel_types", 1 << NetTunnel.VXLAN | 1 << NetTunnel.GENEVE | 1 << NetTunnel.IPIP),
        ):
            self.put(name, value)

    def _forget(self) -> None:
        super()._forget()
        self.modes: set[NetRxCommand] = set()
        self.stations: set[bytes] = set()
        self.vlans: set[int] = set()
        self.used_pairs = 1
        self.hashing: HashConfig | None = None
        self.contexts: dict[int, HashConfig] = {}
        self.tunnels = 0
        self.coalescing: dict[int, tuple[int, int]] = {}
        self.defaults = {0: (0, 0), 1: (0, 0)}
        self.flows: dict[bytes, int] = {}
        self.buffers: dict[int, deque[Request]] = {pair: deque() for pair in range(PAIRS)}
        self.backlog: dict[int, deque[bytes]] = {pair: deque() for pair in range(PAIRS)}
        self.counts: dict[int, list[int]] = {queue: [0, 0] for queue in range(2 * PAIRS + 1)}

    def has(self, *any_of: int) -> bool:
        """Whether one of some features was accepted."""
        return any(self.driver_features >> feature & 1 for feature in any_of)

    def accept_word(self, word: int, value: int) -> None:
        """All words of features that there are can be accepted."""
        if word < 4:
            mask = 0xFFFF_FFFF << 32 * word
            self.driver_features = self.driver_features & ~mask | value << 32 * word
        else:
            super().accept_word(word, value)

    def write_status(self, value: int) -> None:
        """With DRIVER_OK it asks for an announcement."""
        super().write_status(value)
        if self.running and self.has(_F.GUEST_ANNOUNCE):
            self.put("status", self.get("status") | NetStatus.ANNOUNCE)

    @property
    def control_queue(self) -> int:
        """The number of the control queue."""
        return 2 * PAIRS if self.has(_F.MQ, _F.RSS) else 2

    def is_enabled(self, queue: int) -> bool:
        """Whether a queue is enabled."""
        return bool(self.server.queues[queue].enable)

    def stopped(self, queue: int) -> None:
        """Drop the buffers, and restore the coalescing parameters."""
        self.coalescing[queue] = self.defaults[queue & 1]
        if queue % 2 == 0 and queue < 2 * PAIRS:
            self.buffers[queue // 2].clear()
            self.backlog[queue // 2].clear()

    def take(self, queue: int, request: Request) -> None:
        """Take a receive buffer, a packet or a command."""
        if queue == self.control_queue:
            self.schedule(self.latency, lambda: self._control(request))
        elif queue % 2 == 0:
            self.buffers[queue // 2].append(request)
            self.schedule(self.latency, lambda: self._fill(queue // 2))
        else:
            self.schedule(self.latency, lambda: self._transmit(queue, request))

    # --- reception -----------------------------------------------------------------------------------------

    def accepts(self, frame: bytes) -> bool:
        """Whether a frame passes the filters."""
        if not self.running or not 14 <= len(frame) <= self.mtu + 14 + 4 * self._is_tagged(frame):
            return False
        vlan = int.from_bytes(frame[14:16], "big") & 0xFFF
        if self.has(_F.CTRL_VLAN) and self._is_tagged(frame) and vlan not in self.vlans:
            return False
        target, modes = frame[:MAC_BYTES], self.modes
        if _RX.PROMISCUOUS in modes:
            return True
        if target == _BROADCAST:
            return _RX.NO_BROADCAST not in modes
        if target[0] & 1:
            wanted = _RX.ALL_MULTICAST in modes or target in self.stations
            return wanted and _RX.NO_MULTICAST not in modes
        wanted = _RX.ALL_UNICAST in modes or target in (self.mac, *self.stations)
        return wanted and _RX.NO_UNICAST not in modes

    @staticmethod
    def _is_tagged(frame: bytes) -> bool:
        return frame[12:14] == b"\x81\0"

    def hash(self, frame: bytes) -> tuple[int, int]:
        """Type and value of the hash of a frame."""
        if self.hashing is None:
            return 0, 0
        inner = bool(self.tunnels & self._tunnel_of(frame)) and inner_layers(frame) is not None
        return packet_hash(frame, self.hashing.types, self.hashing.key, inner)

    @staticmethod
    def _tunnel_of(frame: bytes) -> int:
        outer = layers(frame)
        if outer is None or inner_layers(frame) is None:
            return 0
        if outer.protocol == 4:
            return 1 << NetTunnel.IPIP
        kinds = {b"\x12\xb5": NetTunnel.VXLAN, b"\x17\xc1": NetTunnel.GENEVE}
        kind = kinds.get(outer.ports(frame)[2:4])
        return 0 if kind is None else 1 << kind

    def steer(self, frame: bytes) -> int | None:
        """The pair that gets a frame; None if it is dropped."""
        hashing = self.hashing
        if hashing is not None and hashing.table:
            kind, value = self.hash(frame)
            pair = hashing.table[value & len(hashing.table) - 1] if kind else hashing.unclassified
            return pair if self.is_enabled(2 * pair) else None
        first = self.flows.get(_flow(frame), 0 if self.used_pairs == 1 else frame[-1] % self.used_pairs)
        order = [first, *range(self.used_pairs)]
        return next((pair for pair in order if pair < self.used_pairs and self.is_enabled(2 * pair)), None)

    def receive(self, frame: bytes) -> None:
        """Receive a frame from the network."""
        pair = self.steer(frame) if self.accepts(frame) else None
        if pair is None:
            self.dropped += 1
            return
        self.backlog[pair].append(bytes(frame))
        self._fill(pair)

    def _fill(self, pair: int) -> None:
        free, waiting = self.buffers[pair], self.backlog[pair]
        while free and waiting:
            size = header_size(self.driver_features) + len(waiting[0])
            count = 1
            if self.has(_F.MRG_RXBUF):
                rooms = [request.room for request in free]
                count = next((n for n in range(1, len(rooms) + 1) if sum(rooms[:n]) >= size), 0)
            if not count:
                return
            frame, parts = waiting.popleft(), [free.popleft() for _ in range(count)]
            if parts[-1].room < size and count == 1:
                parts[0].finish()
                continue
            self._write(pair, parts, frame)

    def _write(self, pair: int, parts: list[Request], frame: bytes) -> None:
        header, frame = self.header(frame, len(parts))
        content = header.pack(self.driver_features) + frame
        rest: list[tuple[Request, bytes]] = []
        for request in parts:
            rest.append((request, content[: request.room]))
            content = content[request.room :]
        for request, part in self.arranged(rest):
            request.finish(part)
        self.counts[2 * pair][0] += 1
        self.counts[2 * pair][1] += len(frame)

    def arranged(self, parts: list[tuple[Request, bytes]]) -> Iterable[tuple[Request, bytes]]:
        """The buffers of a packet, in the order in which they are used."""
        return parts

    def header(self, frame: bytes, buffers: int) -> tuple[PacketHeader, bytes]:
        """The header of a received packet, and the packet: with GUEST_CSUM the checksum of TCP is open."""
        kind, value = self.hash(frame) if self.has(_F.HASH_REPORT) else (0, 0)
        header = PacketHeader(num_buffers=buffers, hash_report=kind, hash_value=value)
        found = layers(frame)
        if self.has(_F.OUT_NET_HEADER) and found is not None:
            header = replace(header, outer_nh_offset=found.network)
        if not self.has(_F.GUEST_CSUM) or found is None or not found.checksum_place:
            return header, frame
        if found.protocol != TCP:
            return replace(header, flags=NetHeaderFlag.DATA_VALID), frame
        place = found.checksum_place
        header = replace(
            header,
            flags=NetHeaderFlag.NEEDS_CSUM,
            csum_start=found.transport,
            csum_offset=place - found.transport,
        )
        return header, frame[:place] + pseudo_sum(frame, found).to_bytes(2, "big") + frame[place + 2 :]

    # --- transmission --------------------------------------------------------------------------------------

    def _transmit(self, queue: int, request: Request) -> None:
        if not request.live:
            return
        content = request.read().tobytes()
        size = header_size(self.driver_features)
        header, frame = PacketHeader.unpack(self.driver_features, content), content[size:]
        request.finish()
        self.flows[_flow(frame)] = queue // 2
        for part in self.cut(header, frame):
            self.sent += 1
            self.counts[queue][0] += 1
            self.counts[queue][1] += len(part)
            self.on_frame(part)

    def cut(self, header: PacketHeader, frame: bytes) -> list[bytes]:
        """The frames that a packet becomes on the cable."""
        kind, tunnels = header.gso_type & ~int(_TUNNELS | NetGso.ECN), header.gso_type & _TUNNELS
        summed = bool(header.flags & NetHeaderFlag.NEEDS_CSUM)
        if tunnels:
            valid = bool(header.flags & NetHeaderFlag.DATA_VALID)
            return [] if tunnels == _TUNNELS or not kind or not summed or valid else [frame]
        if kind == NetGso.TCPV4 and header.gso_size:
            return _segments(frame, header.gso_size)
        return [complete(frame, header.csum_start, header.csum_offset) if summed else frame]

    # --- commands ------------------------------------------------------------------------------------------

    def _control(self, request: Request) -> None:
        if not request.live:
            return
        request.finish(self.answer(request.read().tobytes(), request.room))

    def answer(self, content: bytes, room: int) -> bytes:
        """Carry out a command: what is written into ``room`` bytes."""
        self.counts[self.control_queue][0] += 1
        handler = self.commands.get((content[0], content[1]))
        try:
            result = None if handler is None else handler(self, content[2:])
        except (ValueError, IndexError):
            result = None
        self.counts[self.control_queue][1] += result is not None
        ack = NetControlAck.ERR if result is None else NetControlAck.OK
        return (bytes([ack]) + (result or b""))[:room]


def _flow(frame: bytes) -> bytes:
    """What packets of a flow have in common, both ways."""
    return b"".join(sorted((frame[:MAC_BYTES], frame[MAC_BYTES : 2 * MAC_BYTES]))) + frame[-4:]


def _segments(frame: bytes, size: int) -> list[bytes]:
    found = layers(frame)
    assert found is not None
    start = found.headers_end(frame)
    head, payload = frame[found.transport : start], frame[start : found.end]
    number = int.from_bytes(head[4:8], "big")
    made = []
    for at in range(0, len(payload), size):
        segment = head[:4] + (number + at).to_bytes(4, "big") + head[8:] + payload[at : at + size]
        made.append(frame[: found.network] + ipv4(found.source, found.target, TCP, segment))
    return made


def _model(config: DeviceConfig, schedule: Schedule, _disk: Any, **options: Any) -> ReferenceNet:
    return ReferenceNet(schedule, queue_size=config.queue_size, **options)


def _no_hardware(_config: DeviceConfig) -> None:
    """There is none."""


KIND = FunctionKind(
    name="reference_net",
    device_type=DeviceType.NET,
    component=_no_hardware,
    class_code=CLASS_CODES[DeviceType.NET],
    queues=2 * PAIRS + 1,
    feature_bits=NetFeature,
    device_config=_TABLE,
    simulation=f"{__name__}:SIMULATION",
)
"""The reference as a function."""

SIMULATION = FunctionSimulation(driver=net_driver, model=_model)
