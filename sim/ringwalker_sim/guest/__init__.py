"""The guest driver model: PCI, virtqueues, a bus of virtio devices, and drivers, over an abstract port."""
