"""The network device: frame header, features, configuration, control commands. Ref: virtio 1.4, 5.1."""

import enum

from amaranth.hdl import unsigned
from amaranth.lib import data

from .registers import Access, Register, RegisterTable

__all__ = [
    "LEGACY_NET_HEADER_BYTES",
    "MAC_BYTES",
    "NET_CONFIG",
    "NET_CONTROL_QUEUE",
    "NET_RECEIVE_QUEUE",
    "NET_STEERING_CONFIG",
    "NET_TRANSMIT_QUEUE",
    "NetClass",
    "NetCoalesceCommand",
    "NetControlAck",
    "NetControlHeader",
    "NetFeature",
    "NetGso",
    "NetHashReport",
    "NetHeader",
    "NetHeaderFlag",
    "NetMacCommand",
    "NetMqCommand",
    "NetRssContextCommand",
    "NetRxCommand",
    "NetRxMode",
    "NetStatsCommand",
    "NetStatsReply",
    "NetStatsType",
    "NetStatus",
    "NetTunnel",
    "NetVlanCommand",
]

MAC_BYTES = 6
"""Bytes of an Ethernet address, in the order of the wire."""

NET_RECEIVE_QUEUE = 0
NET_TRANSMIT_QUEUE = 1
NET_CONTROL_QUEUE = 2
"""Queue numbers of a device with one pair of queues and a control queue."""


class NetFeature(enum.IntEnum):
    """Bit numbers."""

    CSUM = 0
    GUEST_CSUM = 1
    CTRL_GUEST_OFFLOADS = 2
    MTU = 3
    MAC = 5
    GUEST_TSO4 = 7
    GUEST_TSO6 = 8
    GUEST_ECN = 9
    GUEST_UFO = 10
    HOST_TSO4 = 11
    HOST_TSO6 = 12
    HOST_ECN = 13
    HOST_UFO = 14
    MRG_RXBUF = 15
    STATUS = 16
    CTRL_VQ = 17
    CTRL_RX = 18
    CTRL_VLAN = 19
    CTRL_RX_EXTRA = 20
    GUEST_ANNOUNCE = 21
    MQ = 22
    CTRL_MAC_ADDR = 23
    DEVICE_STATS = 50
    HASH_TUNNEL = 51
    VQ_NOTF_COAL = 52
    NOTF_COAL = 53
    GUEST_USO4 = 54
    GUEST_USO6 = 55
    HOST_USO = 56
    HASH_REPORT = 57
    GUEST_HDRLEN = 59
    RSS = 60
    RSC_EXT = 61
    STANDBY = 62
    SPEED_DUPLEX = 63
    RSS_CONTEXT = 64
    GUEST_UDP_TUNNEL_GSO = 65
    GUEST_UDP_TUNNEL_GSO_CSUM = 66
    HOST_UDP_TUNNEL_GSO = 67
    HOST_UDP_TUNNEL_GSO_CSUM = 68
    OUT_NET_HEADER = 69
    IPSEC = 70


class NetStatus(enum.IntFlag):
    """``status`` of the device configuration."""

    LINK_UP = 1
    ANNOUNCE = 2


class NetRxMode(enum.IntFlag):
    """Bits of ``rx_mode``: which frames beside those to the device's own address are received."""

    PROMISCUOUS = 1
    ALL_MULTICAST = 2


class NetHeader(data.Struct):
    """The 12 bytes in front of every frame, both ways. Without offloads all but ``num_buffers`` are 0."""

    flags: unsigned(8)
    gso_type: unsigned(8)
    hdr_len: unsigned(16)
    gso_size: unsigned(16)
    csum_start: unsigned(16)
    csum_offset: unsigned(16)
    num_buffers: unsigned(16)


LEGACY_NET_HEADER_BYTES = 10
"""Bytes of the header with a legacy driver, which has no ``num_buffers`` in it without MRG_RXBUF."""


class NetHeaderFlag(enum.IntFlag):
    """Bits of ``flags`` of the header."""

    NEEDS_CSUM = 0x01
    DATA_VALID = 0x02
    RSC_INFO = 0x04
    UDP_TUNNEL_CSUM = 0x08
    SECURITY = 0x10
    SECURITY_ERR = 0x20
    SECURITY_SA_SOFT_EXPIRY_WARN = 0x40


class NetGso(enum.IntFlag):
    """``gso_type`` of the header: a number, and the bits from 0x20 on beside it."""

    NONE = 0
    TCPV4 = 1
    UDP = 3
    TCPV6 = 4
    UDP_L4 = 5
    UDP_TUNNEL_IPV4 = 0x20
    UDP_TUNNEL_IPV6 = 0x40
    ECN = 0x80


class NetControlHeader(data.Struct):
    """The first two bytes of a control command; its data follows, and the device writes one byte back."""

    class_: unsigned(8)
    command: unsigned(8)


class NetClass(enum.IntEnum):
    """``class`` of a control command; from 0x80 on they are this device's own."""

    RX = 0
    MAC = 1
    VLAN = 2
    ANNOUNCE = 3
    MQ = 4
    GUEST_OFFLOADS = 5
    NOTF_COAL = 6
    HASH_TUNNEL = 7
    STATS = 8
    RSS_CONTEXT = 9
    CONFIG = 0x80
    """READ (command 0): the device answers the acknowledgement and then its device configuration."""


class NetRxCommand(enum.IntEnum):
    """Commands of class RX; the data is one byte, 0 for off and 1 for on."""

    PROMISCUOUS = 0
    ALL_MULTICAST = 1
    ALL_UNICAST = 2
    NO_MULTICAST = 3
    NO_UNICAST = 4
    NO_BROADCAST = 5


class NetMacCommand(enum.IntEnum):
    """Commands of class MAC; the data of ADDR_SET is the six bytes of the address."""

    TABLE_SET = 0
    ADDR_SET = 1


class NetVlanCommand(enum.IntEnum):
    """Commands of class VLAN; the data is the id, two bytes."""

    ADD = 0
    DEL = 1


class NetMqCommand(enum.IntEnum):
    """Commands of class MQ."""

    VQ_PAIRS_SET = 0
    RSS_CONFIG = 1
    HASH_CONFIG = 2


class NetCoalesceCommand(enum.IntEnum):
    """Commands of class NOTF_COAL."""

    TX_SET = 0
    RX_SET = 1
    VQ_SET = 2
    VQ_GET = 3


class NetStatsCommand(enum.IntEnum):
    """Commands of class STATS."""

    QUERY = 0
    GET = 1


class NetRssContextCommand(enum.IntEnum):
    """Commands of class RSS_CONTEXT."""

    CAP_GET = 0
    ADD = 1
    MOD = 2
    DEL = 3


class NetHashReport(enum.IntEnum):
    """Types of a hash, as ``hash_report`` says them; in masks of types the bit is one less."""

    NONE = 0
    IPV4 = 1
    TCPV4 = 2
    UDPV4 = 3
    IPV6 = 4
    TCPV6 = 5
    UDPV6 = 6
    IPV6_EX = 7
    TCPV6_EX = 8
    UDPV6_EX = 9


class NetTunnel(enum.IntEnum):
    """Kinds of tunnels whose inner header is hashed: bit numbers."""

    GRE_2784 = 0
    GRE_2890 = 1
    GRE_7676 = 2
    GRE_UDP = 3
    VXLAN = 4
    VXLAN_GPE = 5
    GENEVE = 6
    IPIP = 7
    NVGRE = 8


class NetStatsType(enum.IntEnum):
    """Kinds of statistics: bit numbers, and ``type`` of a reply."""

    RX_BASIC = 0
    RX_CSUM = 1
    RX_GSO = 2
    RX_SPEED = 3
    TX_BASIC = 16
    TX_CSUM = 17
    TX_GSO = 18
    TX_SPEED = 19
    CVQ = 32


class NetStatsReply(data.Struct):
    """The header of a statistic; ``size`` counts it too."""

    type: unsigned(8)
    reserved: unsigned(8)
    vq_index: unsigned(16)
    reserved1: unsigned(16)
    size: unsigned(16)


class NetControlAck(enum.IntEnum):
    """What the device answers a control command with."""

    OK = 0
    ERR = 1


_RO, _RW = Access.RO, Access.RW

NET_CONFIG = RegisterTable(
    "net_config",
    "Device configuration of the network device (struct virtio_net_config), and the receive mode after it.",
    (
        Register("mac", 0x00, 48, _RW, "Address of the device; written only without CTRL_MAC_ADDR (MAC)."),
        Register("status", 0x06, 16, _RO, "Bit 0: the link is up (STATUS)."),
        Register("max_virtqueue_pairs", 0x08, 16, _RO, "Most pairs of queues (MQ)."),
        Register("mtu", 0x0A, 16, _RO, "Largest payload of a frame in bytes (MTU)."),
        Register("speed", 0x0C, 32, _RO, "Speed in Mb/s (SPEED_DUPLEX)."),
        Register("duplex", 0x10, 8, _RO, "1: full duplex (SPEED_DUPLEX)."),
        Register("rx_mode", 0x20, 8, _RW, "Bit 0: promiscuous, bit 1: all multicast. Of this device alone."),
    ),
)

NET_STEERING_CONFIG = RegisterTable(
    "net_steering_config",
    "What struct virtio_net_config has behind ``duplex``, for devices that calculate hashes.",
    (
        Register("rss_max_key_size", 0x11, 8, _RO, "Most bytes of a key (RSS, HASH_REPORT)."),
        Register("rss_max_indirection_table_length", 0x12, 16, _RO, "Most entries of a table (RSS)."),
        Register("supported_hash_types", 0x14, 32, _RO, "Types of hashes, a mask (RSS, HASH_REPORT)."),
        Register("supported_tunnel_types", 0x18, 32, _RO, "Kinds of tunnels, a mask (HASH_TUNNEL)."),
    ),
)
