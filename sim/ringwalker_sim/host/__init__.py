"""The host's side of the link: what the root complex does, as parameters."""

from .link import LINKS, Link
from .parameters import Fault, HostParameters, LatencyShape, Split

__all__ = ["LINKS", "Fault", "HostParameters", "LatencyShape", "Link", "Split"]
