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
    "NET_TRANSMIT_QUEUE",
    "NetClass",
    "NetControlAck",
    "NetControlHeader",
    "NetFeature",
    "NetHeader",
    "NetMacCommand",
    "NetRxCommand",
    "NetRxMode",
    "NetStatus",
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


class NetControlHeader(data.Struct):
    """The first two bytes of a control command; its data follows, and the device writes one byte back."""

    class_: unsigned(8)
    command: unsigned(8)


class NetClass(enum.IntEnum):
    """``class`` of a control command; from 0x80 on they are this device's own."""

    RX = 0
    MAC = 1
    CONFIG = 0x80
    """READ (command 0): the device answers the acknowledgement and then its device configuration."""


class NetRxCommand(enum.IntEnum):
    """Commands of class RX; the data is one byte, 0 for off and 1 for on."""

    PROMISCUOUS = 0
    ALL_MULTICAST = 1


class NetMacCommand(enum.IntEnum):
    """Commands of class MAC; the data of ADDR_SET is the six bytes of the address."""

    TABLE_SET = 0
    ADDR_SET = 1


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
