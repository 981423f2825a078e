"""Models for benches that do DMA: guest memory behind request and completion streams, and a segment store."""

import functools
import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ringwalker.spec.tlp import CompletionStatus, RequestKind

from .cycles import Cycles
from .streams import Payload, StreamSink, StreamSource

__all__ = ["HostMemoryModel", "SegmentStoreModel", "bytes_of", "enabled_bytes", "packet_beats"]


def packet_beats(data: bytes, data_width: int, dwords: bool = False) -> list[Payload]:
    """``data`` as the beats of a packet: ``data``, ``first``, ``last``, and ``count``, or ``dwords`` if
    that is set.

    Empty data is one beat with nothing in it. For ``dwords`` the length must be a multiple of 4.
    """
    size = data_width // 8
    beats = []
    for start in range(0, max(len(data), 1), size):
        part = data[start : start + size]
        beat = {
            "data": int.from_bytes(part, "little"),
            "first": int(start == 0),
            "last": int(start + size >= len(data)),
        }
        beat |= {"dwords": (1 << len(part) // 4) - 1} if dwords else {"count": len(part)}
        beats.append(beat)
    return beats


def bytes_of(beats: Iterable[Payload], data_width: int) -> bytes:
    """The bytes of the beats of a packet with ``count``."""
    size = data_width // 8
    return b"".join(beat["data"].to_bytes(size, "little")[: beat["count"]] for beat in beats)


def enabled_bytes(header: Payload) -> list[bool]:
    """For each byte of a request's dwords, whether its byte enables choose it. ``header`` has plain field
    names."""
    enables = []
    for dword in range(header["length"]):
        mask = 0xF
        if dword == 0:
            mask = header["first_be"]
        elif dword == header["length"] - 1:
            mask = header["last_be"]
        enables += [bool(mask >> k & 1) for k in range(4)]
    return enables


class HostMemoryModel:
    """Answers a request_beat stream of the component under test: reads from ``memory``, writes into it.

    ``memory`` stands at address ``base``; what lies outside is answered as Unsupported Request (a write
    there is an ``AssertionError``). ``latency`` gives the cycles from a request to its first completion.
    Completions of a request come in order, cut at ``read_completion_boundary`` (at random ones of them, at
    most ``max_payload`` bytes each); those of different requests are mixed if ``reorder``. ``completions``
    None: there are no reads. Memory is looked at when the request comes, or, if ``late()``, when it is
    answered.

    ``fault(header)`` may return, for a read: ``"ur"``, ``"ca"`` (an error completion, instead of the last
    piece if there are several), ``"poison"``, ``"drop"`` (no completion), ``"count"`` (a wrong byte
    count). ``header`` has the plain names of RequestHeader's fields.

    ``reads`` and ``writes`` list the headers that came, ``write_bytes`` counts enabled bytes. Every
    request is checked: no 4 KiB crossing, at most ``max_read_request`` or ``max_payload`` bytes, byte
    enables contiguous, tag free.
    """

    def __init__(
        self,
        dut: Any,
        requests: str = "requests",
        completions: str | None = "completions",
        *,
        size: int = 1 << 16,
        base: int = 0,
        latency: Callable[[], int] = lambda: 20,
        read_completion_boundary: int = 64,
        max_payload: int = 256,
        max_read_request: int = 4096,
        reorder: bool = True,
        late: Callable[[], bool] = lambda: False,
        request_stalls: Iterator[bool] | None = None,
        completion_stalls: Iterator[bool] | None = None,
        fault: Callable[[Payload], str | None] = lambda header: None,
    ):
        self.memory = bytearray(size)
        self.base = base
        self.latency = latency
        self.boundary = read_completion_boundary
        self.max_payload = max_payload
        self.max_read_request = max_read_request
        self.reorder = reorder
        self.late = late
        self.fault = fault
        self.reads: list[Payload] = []
        self.writes: list[Payload] = []
        self.write_bytes = 0
        self.tags: set[int] = set()
        self.most_tags = 0
        self._cycle = 0
        self._order = 0
        self._packet: list[Payload] = []
        self._due: list[tuple[int, int, Callable[[], list[list[Payload]]]]] = []
        self.requests = StreamSink(dut, requests, request_stalls, self._take)
        self.data_width = len(self.requests.fields["data"])
        self.completions: Any = StreamSource(dut, completions, completion_stalls) if completions else None
        self._active: list[list[list[Payload]]] = []
        Cycles.of(dut).add(self._step)

    @property
    def pending(self) -> int:
        """Reads that are not answered completely."""
        return len(self.tags)

    def _take(self, beat: Payload) -> None:
        self._packet.append(beat)
        if not beat["last"]:
            return
        beats, self._packet = self._packet, []
        header = {
            key[len("header_") :]: value for key, value in beats[0].items() if key.startswith("header_")
        }
        assert all(b[f"header_{key}"] == header[key] for b in beats for key in header), "the header changed"
        enables = enabled_bytes(header)
        chosen = [k for k, enable in enumerate(enables) if enable]
        assert header["address"] % 4 == 0
        assert 1 <= header["length"] <= 1024
        assert header["address"] % 4096 + header["length"] * 4 <= 4096, f"crosses 4 KiB: {header}"
        assert chosen == list(range(chosen[0], chosen[-1] + 1)), f"gap in byte enables: {header}"
        assert header["length"] > 1 or header["last_be"] == 0
        assert chosen[0] < 4
        assert chosen[-1] >= len(enables) - 4
        if header["kind"] == RequestKind.MEMORY_READ.value:
            assert len(beats) == 1
            assert beats[0]["dwords"] == 0
            assert header["length"] * 4 <= self.max_read_request, header
            self._read(header, chosen)
        else:
            assert header["kind"] == RequestKind.MEMORY_WRITE.value, header
            assert header["length"] * 4 <= self.max_payload, header
            self._write(header, beats, chosen)

    def _write(self, header: Payload, beats: list[Payload], chosen: list[int]) -> None:
        size = self.data_width // 8
        payload = b""
        for beat in beats:
            count = beat["dwords"].bit_count()
            assert beat["dwords"] == (1 << count) - 1
            assert count == size // 4 or beat["last"]
            payload += beat["data"].to_bytes(size, "little")[: count * 4]
        assert len(payload) == header["length"] * 4, f"{len(payload)} bytes of payload with {header}"
        start = header["address"] - self.base
        assert start + chosen[0] >= 0
        assert start + chosen[-1] < len(self.memory), f"write outside of memory: {header}"
        for k in chosen:
            self.memory[start + k] = payload[k]
        self.write_bytes += len(chosen)
        self.writes.append(header)

    def _read(self, header: Payload, chosen: list[int]) -> None:
        self.reads.append(header)
        assert header["tag"] not in self.tags, f"tag {header['tag']} is in use"
        fault = self.fault(header)
        if fault == "drop":
            return
        self.tags.add(header["tag"])
        self.most_tags = max(self.most_tags, len(self.tags))
        self._order += 1
        ready = self._cycle + self.latency()
        answer = functools.partial(self.completions_for, header, chosen, fault)
        if not self.late():
            answer = functools.partial(list, answer())
        heapq.heappush(self._due, (ready, self._order, answer))

    def completions_for(self, header: Payload, chosen: list[int], fault: str | None) -> list[list[Payload]]:
        """The completions that answer a read, each as its beats."""
        start = header["address"] - self.base
        common = {
            f"header_{key}": header[key] for key in ("tag", "requester_id", "traffic_class", "attributes")
        }
        failed = {"header_status": CompletionStatus.UNSUPPORTED_REQUEST.value, "first": 1, "last": 1} | common
        if fault == "ca":
            failed["header_status"] = CompletionStatus.COMPLETER_ABORT.value
        length = header["length"] * 4
        if not (start >= 0 and start + length <= len(self.memory)):
            return [[failed]]
        data = bytes(self.memory[start : start + length])
        packets, at = [], 0
        while at < length:
            end = self._cut(header["address"] + at, header["address"] + length) - header["address"]
            first_byte = max(at, chosen[0])
            fields = common | {
                "header_status": CompletionStatus.SUCCESS.value,
                "header_has_data": 1,
                "header_length": (end - at) // 4,
                "header_byte_count": chosen[-1] + 1 - first_byte,
                "header_lower_address": (header["address"] + first_byte) & 0x7F,
                "header_poisoned": int(fault == "poison"),
            }
            fields["header_byte_count"] += 4 if fault == "count" else 0
            packets.append(
                [beat | fields for beat in packet_beats(data[at:end], self.data_width, dwords=True)]
            )
            at = end
        if fault in ("ur", "ca"):
            packets[-1] = [failed]
        return packets

    def _cut(self, at: int, end: int) -> int:
        """Where a completion that starts at ``at`` ends: at a boundary, or at ``end``."""
        boundary = self.boundary
        first = (at // boundary + 1) * boundary
        last = (at + self.max_payload) // boundary * boundary
        ends = [cut for cut in range(first, last + 1, boundary) if cut < end]
        if end - at <= self.max_payload:
            ends.append(end)
        return random.choice(ends) if self.reorder else ends[-1]

    def _step(self, _bits: int) -> None:
        """Every cycle, hand on the next completion that is due."""
        self._cycle += 1
        if self.completions is None:
            return
        active = self._active
        while self._due and self._due[0][0] <= self._cycle:
            active.append(heapq.heappop(self._due)[2]())
        while active and self.completions.pending < 4:
            choice = random.randrange(len(active)) if self.reorder else 0
            packets = active[choice]
            for beat in packets.pop(0):
                self.completions.queue(beat)
            if not packets:
                active.pop(choice)
                # The tag is free again when the last beat is taken, which may be some cycles from now.
                self.tags.discard(beat["header_tag"])


class SegmentStoreModel:
    """Answers a SegmentRead port: ``port`` is its name among the ports of ``dut``.

    ``add(segments)`` stores a list of (address, length) in free places and gives the index of the first;
    ``free(index)`` gives a place back, and fails if it was not in use or not read.
    """

    def __init__(self, dut: Any, port: str = "segments", size: int = 1024):
        self._ports = {key: getattr(dut, f"{port}_{key}") for key in ("index", "address", "length", "next")}
        self._entries: dict[int, tuple[int, int, int]] = {}
        self._free = list(range(size))
        self._read: set[int] = set()
        for key in ("address", "length", "next"):
            self._ports[key].value = 0
        cycles = Cycles.of(dut)
        self._enable = cycles.mask(f"{port}_en")
        cycles.add(self._step)

    @property
    def used(self) -> int:
        """Places that are in use."""
        return len(self._entries)

    def add(self, segments: list[tuple[int, int]]) -> int:
        """Store a list, at random places."""
        places = [self._free.pop(random.randrange(len(self._free))) for _ in segments]
        for k, (address, length) in enumerate(segments):
            following = places[k + 1] if k + 1 < len(places) else random.getrandbits(16)
            self._entries[places[k]] = (address, length, following)
        return places[0] if places else random.getrandbits(16)

    def free(self, index: int) -> None:
        """Give a place back."""
        assert index in self._entries, f"segment {index} is freed but not in use"
        assert index in self._read, f"segment {index} is freed but was not read"
        del self._entries[index]
        self._read.discard(index)
        self._free.append(index)

    def _step(self, bits: int) -> None:
        if bits & self._enable:
            index = int(self._ports["index"].value)
            assert index in self._entries, f"segment {index} is read but not in use"
            self._read.add(index)
            for key, value in zip(("address", "length", "next"), self._entries[index], strict=True):
                self._ports[key].value = value
