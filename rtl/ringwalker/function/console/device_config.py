"""What is special about the device configuration of the console: features and values."""

from ...config import DeviceConfig
from ...spec.console import CONSOLE_CONFIG, ConsoleFeature
from ..device_config import DeviceConfigFace

__all__ = ["console_config_face", "console_features"]


def console_features(config: DeviceConfig) -> int:
    """The feature bits that the console function offers, as a mask."""
    return 1 << ConsoleFeature.SIZE | 1 << ConsoleFeature.EMERG_WRITE


def console_config_face(config: DeviceConfig) -> DeviceConfigFace:
    """The registers of ``CONSOLE_CONFIG``; ``cols`` and ``rows`` come from outside.

    Ref: virtio 1.4, 5.3.4 and 5.3.5.
    """
    values = {"cols": config.settings.cols, "rows": config.settings.rows}
    return DeviceConfigFace(CONSOLE_CONFIG, values=values, inputs=["cols", "rows"])
