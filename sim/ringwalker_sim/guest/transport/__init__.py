"""The ways to reach a device: a PCI function, rings shared with a device in Python, and a byte pipe."""
