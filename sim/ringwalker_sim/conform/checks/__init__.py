"""The checks, one module for each part of the specification. A new module has its row here."""

from . import device_status, features, pci_function

__all__ = ["MODULES"]

MODULES = (device_status, features, pci_function)
"""All modules, in the order in which their checks run."""
