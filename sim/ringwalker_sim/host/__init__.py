"""The host's side of the link: the parameters of the root complex."""

from .link import LINKS, Link
from .parameters import Fault, HostParameters, LatencyShape, Split

__all__ = ["LINKS", "Fault", "HostParameters", "LatencyShape", "Link", "Split"]
