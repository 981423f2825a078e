"""The block function. Ref: virtio 1.4, 5.2."""

from .kind import KIND

__all__ = ["KIND"]
