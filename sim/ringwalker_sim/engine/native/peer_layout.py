"""What Python and the C++ half of a served device (``src/peer_messages.h``) agree on: structures, as fields
and their bits, and numbers of the protocol.
"""

from ...vfio_user.bodies import REGION_ACCESS_FIELDS
from ...vfio_user.protocol import HEADER_FIELDS, Command, Flag

__all__ = ["BARS", "PEER", "PEER_CONSTANTS", "PEER_STRUCTURES", "WINDOW"]

BARS = 6

WINDOW = (("address", 64), ("size", 64))
"""A BAR: where the device decodes it. With a size of 0 its accesses are Python's."""

PEER = (
    ("socket", 32),
    ("stop", 32),
    ("eventfds_array", 64),
    ("vectors", 32),
    ("left", 32),
    ("windows_array", 64),
    ("read_ticket", 64),
    ("fired", 64),
    ("bar_reads", 64),
    ("bar_writes", 64),
)
"""A peer: descriptors of its socket and of the eventfd that ends the server; an eventfd for each MSI-X vector
(32 bits, negative for none); a window for each BAR; what has been carried out.
``left`` says that the next message is Python's, or that the server ends. ``read_ticket`` is the request
of the read that is the next message in the socket, 0 for none: C++ has made it, and Python answers it."""

_ACCESS = (*HEADER_FIELDS, *REGION_ACCESS_FIELDS, ("data", 64))

PEER_STRUCTURES = {"PeerWindow": WINDOW, "PeerSetup": PEER, "PeerAccess": _ACCESS}
"""By their names in C++. ``PeerAccess`` is REGION_READ or REGION_WRITE of up to 8 bytes, or its answer."""

PEER_CONSTANTS = {
    "peer_bars": BARS,
    "peer_region_read": int(Command.REGION_READ),
    "peer_region_write": int(Command.REGION_WRITE),
    "peer_reply": int(Flag.REPLY),
    "peer_no_reply": int(Flag.NO_REPLY),
}
"""By their names in C++."""
