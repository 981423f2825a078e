"""What a device reports about itself in configuration space, and what follows from presets."""

import dataclasses
from dataclasses import dataclass

from .checks import check, check_range, check_text
from .spec.ids import MODERN_SUBSYSTEM_BASE, OASIS_DEVICE_BASE, VENDOR_2007, VENDOR_OASIS
from .spec.legacy import LEGACY_REVISION, transitional_device_id

__all__ = ["Identity"]


@dataclass(frozen=True)
class Identity:
    """What the device reports about itself in configuration space.

    A field that is None follows the preset, the function and the face.
    """

    preset: str = "2007"
    """``"2007"`` (vendor 0x5000, device = virtio type) or ``"oasis"`` (0x1AF4, 0x1040 + type, or for devices
    with the legacy header 0x1000 and so on)."""
    vendor: int | None = None
    device: int | None = None
    subsystem_vendor: int | None = None
    subsystem: int | None = None
    """None: the virtio type, from 0x40 on for modern devices of the preset ``"oasis"``."""
    class_code: int | None = None
    revision: int | None = None
    """None: 0 for devices with the legacy header, whatever the preset, as its drivers ask; otherwise 1."""

    def __post_init__(self):
        check_text("identity.preset", self.preset, ("2007", "oasis"))
        for name, high in (
            ("vendor", 0xFFFE),
            ("device", 0xFFFF),
            ("subsystem_vendor", 0xFFFF),
            ("subsystem", 0xFFFF),
            ("class_code", 0xFFFFFF),
            ("revision", 0xFF),
        ):
            value = getattr(self, name)
            if value is not None:
                check_range(f"identity.{name}", value, 0, high)

    def resolve(self, device_type: int, class_code: int, legacy: bool = False) -> "Identity":
        """The same identity with every field filled in for a function of this virtio type and class.

        ``legacy``: the device has the legacy header. Errors: :class:`ConfigError` if there is no id then.
        """
        oasis = self.preset == "oasis"
        vendor = VENDOR_OASIS if oasis else VENDOR_2007
        device = device_type
        if oasis and self.device is None:
            found = transitional_device_id(device_type) if legacy else OASIS_DEVICE_BASE + device_type
            wanted = f"given: virtio type {device_type} has none that goes with the legacy header"
            check(found is not None, "identity.device", self.device, wanted)
            device = found
        defaults = {
            "vendor": vendor,
            "device": device,
            "subsystem_vendor": self.vendor if self.vendor is not None else vendor,
            "subsystem": device_type if legacy or not oasis else MODERN_SUBSYSTEM_BASE + device_type,
            "class_code": class_code,
            "revision": LEGACY_REVISION if legacy else 1,
        }
        missing = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        return dataclasses.replace(self, **missing)
