"""The virtio register faces behind the BARs."""
