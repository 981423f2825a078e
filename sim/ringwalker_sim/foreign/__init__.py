"""Verilog of others as a PCI device: what its ports are, and what it becomes."""
