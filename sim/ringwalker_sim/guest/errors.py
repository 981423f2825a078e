"""Errors of the guest's side."""

from ..errors import EXIT_FAILED, RingwalkerError

__all__ = ["BindError", "DeviceError", "RequestError", "RequestTimeout", "VirtioError"]


class VirtioError(RingwalkerError):
    """Base of all errors between driver and device."""

    exit_code = EXIT_FAILED


class DeviceError(VirtioError):
    """The device broke a rule of the specification; the message has the values."""


class BindError(VirtioError):
    """A driver or a transport cannot use this device; the message names what is missing."""


class RequestError(VirtioError):
    """The device answered a request with an error status."""


class RequestTimeout(VirtioError):
    """The device did not answer in time."""
