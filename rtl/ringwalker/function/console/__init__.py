"""The console function. Ref: virtio 1.4, 5.3."""
