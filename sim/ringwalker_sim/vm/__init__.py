"""A real guest: a stock QEMU with an unmodified Linux, and QEMU's own devices to compare with."""
