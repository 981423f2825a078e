"""The packed ring: descriptors that are available and used in one place. Ref: virtio 1.4, 2.8."""
