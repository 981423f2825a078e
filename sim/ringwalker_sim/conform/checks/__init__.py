"""The checks, one module for each part of the specification. A new module has its row here."""

from . import (
    access_window,
    common_config,
    console,
    device_config,
    device_status,
    entropy,
    features,
    net_config,
    net_filter,
    net_parameters,
    net_receive,
    net_steering,
    net_transmit,
    pci_function,
    ring_events,
    ring_framing,
    ring_indirect,
    ring_mixture,
    ring_notify,
    ring_order,
    ring_sizes,
    virtio_capabilities,
)

__all__ = ["MODULES"]

MODULES = (
    pci_function,
    virtio_capabilities,
    access_window,
    device_status,
    features,
    common_config,
    device_config,
    ring_events,
    ring_framing,
    ring_indirect,
    ring_order,
    ring_notify,
    ring_sizes,
    ring_mixture,
    net_config,
    net_transmit,
    net_receive,
    net_filter,
    net_steering,
    net_parameters,
    console,
    entropy,
)
"""All modules, in the order in which their checks run."""
