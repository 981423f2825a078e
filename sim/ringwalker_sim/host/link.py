"""What a TLP costs on the wire, in bytes.

Ref: Neugebauer et al., "Understanding PCIe performance for end host networking", SIGCOMM 2018, section 3.
The costs hold framing, sequence number, LCRC and TLP header, for 64-bit addresses, without ECRC.
"""

__all__ = ["COMPLETION_BYTES", "REQUEST_32_BYTES", "REQUEST_64_BYTES"]

_FRAMING = 8
"""Start and end of packet, sequence number and LCRC."""

REQUEST_64_BYTES = _FRAMING + 16
"""A memory request with its four-dword header."""

REQUEST_32_BYTES = _FRAMING + 12
"""A configuration or I/O request with its three-dword header."""

COMPLETION_BYTES = _FRAMING + 12
"""A completion."""
