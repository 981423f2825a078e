"""What synthesis is to know of memories."""

__all__ = ["READ_APART"]

READ_APART = {"no_rw_check": 1}
"""Attributes of a memory with clocked reads, of which none that counts is of the address that is written at
the same clock edge. Without this synthesis adds registers and multiplexers beside a block RAM, for each bit,
that give the old content in that case."""
