"""A network device in plain Python. Ref: virtio 1.4, 5.1."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NET_CONTROL_QUEUE,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetClass,
    NetControlAck,
    NetControlHeader,
    NetFeature,
    NetHeader,
    NetMacCommand,
    NetRxCommand,
    NetRxMode,
    NetStatus,
)

from ..memory import dtype_of
from .function import FunctionModel, Request, Schedule

__all__ = ["NetModel"]

_COMMAND = dtype_of(NetControlHeader).itemsize
_HEADER = dtype_of(NetHeader)
_BEFORE_COUNT = (_HEADER.fields or {})["num_buffers"][1]
"""Bytes of the header in front of the number of buffers, which drivers of virtio 0.9.5 do not have."""
_SHORTEST = 14
_BROADCAST = b"\xff" * MAC_BYTES
_MODES = {
    NetRxCommand.PROMISCUOUS: NetRxMode.PROMISCUOUS,
    NetRxCommand.ALL_MULTICAST: NetRxMode.ALL_MULTICAST,
}
_ALL_FRAMES, _ALL_GROUPS = NetRxMode.PROMISCUOUS, NetRxMode.ALL_MULTICAST
_COUNT = 4
"""Bytes of the number in front of each table of addresses."""
_MODE_BITS = int(_ALL_FRAMES | _ALL_GROUPS)
_BACKLOG = 256
"""Most frames that wait for a receive buffer; further ones are dropped."""


class NetModel(FunctionModel):
    """A network device with one pair of queues and a control queue; ``mac`` is its address after a reset.

    ``on_frame(frame)`` runs for frames that the driver sends, and :meth:`receive` sends a frame to the
    driver. With ``loopback`` sent frames come back. ``sent``, ``received`` and ``dropped`` count frames.
    """

    device_type = DeviceType.NET
    table = NET_CONFIG

    def __init__(
        self,
        schedule: Schedule,
        *,
        mac: bytes = bytes.fromhex("525700000001"),
        mtu: int = 1500,
        loopback: bool = False,
        **common: Any,
    ):
        wanted = ("MAC", "STATUS", "MTU", "CTRL_VQ", "CTRL_RX", "CTRL_MAC_ADDR")
        features = sum(1 << NetFeature[name] for name in wanted)
        self._mac = mac
        self._free: deque[Request] = deque()
        self._waiting: deque[bytes] = deque()
        super().__init__(schedule, queues=3, features=features, **common)
        self.mtu = mtu
        self.loopback = loopback
        self.on_frame: Callable[[bytes], None] = lambda _frame: None
        self.sent = self.received = self.dropped = 0
        self.put("mtu", mtu)
        self.put("status", NetStatus.LINK_UP)
        self._forget()

    def _forget(self) -> None:
        self.put("mac", int.from_bytes(self._mac, "little"))
        self.put("rx_mode", 0)
        self._table_mode = NetRxMode(0)
        self._free.clear()
        self._waiting.clear()

    @property
    def mac(self) -> bytes:
        """The present address, six bytes."""
        return self.get("mac").to_bytes(MAC_BYTES, "little")

    @property
    def header_bytes(self) -> int:
        """Bytes in front of the frame in a buffer."""
        counts = self.has(Feature.VERSION_1) or self.has(NetFeature.MRG_RXBUF)
        return _HEADER.itemsize if counts else _BEFORE_COUNT

    def received_header(self) -> bytes:
        """The header of a frame that is in one buffer."""
        count = (1).to_bytes(_HEADER.itemsize - _BEFORE_COUNT, "little")
        return (bytes(_BEFORE_COUNT) + count)[: self.header_bytes]

    @property
    def rx_mode(self) -> NetRxMode:
        """The present receive mode."""
        return NetRxMode(self.get("rx_mode"))

    def set_link(self, up: bool) -> None:
        """Change the state of the link, with a configuration change notification."""
        self.put("status", NetStatus.LINK_UP if up else 0)
        self.changed()

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        super().reset()
        self._forget()

    def stopped(self, queue: int) -> None:
        """Drop the receive buffers."""
        if queue == NET_RECEIVE_QUEUE:
            self._free.clear()

    def writable_bits(self, name: str) -> int:
        """The receive mode has two bits."""
        return _MODE_BITS if name == "rx_mode" else super().writable_bits(name)

    def finish_waiting(self) -> None:
        """Give the receive buffers back, and drop the frames that wait."""
        self._waiting.clear()
        while self._free:
            self._free.popleft().finish()

    # --- frames --------------------------------------------------------------------------------------------

    def accepts(self, frame: bytes) -> bool:
        """Whether a frame has a valid length and passes the receive filter."""
        if not self.running or not _SHORTEST <= len(frame) <= self.mtu + 18:
            return False
        mode, target = self.rx_mode | self._table_mode, frame[:MAC_BYTES]
        if NetRxMode.PROMISCUOUS in mode or target in (self.mac, _BROADCAST):
            return True
        return bool(target[0] & 1) and NetRxMode.ALL_MULTICAST in mode

    def receive(self, frame: bytes) -> None:
        """Receive a frame from the network."""
        if not self.accepts(frame) or len(self._waiting) >= _BACKLOG:
            self.dropped += 1
            return
        self._waiting.append(bytes(frame))
        self._deliver()

    def fill_buffer(self, frame: bytes) -> bool:
        """Write a frame into the next receive buffer; False without one."""
        while self._free:
            request = self._free.popleft()
            if not request.live:
                continue
            if request.room < self.header_bytes + len(frame):
                self.dropped += 1
                request.finish()
            else:
                self.received += 1
                request.finish(self.received_header() + frame)
            return True
        return False

    def _deliver(self) -> None:
        while self._waiting and self.fill_buffer(self._waiting[0]):
            self._waiting.popleft()

    def take(self, queue: int, request: Request) -> None:
        """Take a receive buffer, a frame or a command."""
        if queue == NET_RECEIVE_QUEUE:
            self._free.append(request)
            self.schedule(self.latency, self._deliver)
        elif queue == NET_TRANSMIT_QUEUE:
            self.schedule(self.latency, lambda: self._send(request))
        elif queue == NET_CONTROL_QUEUE:
            self.schedule(self.latency, lambda: self._control(request))

    def _send(self, request: Request) -> None:
        if not request.live:
            return
        frame = request.read().tobytes()[self.header_bytes :]
        request.finish()
        if not _SHORTEST <= len(frame) <= self.mtu + 18:
            self.dropped += 1
            return
        self.sent += 1
        self.on_frame(frame)
        if self.loopback:
            self.receive(frame)

    # --- commands ------------------------------------------------------------------------------------------

    def _control(self, request: Request) -> None:
        if not request.live:
            return
        command = request.read().tobytes()
        if len(command) < _COMMAND or request.room < 1:
            request.finish()
            return
        group, number, data = command[0], command[1], command[_COMMAND:]
        if group == NetClass.CONFIG and number == 0:
            request.finish((bytes([NetControlAck.OK]) + self.config_bytes())[: request.room])
            return
        ok = self._execute(group, number, data)
        request.finish(bytes([NetControlAck.OK if ok else NetControlAck.ERR]))

    def _execute(self, group: int, number: int, data: bytes) -> bool:
        if group == NetClass.RX and number in _MODES and len(data) == 1 and data[0] < 2:
            bit = _MODES[NetRxCommand(number)]
            mode = int(self.rx_mode) & ~int(bit)
            self.put("rx_mode", mode | (int(bit) if data[0] else 0))
            self.altered()
            return True
        if group == NetClass.MAC and number == NetMacCommand.ADDR_SET and len(data) == MAC_BYTES:
            self.put("mac", int.from_bytes(data, "little"))
            self.altered()
            return True
        if group == NetClass.MAC and number == NetMacCommand.TABLE_SET and len(data) >= 2 * _COUNT:
            # The addresses are not kept: any station among them, or any group, stands for all.
            stations, groups = any(data[:_COUNT]), len(data) > 2 * _COUNT
            self._table_mode = _ALL_FRAMES if stations else _ALL_GROUPS if groups else NetRxMode(0)
            return True
        return False
