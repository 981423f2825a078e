"""What the device costs in gates and how fast it can be clocked, by open tools."""
