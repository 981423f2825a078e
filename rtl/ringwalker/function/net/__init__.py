"""The network function. Ref: virtio 1.4, 5.1."""

from .kind import KIND

__all__ = ["KIND"]
