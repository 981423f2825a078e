"""Errors of the guest's side."""

__all__ = ["BindError", "DeviceError", "RequestError", "RequestTimeout", "VirtioError"]


class VirtioError(RuntimeError):
    """Base of what can go wrong between driver and device."""


class DeviceError(VirtioError):
    """The device did what the specification forbids; the message gives the values."""


class BindError(VirtioError):
    """A driver or a transport cannot use this function; the message says what is missing."""


class RequestError(VirtioError):
    """The device answered a request with an error status."""


class RequestTimeout(VirtioError):
    """No answer in time."""
