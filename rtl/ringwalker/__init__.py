"""Ringwalker: a virtio PCI device as hardware, described in Amaranth HDL."""
