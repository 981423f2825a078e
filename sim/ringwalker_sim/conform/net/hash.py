"""The hash of a received packet, and the commands that configure it.

Ref: virtio 1.4, 5.1.6.4.3 and 5.1.6.5.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ringwalker.spec.net import NetHashReport

from .packets import TCP, UDP, Layers, inner_layers, layers

__all__ = ["KEY", "HashConfig", "hash_bit", "packet_hash", "toeplitz"]

KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
"""40 bytes, of the verification suite of receive-side scaling."""


def hash_bit(report: NetHashReport) -> int:
    """The bit of a type in masks of types."""
    return 1 << (report - 1)


def toeplitz(key: bytes, data: bytes) -> int:
    """The Toeplitz hash of ``data``, 32 bits. ``key`` has four bytes more than ``data`` at least."""
    assert len(key) >= len(data) + 4, "the key is too short"
    window, bits = int.from_bytes(key, "big"), 8 * len(key)
    result = 0
    for at in range(8 * len(data)):
        if data[at // 8] >> (7 - at % 8) & 1:
            result ^= window >> (bits - 32 - at) & 0xFFFF_FFFF
    return result


_R = NetHashReport
_PLAIN = {4: {TCP: _R.TCPV4, UDP: _R.UDPV4, None: _R.IPV4}, 6: {TCP: _R.TCPV6, UDP: _R.UDPV6, None: _R.IPV6}}
_EXTENDED = {TCP: _R.TCPV6_EX, UDP: _R.UDPV6_EX, None: _R.IPV6_EX}


def packet_hash(frame: bytes, types: int, key: bytes, inner: bool = False) -> tuple[NetHashReport, int]:
    """Type and value of the hash of a frame when ``types`` (a mask) are enabled; (NONE, 0) when it has none.

    ``inner``: of the packet inside the tunnel.
    """
    found = inner_layers(frame) if inner else layers(frame)
    if found is None:
        return _R.NONE, 0
    kinds = [_PLAIN[found.version]]
    if found.extended:
        kinds.insert(0, _EXTENDED)
    for table in kinds:
        for protocol in (found.protocol, None):
            report = table.get(protocol)
            if report is not None and types & hash_bit(report):
                return report, toeplitz(key, _fields(frame, found, report, protocol is not None))
    return _R.NONE, 0


def _fields(frame: bytes, found: Layers, report: NetHashReport, ports: bool) -> bytes:
    source, target = found.source, found.target
    if report in _EXTENDED.values():
        source, target = found.home or source, found.route or target
    return source + target + (found.ports(frame) if ports else b"")


@dataclass(frozen=True)
class HashConfig:
    """What RSS_CONFIG says, and without a ``table`` HASH_CONFIG. ``table`` and ``unclassified`` are pairs."""

    types: int
    key: bytes = KEY
    table: tuple[int, ...] = ()
    unclassified: int = 0
    transmit: int = 1

    def pack(self) -> bytes:
        """The data of the command."""
        head = self.types.to_bytes(4, "little")
        tail = bytes([len(self.key)]) + self.key
        if not self.table:
            return head + bytes(8) + tail
        words: Sequence[int] = (len(self.table) - 1, self.unclassified, *self.table, self.transmit)
        return head + b"".join(word.to_bytes(2, "little") for word in words) + tail

    @classmethod
    def unpack(cls, data: bytes, steers: bool) -> "HashConfig":
        """What a command's data say; ``steers``: of RSS_CONFIG. Errors: ``ValueError`` for a wrong length."""
        count = (int.from_bytes(data[4:6], "little") + 1) if steers else 0
        words = [int.from_bytes(data[at : at + 2], "little") for at in range(6, 10 + 2 * count, 2)]
        at = 10 + 2 * count if steers else 12
        if len(data) <= at or len(data) != at + 1 + data[at] or count & (count - 1):
            raise ValueError(f"the parameters of the hash have {len(data)} bytes")
        types, key = int.from_bytes(data[:4], "little"), data[at + 1 :]
        if not steers:
            return cls(types, key)
        return cls(types, key, tuple(words[1 : 1 + count]), words[0], words[1 + count])
