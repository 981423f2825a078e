"""The header in front of a packet, of any set of features. Ref: virtio 1.4, 5.1.6."""

from dataclasses import dataclass, fields

from ringwalker.spec.features import Feature
from ringwalker.spec.net import NetFeature

__all__ = ["PacketHeader", "has_feature", "header_size"]

_BASE = (
    ("flags", 1),
    ("gso_type", 1),
    *((name, 2) for name in ("hdr_len", "gso_size", "csum_start", "csum_offset")),
)
_LATER = (
    ((Feature.VERSION_1, NetFeature.MRG_RXBUF), (("num_buffers", 2),)),
    ((NetFeature.HASH_REPORT,), (("hash_value", 4), ("hash_report", 2), ("padding_reserved", 2))),
    (
        (NetFeature.HOST_UDP_TUNNEL_GSO, NetFeature.GUEST_UDP_TUNNEL_GSO),
        (("outer_th_offset", 2), ("inner_nh_offset", 2)),
    ),
    ((NetFeature.OUT_NET_HEADER,), (("outer_nh_offset", 2),)),
    ((NetFeature.OUT_NET_HEADER, NetFeature.IPSEC), (("resource_id", 4), ("resource_type", 2))),
)
"""Fields that exist with one of the features named."""


def has_feature(features: int, *any_of: int) -> bool:
    """Whether one of some feature bits is in the mask ``features``."""
    return any(features >> feature & 1 for feature in any_of)


def _layout(features: int) -> list[tuple[str, int]]:
    later = [rows for any_of, rows in _LATER if has_feature(features, *any_of)]
    return [*_BASE, *(row for rows in later for row in rows)]


def header_size(features: int) -> int:
    """Bytes of the header with the negotiated ``features``."""
    return sum(size for _name, size in _layout(features))


@dataclass(frozen=True)
class PacketHeader:
    """The fields; those that do not exist with the features are 0."""

    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0
    num_buffers: int = 0
    hash_value: int = 0
    hash_report: int = 0
    padding_reserved: int = 0
    outer_th_offset: int = 0
    inner_nh_offset: int = 0
    outer_nh_offset: int = 0
    resource_id: int = 0
    resource_type: int = 0

    def pack(self, features: int) -> bytes:
        """The bytes, little-endian."""
        return b"".join(getattr(self, name).to_bytes(size, "little") for name, size in _layout(features))

    @classmethod
    def unpack(cls, features: int, content: bytes) -> "PacketHeader":
        """The header at the beginning of ``content``."""
        values, at = dict.fromkeys((field.name for field in fields(cls)), 0), 0
        for name, size in _layout(features):
            values[name] = int.from_bytes(content[at : at + size], "little")
            at += size
        return cls(**values)
