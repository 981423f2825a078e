"""The pieces of the device that handle TLP streams: tags, arbitration, routing."""
