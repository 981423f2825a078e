"""The functions that a device can have, by the name that the configuration gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import DeviceConfig
from .blk.function import BlkFunction, blk_lanes, blk_ports
from .console.function import ConsoleFunction, console_lanes, console_ports
from .net.function import NetFunction, net_lanes, net_ports

__all__ = ["FUNCTIONS", "FunctionKind"]


@dataclass(frozen=True)
class FunctionKind:
    """How a device is made of a function.

    ``component(config)`` has ``registers`` (RegisterPort), ``active``, ``generation``, ``config_change``,
    the properties ``features`` and ``chain_ports``, and the members ``ports(config)``, which the device
    passes on to the outside. It may have the inputs ``driver_ok`` (DRIVER_OK is set, and no reset is under
    way or needed) and ``clear`` (a pulse at a device reset, when all chains are answered: forget what the
    driver has set). ``lanes(config)`` are the queues behind each chain port: a chain waits for those before
    it on its port, never for another port's. Those in ``write_only`` have chains that the function only
    writes to, as a rule. A port-valued member is driven by the function.
    """

    component: Callable[[DeviceConfig], Any]
    lanes: Callable[[DeviceConfig], tuple[tuple[int, ...], ...]]
    ports: Callable[[DeviceConfig], dict[str, Any]]
    write_only: tuple[int, ...] = ()


FUNCTIONS: Mapping[str, FunctionKind] = {
    "blk": FunctionKind(BlkFunction, blk_lanes, blk_ports),
    "console": FunctionKind(ConsoleFunction, console_lanes, console_ports, write_only=(0,)),
    "net": FunctionKind(NetFunction, net_lanes, net_ports, write_only=(0,)),
}
