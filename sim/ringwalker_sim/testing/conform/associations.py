"""Security associations of a reference device, without any cipher. Ref: virtio 1.4, 5.1.9.7, 5.9.9.9."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.ipsec import (
    IPSEC_KEY_BYTES,
    IpsecAssociation,
    IpsecCapability,
    IpsecDirection,
    IpsecList,
    IpsecMode,
    IpsecModeCapability,
    IpsecOption,
    IpsecResource,
    IpsecResourceCapability,
)

from ...memory import dtype_of
from ...struct_bytes import struct_bytes, struct_of
from .admin_server import invalid
from .resources import ResourceKind

__all__ = ["IPSEC_CAPABILITIES", "IPSEC_VALID", "InboundKind", "OutboundKind"]

_LIST = dtype_of(IpsecList).itemsize
_MODE = dtype_of(IpsecModeCapability).itemsize
_MASKS = ("options", "cipher_algorithms", "hmac_algorithms", "aead_algorithms")
_LIMITS = ("max_replay_window", "max_cipher_key", "max_auth_key")
_CIPHERS, _HMACS = 1 << 3 | 1 << 9, 1 << 2


def modes(raw: bytes) -> dict[int, Any]:
    """What can be done in each mode."""
    rows = [
        struct_of(IpsecModeCapability, raw[_LIST + n * _MODE :])
        for n in range(int(struct_of(IpsecList, raw)["count"]))
    ]
    return {int(row["mode"]): row for row in rows}


def _mode(mode: IpsecMode) -> bytes:
    return struct_bytes(
        IpsecModeCapability,
        mode=mode,
        max_replay_window=64,
        options=IpsecOption.ESN | IpsecOption.SA_LIFETIME,
        cipher_algorithms=_CIPHERS,
        hmac_algorithms=_HMACS,
        max_cipher_key=IPSEC_KEY_BYTES,
        max_auth_key=IPSEC_KEY_BYTES,
    )


def _valid_limits(mine: bytes, wanted: bytes) -> bool:
    own, theirs = (struct_of(IpsecResourceCapability, raw) for raw in (mine, wanted))
    return all(theirs[name] <= own[name] for name in ("inbound_limit", "outbound_limit"))


def _valid_modes(mine: bytes, wanted: bytes) -> bool:
    able = modes(mine)
    return all(
        mode in able
        and not any(int(row[name]) & ~int(able[mode][name]) for name in _MASKS)
        and all(row[name] <= able[mode][name] for name in _LIMITS)
        for mode, row in modes(wanted).items()
    )


IPSEC_CAPABILITIES: dict[int, bytes] = {
    IpsecCapability.RESOURCE: struct_bytes(IpsecResourceCapability, inbound_limit=4, outbound_limit=4),
    IpsecCapability.ASSOCIATION: struct_bytes(IpsecList, count=2)
    + _mode(IpsecMode.ESP_TUNNEL)
    + _mode(IpsecMode.ESP_TRANSPORT),
}
"""What the device can do."""

IPSEC_VALID: dict[int, Callable[[bytes, bytes], bool]] = {
    IpsecCapability.RESOURCE: _valid_limits,
    IpsecCapability.ASSOCIATION: _valid_modes,
}
"""What the driver may set."""


class _AssociationKind(ResourceKind):
    needed = tuple(IpsecCapability)
    direction: int
    limit_name: str

    def limit(self) -> int:
        """What the driver has set."""
        content = self.capabilities.driver.get(IpsecCapability.RESOURCE, b"")
        return int(struct_of(IpsecResourceCapability, content)[self.limit_name])

    def check(self, number: int, data: bytes) -> bytes:
        """Mode, options, algorithms and keys are among those that the driver has set."""
        row = struct_of(IpsecAssociation, data)
        able = modes(self.capabilities.driver[IpsecCapability.ASSOCIATION]).get(int(row["mode"]))
        if able is None or row["direction"] != self.direction:
            raise invalid()
        if int(row["options"]) & ~int(able["options"]):
            raise invalid()
        for algorithm, mask in (
            ("cipher_algorithm", "cipher_algorithms"),
            ("auth_algorithm", "hmac_algorithms"),
        ):
            # Algorithm 0 is none.
            if int(row[algorithm]) and not int(able[mask]) >> int(row[algorithm]) & 1:
                raise invalid()
        if row["cipher_key"]["length"] > able["max_cipher_key"]:
            raise invalid()
        if row["auth_key"]["length"] > able["max_auth_key"]:
            raise invalid()
        return data[: dtype_of(IpsecAssociation).itemsize]


class OutboundKind(_AssociationKind):
    """Security associations of what is sent."""

    type = IpsecResource.OUTBOUND
    direction = IpsecDirection.OUTBOUND
    limit_name = "outbound_limit"


class InboundKind(_AssociationKind):
    """Security associations of what is received."""

    type = IpsecResource.INBOUND
    direction = IpsecDirection.INBOUND
    limit_name = "inbound_limit"
