"""Errors of the guest's side."""

from ..errors import EXIT_FAILED, RingwalkerError

__all__ = ["BindError", "DeviceError", "RequestError", "RequestTimeout", "VirtioError"]


class VirtioError(RingwalkerError):
    """Base of what can go wrong between driver and device."""

    exit_code = EXIT_FAILED


class DeviceError(VirtioError):
    """The device did what the specification forbids; the message gives the values."""


class BindError(VirtioError):
    """A driver or a transport cannot use this function; the message says what is missing."""


class RequestError(VirtioError):
    """The device answered a request with an error status."""


class RequestTimeout(VirtioError):
    """No answer in time."""
