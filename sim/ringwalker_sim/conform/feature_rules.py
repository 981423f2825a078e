"""Which feature bits a device type has, and which of them require others.

Ref: virtio 1.4, 2.2 (ranges), 5.1.3.1 (requirements of network features), 5.2.3, 5.3.3, 6.
"""

import enum

from ringwalker.spec.blk import BlkFeature
from ringwalker.spec.console import ConsoleFeature
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NetFeature

__all__ = ["OPTIONAL_TRANSPORT", "bits_of", "known_features", "requirements", "unmet", "valid_part"]

_OWN: dict[int, type[enum.IntEnum]] = {
    DeviceType.NET: NetFeature,
    DeviceType.BLK: BlkFeature,
    DeviceType.CONSOLE: ConsoleFeature,
}

_LEGACY_OWN: dict[int, tuple[int, ...]] = {DeviceType.NET: (6, 41, 42), DeviceType.BLK: (0, 7)}
"""Bits that only the notes on the legacy interface have: GSO and GUEST_RSC, BARRIER and SCSI."""

_NEVER = 30
"""Devices offer this bit to detect drivers that accept what they do not know. Ref: virtio 1.4, 6.3."""

_LEGACY_ONLY = (Feature.NOTIFY_ON_EMPTY, Feature.ANY_LAYOUT, _NEVER)
"""Reserved bits that are for the legacy interface."""

OPTIONAL_TRANSPORT = (Feature.VERSION_1, Feature.ACCESS_PLATFORM, Feature.ORDER_PLATFORM)
"""Features without which a device may refuse to operate. Ref: virtio 1.4, 6."""

_N = NetFeature
_ANY_GUEST_TSO, _ANY_HOST_TSO = (_N.GUEST_TSO4, _N.GUEST_TSO6), (_N.HOST_TSO4, _N.HOST_TSO6)

_NET_REQUIREMENTS: dict[int, tuple[tuple[int, ...], ...]] = {
    _N.GUEST_TSO4: ((_N.GUEST_CSUM,),),
    _N.GUEST_TSO6: ((_N.GUEST_CSUM,),),
    _N.GUEST_ECN: (_ANY_GUEST_TSO,),
    _N.GUEST_UFO: ((_N.GUEST_CSUM,),),
    _N.GUEST_USO4: ((_N.GUEST_CSUM,),),
    _N.GUEST_USO6: ((_N.GUEST_CSUM,),),
    _N.GUEST_UDP_TUNNEL_GSO: ((_N.GUEST_TSO4,), (_N.GUEST_TSO6,), (_N.GUEST_USO4,), (_N.GUEST_USO6,)),
    _N.GUEST_UDP_TUNNEL_GSO_CSUM: ((_N.GUEST_UDP_TUNNEL_GSO,),),
    _N.HOST_TSO4: ((_N.CSUM,),),
    _N.HOST_TSO6: ((_N.CSUM,),),
    _N.HOST_ECN: (_ANY_HOST_TSO,),
    _N.HOST_UFO: ((_N.CSUM,),),
    _N.HOST_USO: ((_N.CSUM,),),
    _N.HOST_UDP_TUNNEL_GSO: ((_N.HOST_TSO4,), (_N.HOST_TSO6,), (_N.HOST_USO,)),
    _N.HOST_UDP_TUNNEL_GSO_CSUM: ((_N.HOST_UDP_TUNNEL_GSO,),),
    _N.CTRL_RX: ((_N.CTRL_VQ,),),
    _N.CTRL_VLAN: ((_N.CTRL_VQ,),),
    _N.GUEST_ANNOUNCE: ((_N.CTRL_VQ,),),
    _N.MQ: ((_N.CTRL_VQ,),),
    _N.CTRL_MAC_ADDR: ((_N.CTRL_VQ,),),
    _N.NOTF_COAL: ((_N.CTRL_VQ,),),
    _N.RSC_EXT: (_ANY_HOST_TSO,),
    _N.RSS: ((_N.CTRL_VQ,),),
    _N.VQ_NOTF_COAL: ((_N.CTRL_VQ,),),
    _N.HASH_TUNNEL: ((_N.CTRL_VQ,), (_N.RSS, _N.HASH_REPORT)),
    _N.RSS_CONTEXT: ((_N.CTRL_VQ,), (_N.RSS,)),
}


def bits_of(mask: int) -> list[int]:
    """The numbers of the bits of ``mask``, ascending."""
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def known_features(device_type: int, legacy: bool = False) -> int:
    """The mask of the feature bits that the specification has for a device type, by one of the interfaces.

    A type that is not known here: all bits of the ranges for device types.
    """
    mask = 0
    for feature in Feature:
        mask |= 1 << feature if legacy or feature not in _LEGACY_ONLY else 0
    if legacy:
        own = (*_LEGACY_ONLY, *_LEGACY_OWN.get(device_type, ()))
        mask |= sum(1 << bit for bit in own)
    if device_type in _OWN:
        mask |= sum(1 << feature for feature in _OWN[device_type])
    elif device_type != DeviceType.ENTROPY:
        mask |= sum(1 << bit for bit in (*range(24), 41, 42, *range(50, 128)))
    return mask


def requirements(device_type: int) -> dict[int, tuple[tuple[int, ...], ...]]:
    """What a feature of a device type requires: for each of the groups one feature of it."""
    return _NET_REQUIREMENTS if device_type == DeviceType.NET else {}


def unmet(device_type: int, mask: int) -> list[tuple[int, tuple[int, ...]]]:
    """Features of ``mask`` that require another: the feature, and the group of which none is in ``mask``."""
    return [
        (feature, group)
        for feature, groups in requirements(device_type).items()
        for group in groups
        if mask >> feature & 1 and not any(mask >> other & 1 for other in group)
    ]


def valid_part(device_type: int, mask: int) -> int:
    """``mask`` without the features whose requirements it does not meet, and without what nobody accepts."""
    mask &= ~(1 << _NEVER)
    while found := unmet(device_type, mask):
        for feature, _group in found:
            mask &= ~(1 << feature)
    return mask
