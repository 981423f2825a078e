"""The pieces of the device that handle TLP streams: codec, arbitration, routing."""
