"""The entropy function. Ref: virtio 1.4, 5.4."""

from .kind import KIND

__all__ = ["KIND"]
