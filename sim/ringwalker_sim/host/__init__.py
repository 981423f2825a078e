"""The host's side of the link: what the root complex does, as parameters."""

from .parameters import Fault, HostParameters, Split

__all__ = ["Fault", "HostParameters", "Split"]
