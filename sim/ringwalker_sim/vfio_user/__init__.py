"""A device for QEMU over a socket: the vfio-user protocol, its server, and the bridge to an engine."""
