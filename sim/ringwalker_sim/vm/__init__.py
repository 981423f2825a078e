"""A real guest: an unmodified Linux in a stock QEMU, and QEMU's own devices for comparison."""
