"""What can be behind the ports of a device: one row each, from which both engines and the host take it.

A peripheral ``mac`` is the class ``Mac`` of ``native/src/mac.h`` and ``mac.cpp``, the class
``MacPeripheral`` of ``native/mac.py`` and, if the cocotb engine has one, the class ``MacModel`` of
``cocotb/mac.py``. But for its row here nothing else names it.
"""

from collections.abc import Container
from dataclasses import dataclass

__all__ = ["PERIPHERALS", "PeripheralKind", "peripherals_of"]


@dataclass(frozen=True)
class PeripheralKind:
    """One kind of peripheral.

    ``streams`` are those of the device that it serves, by their names in Verilog; a device with all of them
    has it. ``pins`` are inputs of the device that it drives beside them, where they exist. ``counters`` are
    what it counts.
    """

    name: str
    streams: tuple[str, ...]
    pins: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()


PERIPHERALS = (
    PeripheralKind(
        "storage",
        ("storage_commands", "storage_write_data", "storage_read_data", "storage_results"),
        ("capacity", "read_only"),
        ("storage_reads", "storage_writes", "storage_flushes"),
    ),
    PeripheralKind(
        "mac",
        ("mac_tx", "mac_rx"),
        ("mac_link_up",),
        (
            *("mac_tx_frames", "mac_tx_bytes", "mac_tx_errors", "mac_tx_different"),
            *("mac_rx_frames", "mac_rx_bytes", "mac_lost"),
        ),
    ),
    PeripheralKind(
        "uart", ("uart_tx", "uart_rx"), ("cols", "rows"), ("uart_tx_bytes", "uart_rx_bytes", "uart_lost")
    ),
    PeripheralKind("noise", ("noise",), (), ("noise_bytes",)),
    PeripheralKind("probes", ("probes",)),
)
"""All kinds. In one cycle they draw their stalls in this order."""


def peripherals_of(ports: Container[str]) -> list[PeripheralKind]:
    """The kinds that a device has whose Verilog has ``ports``."""
    return [kind for kind in PERIPHERALS if all(f"{name}_valid" in ports for name in kind.streams)]
