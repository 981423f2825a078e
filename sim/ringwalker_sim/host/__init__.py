"""The host's side of the link: what the root complex does, as parameters."""

from .link import LINKS, Link
from .parameters import Fault, HostParameters, Split

__all__ = ["LINKS", "Fault", "HostParameters", "Link", "Split"]
