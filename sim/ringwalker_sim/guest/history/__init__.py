"""The four stages of the interface of 2007, each a thin layer over today's queues and transports.

:func:`adapt` puts a driver on a stage; the driver is the same on each. docs/history.md compares the stages.
"""

from collections.abc import Callable

from ..bus import VirtioDriver
from ..port import Port

__all__ = ["INTERFACES", "adapt"]

INTERFACES = ("modern", "2007-05", "draft3", "2007-09", "2.6.24")
"""``modern`` is what the drivers are written for; the others are the stages, oldest first."""


def _adapters() -> dict[str, Callable[[VirtioDriver, Port], VirtioDriver]]:
    from . import draft3_glue, linux2624_glue, may2007_glue, september2007_glue

    return {
        "modern": lambda driver, _port: driver,
        "2007-05": may2007_glue.adapt,
        "draft3": draft3_glue.adapt,
        "2007-09": september2007_glue.adapt,
        "2.6.24": linux2624_glue.adapt,
    }


def adapt(interface: str, driver: VirtioDriver, port: Port) -> VirtioDriver:
    """``driver`` for a bus, restricted to the operations of ``interface``.

    ``priv`` of the device on the bus is the driver's object, as without a stage.
    Errors: ``ValueError`` for an unknown interface.
    """
    adapters = _adapters()
    if interface not in adapters:
        raise ValueError(f"interface is {interface!r}; it must be one of {', '.join(INTERFACES)}")
    return adapters[interface](driver, port)
