"""Descriptor chains as lists of segments, whatever ring their heads came from."""
