"""The checks, one module for each part of the specification. A new module has its row here."""

from . import (
    access_window,
    common_config,
    device_status,
    features,
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
    ring_events,
    ring_framing,
    ring_indirect,
    ring_order,
    ring_notify,
    ring_sizes,
    ring_mixture,
)
"""All modules, in the order in which their checks run."""
