"""Rings of the checks: they write what they are told to, and show all that the device has written."""
