"""The split ring: available ring in, used ring out. Ref: virtio 1.4, 2.7."""
