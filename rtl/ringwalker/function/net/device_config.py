"""What is special about the device configuration of the network device: features and values."""

from ...config import DeviceConfig
from ...spec.net import NET_CONFIG, NetFeature, NetRxMode, NetStatus
from ..device_config import DeviceConfigFace

__all__ = ["RX_MODE_BITS", "net_config_face", "net_features"]

RX_MODE_BITS = int(max(NetRxMode)).bit_length()
"""Bits of ``rx_mode`` that mean something; the others read as 0."""


def net_features(config: DeviceConfig) -> int:
    """The feature bits that the network function offers, as a mask."""
    offered = (
        NetFeature.MAC,
        NetFeature.STATUS,
        NetFeature.MTU,
        NetFeature.CTRL_VQ,
        NetFeature.CTRL_RX,
        NetFeature.CTRL_MAC_ADDR,
    )
    return sum(1 << bit for bit in offered)


def net_config_face(config: DeviceConfig) -> DeviceConfigFace:
    """The registers of ``NET_CONFIG``; ``status`` comes from outside, ``mac`` and ``rx_mode`` are kept.

    The driver can write both, whatever features were negotiated. Ref: virtio 1.4, 5.1.4.
    """
    values = {
        "mac": int.from_bytes(config.settings.address, "little"),
        "status": int(NetStatus.LINK_UP),
        "mtu": config.settings.mtu,
    }
    writable = {"rx_mode": (1 << RX_MODE_BITS) - 1}
    return DeviceConfigFace(NET_CONFIG, values=values, inputs=["status"], writable=writable)
