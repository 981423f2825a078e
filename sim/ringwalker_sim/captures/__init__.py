"""What passes a simulated device, as files for Wireshark: frames of its MAC, and TLPs of its link."""
