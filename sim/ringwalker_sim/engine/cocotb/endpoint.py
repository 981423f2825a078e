"""The device as an endpoint of cocotbext-pcie: its four TLP streams and its INTx pin on a simulated link."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import Event
from cocotb.utils import get_sim_time
from cocotbext.pcie.core.bridge import RootPort
from cocotbext.pcie.core.device import Device
from cocotbext.pcie.core.port import FcStateData, FcStateHeader
from cocotbext.pcie.core.tlp import MsgType, Tlp, TlpType
from cocotbext.pcie.core.utils import PcieId

from ringwalker.pci.completer import NONPOSTED_REQUESTS

from .streams import BeatSink, BeatSource
from .tlp import (
    COMPLETIONS,
    completion_header,
    message_code,
    packet_beats,
    request_header,
    set_message_code,
    tlp_from_completion,
    tlp_from_request,
    tlp_kind,
)

__all__ = ["IntxRootPort", "RtlEndpoint"]

_CONFIG_0 = frozenset({TlpType.CFG_READ_0, TlpType.CFG_WRITE_0})


class _Assembler:
    """Collects beats into a header and a payload. Errors: ``AssertionError`` for broken framing."""

    def __init__(self, name: str):
        self.name = name
        self.header: dict[str, int] = {}
        self.payload = bytearray()
        self.inside = False

    def add(self, sink: BeatSink) -> bool:
        """Take a beat; True when it ends a packet."""
        first, last, dwords = sink.get("first"), sink.get("last"), sink.get("dwords")
        assert bool(first) != self.inside, f"{self.name}: first is {first} in the wrong place"
        if first:
            self.payload.clear()
            self.header = {key: sink.get(key) for key in sink.fields if key.startswith("header_")}
        assert dwords & (dwords + 1) == 0, f"{self.name}: dwords {dwords:#b} are not the lowest ones"
        self.payload += sink.get("data").to_bytes(len(sink.fields["data"]) // 8, "little")[
            : 4 * dwords.bit_count()
        ]
        self.inside = not last
        return bool(last)


class RtlEndpoint(Device):
    """Joins the ports of ``dut`` to ``upstream_port``; configuration space is the device's own.

    It advertises ``NONPOSTED_REQUESTS`` credits for requests that are not posted; one returns when the last
    completion of its request was taken from the device.
    ``latency_steps``: time that a completion to the device is held back, in steps of the simulator, so that
    host memory has a latency. ``stalls`` makes an iterator for each stream by name, or None.
    ``max_payload`` and ``max_read_request`` (bytes) are what the device may use; more is an
    ``AssertionError``, as is any other broken rule. ``tlps`` counts packets, writes to
    ``message_window`` as messages, by ``up_`` or ``down_`` and kind. ``tags`` are those of all reads so far.
    """

    def __init__(self, dut: Any, latency_steps: int = 0, stalls: Any = None):
        super().__init__()
        port: Any = self.upstream_port
        for channel in port.fc_state:
            channel.nph, channel.npd = FcStateHeader(NONPOSTED_REQUESTS), FcStateData(NONPOSTED_REQUESTS)
        self.dut = dut
        self.latency_steps = latency_steps
        self.max_payload = 128
        self.max_read_request = 512
        self.message_window = range(0)
        self.tlps: Counter[str] = Counter()
        self.reads_in_flight: dict[int, int] = {}
        self.most_reads_in_flight = 0
        self.tags: set[int] = set()
        self.data_width = len(dut.requester_request_data)
        stall: Any = stalls or (lambda _name: None)

        def chosen(name: str) -> Iterator[bool] | None:
            return stall(name)

        self._requests = BeatSource(dut, "completer_request", chosen("completer_request"))
        self._completions = BeatSource(dut, "requester_completion", chosen("requester_completion"))
        self._unanswered: dict[tuple[int, int], Tlp] = {}
        self._upstream: deque[Tlp] = deque()
        self._wake = Event()
        self._request = _Assembler("requester_request")
        self._completion = _Assembler("completer_completion")
        for assembler, accept in (
            (self._request, self._accept_request),
            (self._completion, self._accept_completion),
        ):
            BeatSink(dut, assembler.name, accept, self._has_room, chosen(assembler.name))
        cocotb.start_soon(self._send_upstream())
        if hasattr(dut, "intx"):
            cocotb.start_soon(self._watch_intx())

    # --- towards the device --------------------------------------------------------------------------------

    async def upstream_recv(self, tlp: Tlp) -> None:
        """A TLP from the link. Never waits: flow control credits hold back what the device does not take."""
        self.tlps[f"down_{tlp_kind(tlp)}"] += 1
        if tlp.fmt_type in _CONFIG_0:
            self.bus_num = tlp.completer_id.bus
        if tlp.fmt_type in COMPLETIONS:
            due = int(get_sim_time("step")) + self.latency_steps
            beats = packet_beats(completion_header(tlp), tlp.data, self.data_width)
            self._completions.put(beats, lambda: self._delivered(tlp), due)
        elif tlp.fmt_type in _CONFIG_0 and tlp.completer_id.device != 0:
            # A root port leads to device 0 only; this stands in for it.
            tlp.release_fc()
            await self.upstream_send(Tlp.create_ur_completion_for_tlp(tlp, PcieId(0, 0, 0)))
        else:
            beats = packet_beats(request_header(tlp), tlp.data, self.data_width)
            if tlp.is_posted():
                self._requests.put(beats, tlp.release_fc)
                return
            self._unanswered[int(tlp.requester_id), tlp.tag] = tlp
            assert len(self._unanswered) <= NONPOSTED_REQUESTS, "the host sends requests without credits"
            self._requests.put(beats)

    def _delivered(self, tlp: Tlp) -> None:
        tlp.release_fc()
        assert tlp.tag in self.reads_in_flight, f"the host answered tag {tlp.tag}, which is free"
        rest = tlp.byte_count - (len(tlp.data) - (tlp.lower_address & 3))
        if rest <= 0 or not tlp.has_data():
            del self.reads_in_flight[tlp.tag]

    # --- from the device -----------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        return len(self._upstream) < 16

    def _put(self, tlp: Tlp) -> None:
        assert tlp.check(), f"the device sent a malformed TLP: {tlp!r}"
        kind = "message" if tlp.address in self.message_window and tlp.has_data() else tlp_kind(tlp)
        self.tlps[f"up_{kind}"] += 1
        self._upstream.append(tlp)
        self._wake.set()

    def _accept_request(self, sink: BeatSink) -> None:
        if self._request.add(sink):
            tlp = tlp_from_request(self._request.header, bytes(self._request.payload))
            self._check_request(tlp)
            self._put(tlp)

    def _check_request(self, tlp: Tlp) -> None:
        if tlp.fmt_type is TlpType.MSG_TO_RC:
            assert tlp.length == 0, f"a message of {tlp.length} dwords"
            return
        shown = f"{tlp_kind(tlp)} of {tlp.length} dwords at {tlp.address:#x}"
        assert 1 <= tlp.length <= 1024, f"{shown}: the length is out of range"
        if tlp.length == 1:
            assert tlp.last_be == 0, f"{shown}: last_be is {tlp.last_be:#x}"
        else:
            enables = min(tlp.first_be, tlp.last_be)
            assert enables, f"{shown}: byte enables {tlp.first_be:#x} and {tlp.last_be:#x}"
        if tlp.has_data():
            assert tlp.length * 4 <= self.max_payload, f"{shown}: more than {self.max_payload} bytes"
        else:
            assert tlp.length * 4 <= self.max_read_request, (
                f"{shown}: more than {self.max_read_request} bytes"
            )
            assert tlp.tag not in self.reads_in_flight, f"{shown}: tag {tlp.tag} is in use"
            self.reads_in_flight[tlp.tag] = tlp.length
            self.tags.add(tlp.tag)
            self.most_reads_in_flight = max(self.most_reads_in_flight, len(self.reads_in_flight))

    def _accept_completion(self, sink: BeatSink) -> None:
        if self._completion.add(sink):
            tlp = tlp_from_completion(self._completion.header, bytes(self._completion.payload))
            request = int(tlp.requester_id), tlp.tag
            assert request in self._unanswered, f"the device answers {tlp!r}, which nobody asked for"
            if not tlp.has_data() or tlp.byte_count <= len(tlp.data) - (tlp.lower_address & 3):
                self._unanswered.pop(request).release_fc()
            self._put(tlp)

    async def _watch_intx(self) -> None:
        level = 0
        while True:
            await self.dut.intx.value_change
            if int(self.dut.intx.value) == level:
                continue
            level ^= 1
            tlp = Tlp()
            tlp.fmt_type = TlpType.MSG_LOCAL
            tlp.requester_id = PcieId(self.bus_num, 0, 0)
            set_message_code(tlp, MsgType.ASSERT_INTA if level else MsgType.DEASSERT_INTA)
            self._put(tlp)

    async def _send_upstream(self) -> None:
        while True:
            while not self._upstream:
                self._wake.clear()
                await self._wake.wait()
            # One queue for all: a completion must not pass the writes that were sent before it.
            await self.upstream_send(self._upstream[0])
            self._upstream.popleft()


class IntxRootPort(RootPort):
    """A root port that understands messages of INTx and of errors, which cocotbext-pcie does not.

    Each of INTx becomes a write of the level to ``intx_address``, so that it stays behind the writes
    before it. ``error_messages`` are the codes of those of errors.
    """

    intx_address = 0

    def __init__(self) -> None:
        super().__init__()
        self.error_messages: list[MsgType] = []

    async def downstream_recv(self, tlp: Tlp) -> None:
        """A TLP from the device."""
        if tlp.fmt_type is TlpType.MSG_TO_RC:
            tlp.release_fc()
            self.error_messages.append(message_code(tlp))
            return
        if tlp.fmt_type is not TlpType.MSG_LOCAL:
            await super().downstream_recv(tlp)
            return
        tlp.release_fc()
        level = {MsgType.ASSERT_INTA: 1, MsgType.DEASSERT_INTA: 0}[message_code(tlp)]
        write = Tlp()
        write.fmt_type = TlpType.MEM_WRITE
        write.requester_id = self.pcie_id
        write.set_addr_be_data(self.intx_address, level.to_bytes(4, "little"))
        await self.upstream_send(write)
