"""A device for QEMU on a socket: the vfio-user protocol, its server, and the bridge to an engine."""
