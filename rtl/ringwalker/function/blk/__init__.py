"""The block function. Ref: virtio 1.4, 5.2."""
