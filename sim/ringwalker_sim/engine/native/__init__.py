"""The fast engine: Verilated model and C++ host in one shared library."""
