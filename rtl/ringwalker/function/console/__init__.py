"""The console function. Ref: virtio 1.4, 5.3."""

from .kind import KIND

__all__ = ["KIND"]
