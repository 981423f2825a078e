"""The network function. Ref: virtio 1.4, 5.1."""
