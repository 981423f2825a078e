"""A network device under test as the checks use it: packets both ways, and control commands."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ringwalker.spec.features import Feature
from ringwalker.spec.net import (
    MAC_BYTES,
    NET_CONFIG,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetControlAck,
    NetFeature,
    NetHeaderFlag,
)

from ...memory import Buffer
from ..changes import read_field
from ..check import Nonconformance, NotApplicable
from ..medium import NetMedium
from ..rings.queues import Queue, Used
from ..stimulus import cut
from ..subject import Subject
from .header import PacketHeader, header_size
from .packets import ETHERNET_BYTES, VLAN_BYTES, complete
from .rule import GUEST_OFFLOADS, judge

__all__ = ["BROADCAST", "NEIGHBOUR", "Arrival", "NetUser", "make_frame"]

BROADCAST = b"\xff" * MAC_BYTES
NEIGHBOUR = bytes.fromhex("021234567890")
"""The station at the other end of the cable."""

_LARGEST = 65_550
"""Bytes of the largest packet that needs segmentation, with its Ethernet header."""
_UNSAID = 1500
_SHORTEST_ON_CABLES = 60
_UNWRITTEN = 0xEE


def make_frame(target: bytes, number: int, length: int = 60, vlan: int | None = None) -> bytes:
    """A frame of a type for local experiments, with ``number`` in it as far as there is room."""
    tag = b"" if vlan is None else b"\x81\0" + vlan.to_bytes(2, "big")
    frame = target + NEIGHBOUR + tag + b"\x88\xb5" + number.to_bytes(4, "big")
    return (frame + bytes(at & 0xFF for at in range(len(frame), length)))[:length]


@dataclass(frozen=True)
class Arrival:
    """A packet that the device has put into ``buffers`` buffers of the receive queue of ``pair``."""

    frame: bytes
    header: PacketHeader
    pair: int
    buffers: int

    def is_that(self, frame: bytes) -> bool:
        """Whether it is ``frame``, or that padded to the least length on cables."""
        rest = self.frame[len(frame) :]
        return self.frame[: len(frame)] == frame and (
            not rest or (len(self.frame) <= _SHORTEST_ON_CABLES and not any(rest))
        )


class NetUser:
    """Drives ``subject``, a network device. After :meth:`start` there are receive buffers of ``room`` bytes.

    ``pairs`` are the pairs of queues, ``mtu`` the device's, None where it says none. Every packet that
    arrives is held to :func:`.rule.judge`; without MRG_RXBUF its num_buffers only if ``counts``, so that
    a device without it is found once. By the legacy face headers have descriptors of their own.
    """

    def __init__(self, subject: Subject, *, counts: bool = False):
        self.subject = subject
        self.counts = counts
        self.pairs = 1
        self.mtu: int | None = None
        self.mac = BROADCAST
        self.room = 0
        self.security = 0
        self._packets: dict[int, deque[Used]] = {}

    async def start(
        self,
        *features: NetFeature | Feature,
        room: int | None = None,
        buffers: int = 8,
        size: int | None = None,
        interrupt: str = "none",
    ) -> None:
        """Start the device with ``features``, and with MAC and MTU where they are offered; offer ``buffers``
        receive buffers of ``room`` bytes each in every pair. Errors: :class:`NotApplicable`."""
        subject = self.subject
        also = [
            bit for bit in (NetFeature.MAC, NetFeature.MTU) if subject.offers(bit) and bit not in features
        ]
        wanted = (*features, *also)
        several = NetFeature.MQ in wanted or NetFeature.RSS in wanted
        await subject.reset()
        self.pairs = await self.field("max_virtqueue_pairs") if several else 1
        count = 2 * self.pairs + (NetFeature.CTRL_VQ in wanted)
        await subject.start(*wanted, size=size, interrupt=interrupt, queues=range(count))
        await self.take_over(self.pairs, room=room, buffers=buffers)

    async def take_over(self, pairs: int, *, room: int | None = None, buffers: int = 8) -> None:
        """Use a device that was started with ``pairs`` pairs; the rest is as for :meth:`start`."""
        subject, self.pairs = self.subject, pairs
        self.mtu = await self.field("mtu") if subject.has(NetFeature.MTU) else None
        self.mac = BROADCAST
        if subject.has(NetFeature.MAC):
            self.mac = (await self.field("mac")).to_bytes(MAC_BYTES, "little")
        offloads = any(subject.has(bit) for bit in GUEST_OFFLOADS)
        most = _LARGEST if offloads else (self.mtu or _UNSAID) + ETHERNET_BYTES + VLAN_BYTES
        self.room = room or self.header_bytes + most
        self._packets = {pair: deque() for pair in range(self.pairs)}
        for pair in range(self.pairs):
            await self.offer(buffers, pair=pair)

    async def field(self, name: str) -> int:
        """A field of the device configuration."""
        return await read_field(self.subject, NET_CONFIG[name])

    @property
    def header_bytes(self) -> int:
        """Bytes of the header in front of each packet."""
        return header_size(self.subject.features)

    @property
    def _first_piece(self) -> tuple[int, ...]:
        return (self.header_bytes,) if self.subject.legacy else ()

    @property
    def medium(self) -> NetMedium:
        """The other end of the cable. Errors: :class:`NotApplicable` where it cannot be reached."""
        if not isinstance(self.subject.medium, NetMedium):
            raise NotApplicable("what is behind the device cannot be reached from here")
        return self.subject.medium

    def receive_queue(self, pair: int = 0) -> Queue:
        """The receive queue of a pair."""
        return self.subject.queues[2 * pair + NET_RECEIVE_QUEUE]

    def transmit_queue(self, pair: int = 0) -> Queue:
        """The transmit queue of a pair."""
        return self.subject.queues[2 * pair + NET_TRANSMIT_QUEUE]

    # --- transmission --------------------------------------------------------------------------------------

    def add(
        self, frame: bytes, header: PacketHeader | None = None, pieces: Sequence[int] = (), pair: int = 0
    ) -> None:
        """Make a packet available for transmission; ``pieces`` are lengths of its descriptors."""
        content = (header or PacketHeader()).pack(self.subject.features) + frame
        queue = self.transmit_queue(pair)
        queue.offer(cut(self.subject.buffer(len(content), content), pieces or self._first_piece, False))
        queue.publish()

    async def send(
        self, frame: bytes, header: PacketHeader | None = None, pieces: Sequence[int] = (), pair: int = 0
    ) -> None:
        """Transmit a packet, and wait until its buffer is used."""
        self.add(frame, header, pieces, pair)
        queue = self.transmit_queue(pair)
        await self.subject.kick(queue)
        await self.subject.used(queue, 1)

    async def sent(self, count: int, clause: str, text: str) -> list[bytes]:
        """Wait until ``count`` frames have come out of the device."""
        frames: list[bytes] = []

        async def enough() -> bool:
            frames.extend(await self.medium.received())
            return len(frames) >= count

        await self.subject.until(enough, clause, text)
        return frames

    async def passes(self, frame: bytes, header: PacketHeader | None, clause: str, text: str) -> None:
        """Transmit a packet, which has to come out as it is."""
        await self.medium.received()
        await self.send(frame, header)
        (found, *_more) = await self.sent(1, clause, f"{text}: it does not come out")
        if not Arrival(found, PacketHeader(), 0, 1).is_that(frame):
            raise Nonconformance(clause, f"{text}: {found[:80].hex()} comes out for {frame[:80].hex()}")

    # --- reception -----------------------------------------------------------------------------------------

    async def offer(
        self, count: int, room: int | None = None, pair: int = 0, pieces: Sequence[int] = ()
    ) -> list[Buffer]:
        """Offer receive buffers, as many as there are descriptors for; ``pieces`` are lengths of those of
        each."""
        queue = self.receive_queue(pair)
        pieces = pieces or self._first_piece
        taken = sum(len(offer.pieces) for offer in queue.in_flight.values())
        count = min(count, (queue.size - taken) // (len(pieces) + 1))
        buffers = []
        for _ in range(count):
            length = room or self.room
            buffers.append(self.subject.buffer(length, bytes([_UNWRITTEN]) * length))
            queue.offer(cut(buffers[-1], pieces, True))
        queue.publish()
        await self.subject.kick(queue)
        return buffers

    def arrivals(self) -> list[Arrival]:
        """The packets that have arrived since the last call, pair by pair."""
        found = []
        for pair, waiting in self._packets.items():
            fresh = self.receive_queue(pair).take()
            for used in fresh:
                if used.offer is None:
                    raise Nonconformance("core-10.01", f"a used element names buffer {used.key}")
            waiting.extend(fresh)
            while waiting:
                found.append(self._arrival(pair, waiting))
        return found

    def _arrival(self, pair: int, waiting: deque[Used]) -> Arrival:
        subject, size = self.subject, self.header_bytes
        first = waiting.popleft()
        if first.length < size + ETHERNET_BYTES:
            text = f"a receive buffer is used with {first.length} bytes, which hold no packet"
            raise Nonconformance("net-03.01", text)
        contents = [self.content(first)]
        header = PacketHeader.unpack(subject.features, contents[0])
        spread = header.num_buffers if subject.has(NetFeature.MRG_RXBUF) else 1
        if not 1 <= spread <= 1 + len(waiting):
            text = f"num_buffers is {spread}, and {1 + len(waiting)} buffers are used"
            raise Nonconformance("net-04.02" if not spread else "net-04.04", text)
        previous = first
        for _ in range(spread - 1):
            room = previous.offer.room if previous.offer else 0
            if previous.length != room:
                text = f"{previous.length} bytes are in a buffer of {room} that is not the last of its packet"
                raise Nonconformance("net-04.03", text)
            previous = waiting.popleft()
            contents.append(self.content(previous))
        frame = b"".join(contents)[size:]
        if not self.counts and not subject.has(NetFeature.MRG_RXBUF):
            header = replace(header, num_buffers=1)
        judge(subject.features, header, frame, mtu=self.mtu, security=self.security)
        return Arrival(frame, header, pair, spread)

    def content(self, used: Used) -> bytes:
        """What is written into a buffer."""
        assert used.offer is not None
        left, parts = used.length, []
        for piece in used.offer.pieces:
            part = self.subject.memory.view(piece.address, min(left, piece.length)).tobytes()
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    async def exchange(self, frames: Sequence[bytes], clause: str, text: str) -> list[Arrival]:
        """Let frames come from outside, and wait until as many have arrived."""
        for frame in frames:
            await self.medium.send(frame)
        found: list[Arrival] = []

        async def enough() -> bool:
            found.extend(self.arrivals())
            return len(found) >= len(frames)

        await self.subject.until(enough, clause, f"{text}: {len(frames)} came, and not all are received")
        for arrival in found:
            await self.offer(arrival.buffers, pair=arrival.pair)
        return found

    async def accepts(self, frame: bytes, clause: str, text: str) -> Arrival:
        """Let a frame come from outside, which has to be received as it is."""
        (found, *_more) = await self.exchange([frame], clause, text)
        if not found.is_that(frame):
            raise Nonconformance(clause, f"{text}: {found.frame[:64].hex()} is received")
        return found

    async def accepts_open(self, frame: bytes, clause: str, text: str) -> Arrival:
        """Let a frame come from outside, which has to be received; a checksum may be left open."""
        (found, *_more) = await self.exchange([frame], clause, text)
        whole = found.frame
        if found.header.flags & NetHeaderFlag.NEEDS_CSUM:
            whole = complete(whole, found.header.csum_start, found.header.csum_offset)
        if not replace(found, frame=whole).is_that(frame):
            raise Nonconformance(clause, f"{text}: {found.frame[:64].hex()} is received")
        return found

    async def next_arrival(self, clause: str, text: str) -> Arrival:
        """Wait for the next packet."""
        found: list[Arrival] = []

        async def one() -> bool:
            found.extend(self.arrivals())
            return bool(found)

        await self.subject.until(one, clause, text)
        return found[0]

    async def refuses(self, frame: bytes, clause: str, text: str) -> None:
        """Let a frame come from outside, which must not be received."""
        await self.medium.send(frame)
        await self.subject.settle()
        for arrival in self.arrivals():
            await self.offer(arrival.buffers, pair=arrival.pair)
            if arrival.is_that(frame):
                raise Nonconformance(clause, f"{text}: a frame to {frame[:MAC_BYTES].hex(':')} is received")

    # --- reset of queues -----------------------------------------------------------------------------------

    async def reset_queue(self, index: int) -> None:
        """Reset a queue, and take its buffers back; with RING_RESET."""
        registers = self.subject.registers(index)
        await registers.write("reset", 1)

        async def ends() -> bool:
            return not await registers.read("reset") and not await registers.read("enable")

        await self.subject.until(ends, "pci-05.13", f"the reset of queue {index} does not end")
        self.subject.queues[index].reset()

    async def enable_queue(self, index: int) -> None:
        """Enable a queue again that was reset."""
        await self.subject.enable_queue(self.subject.queues[index])

    async def reset_receive_queue(self, pair: int) -> None:
        """Reset the receive queue of a pair."""
        await self.reset_queue(self.receive_queue(pair).index)
        self._packets[pair].clear()

    async def enable_receive_queue(self, pair: int, buffers: int = 8) -> None:
        """Enable it again, and offer buffers."""
        await self.enable_queue(self.receive_queue(pair).index)
        await self.offer(buffers, pair=pair)

    # --- commands ------------------------------------------------------------------------------------------

    async def command(
        self, group: int, number: int, data: bytes = b"", room: int = 0, pieces: Sequence[int] | None = None
    ) -> tuple[int, bytes]:
        """Carry out a control command: the acknowledgement, and the bytes behind it. ``pieces`` are lengths
        of its readable descriptors; by default class and command have one, and the data another."""
        subject = self.subject
        queue = subject.queues[2 * self.pairs]
        request = subject.buffer(2 + len(data), bytes([group, number]) + data)
        answer = subject.buffer(1 + room, bytes([_UNWRITTEN]) * (1 + room))
        writable = [*cut(answer, (1,), True)] if room else cut(answer, (), True)
        queue.offer([*cut(request, (2,) if pieces is None else pieces, False), *writable])
        queue.publish()
        await subject.kick(queue)
        (used,) = await subject.used(queue, 1)
        written = max(used.length, 1) if subject.legacy else used.length
        content = answer.array.tobytes()
        if not written or content[0] not in tuple(NetControlAck):
            text = f"command {group}.{number} is answered with {content[0]:#x} in {used.length} bytes"
            raise Nonconformance("core-10.02", text)
        return content[0], content[1 : used.length]

    async def order(
        self, group: int, number: int, data: bytes, clause: str, pieces: Sequence[int] | None = None
    ) -> None:
        """Carry out a command that has to be carried out. Errors: :class:`Nonconformance` of ``clause``."""
        ack, _rest = await self.command(group, number, data, pieces=pieces)
        if ack != NetControlAck.OK:
            raise Nonconformance(clause, f"command {group}.{number} with {data.hex()} is refused")
