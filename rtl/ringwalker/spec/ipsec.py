"""IPsec of the network device: capabilities and security associations.

Ref: virtio 1.4, 5.1.9.7 (IPsec operation), 5.9.9.9 (layouts, with the crypto device).
"""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "IPSEC_KEY_BYTES",
    "IpsecAssociation",
    "IpsecCapability",
    "IpsecDirection",
    "IpsecKey",
    "IpsecLifetime",
    "IpsecList",
    "IpsecMode",
    "IpsecModeCapability",
    "IpsecOption",
    "IpsecResource",
    "IpsecResourceCapability",
    "IpsecTunnel",
]

IPSEC_KEY_BYTES = 32
"""Room for a key."""


class IpsecCapability(enum.IntEnum):
    """Ids of the capabilities."""

    RESOURCE = 0x803
    ASSOCIATION = 0x804


class IpsecResource(enum.IntEnum):
    """Types of the resource objects."""

    OUTBOUND = 0x203
    INBOUND = 0x204


class IpsecMode(enum.IntEnum):
    """``mode`` of a security association."""

    ESP_TUNNEL = 1
    ESP_TRANSPORT = 2
    AH_TUNNEL = 3
    AH_TRANSPORT = 4


class IpsecDirection(enum.IntEnum):
    """``direction`` of a security association."""

    OUTBOUND = 1
    INBOUND = 2


class IpsecOption(enum.IntFlag):
    """Bits of ``options``."""

    ESN = 1 << 0
    UDP_ENCAP = 1 << 1
    COPY_DSCP = 1 << 2
    DEC_TTL = 1 << 3
    COPY_DF = 1 << 4
    ECN = 1 << 5
    SA_LIFETIME = 1 << 6


class IpsecResourceCapability(data.Struct):
    """The capability RESOURCE: most security associations of each direction."""

    inbound_limit: unsigned(32)
    outbound_limit: unsigned(32)


class IpsecList(data.Struct):
    """The start of the capability ASSOCIATION: ``count`` modes follow."""

    count: unsigned(8)
    reserved: data.ArrayLayout(8, 7)


class IpsecModeCapability(data.Struct):
    """What a device can do in one mode; algorithms are bits of masks."""

    mode: unsigned(8)
    reserved: data.ArrayLayout(8, 3)
    max_replay_window: unsigned(32)
    options: unsigned(32)
    reserved1: unsigned(32)
    cipher_algorithms: unsigned(64)
    hmac_algorithms: unsigned(64)
    aead_algorithms: unsigned(32)
    max_cipher_key: unsigned(32)
    max_auth_key: unsigned(32)


class IpsecTunnel(data.Struct):
    """Parameters of the outer header; ``header`` is as long as those of IPv6 are."""

    type: unsigned(8)
    reserved: data.ArrayLayout(8, 3)
    header: data.ArrayLayout(8, 40)


class IpsecKey(data.Struct):
    """A key of ``length`` bytes."""

    length: unsigned(16)
    reserved: unsigned(16)
    data: data.ArrayLayout(8, IPSEC_KEY_BYTES)


class IpsecLifetime(data.Struct):
    """Limits of a security association."""

    packets_soft: unsigned(64)
    bytes_soft: unsigned(64)
    packets_hard: unsigned(64)
    bytes_hard: unsigned(64)


class IpsecAssociation(data.Struct):
    """A security association."""

    mode: unsigned(8)
    direction: unsigned(8)
    reserved: data.ArrayLayout(8, 2)
    object_id: unsigned(32)
    spi: unsigned(32)
    salt: unsigned(32)
    options: unsigned(64)
    tunnel: IpsecTunnel
    udp_source: unsigned(16)
    udp_destination: unsigned(16)
    replay_window: unsigned(32)
    cipher_algorithm: unsigned(64)
    cipher_key: IpsecKey
    auth_algorithm: unsigned(64)
    auth_key: IpsecKey
    lifetime: IpsecLifetime
