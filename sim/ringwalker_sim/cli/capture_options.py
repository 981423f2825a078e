"""``--pcap`` and ``--tlp-pcap``: what passes a device, into files for Wireshark."""

import argparse
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import function_kind
from ringwalker.interfaces import MacPort

from ..captures.captures import Captures
from .options import UsageError, check_output

__all__ = ["add_capture_options", "capture_settings", "captures_of", "check_captures"]

_FRAMES, _TLPS = "--pcap", "--tlp-pcap"


def add_capture_options(group: Any, of: str = "", frames: bool = True) -> None:
    """Both options, ``of`` something; without ``frames`` the second alone."""
    if frames:
        text = f"write the frames of a network device{of}, both ways, as pcapng"
        group.add_argument(_FRAMES, metavar="FILE", help=text)
    text = f"write the TLPs of the link{of}, both ways, as pcapng (docs/captures.md)"
    group.add_argument(_TLPS, metavar="FILE", help=text)


def captures_of(options: argparse.Namespace) -> Captures:
    """What the options ask for. Errors: :class:`UsageError` for files that cannot be written."""
    captures = Captures(getattr(options, "pcap", None), options.tlp_pcap)
    for option, name in ((_FRAMES, captures.frames), (_TLPS, captures.tlps)):
        check_output(option, None if name is None else str(name))
        if name == "-":
            raise UsageError(f"{option} -: a capture is written to a file, or to a pipe such as /dev/stdout")
    if captures and captures.frames == captures.tlps:
        raise UsageError(f"{_TLPS} {captures.tlps}: {_FRAMES} writes the same file")
    return captures


def check_captures(captures: Captures, config: Any, engine: str = "native") -> Captures:
    """See that a device of ``config``, on ``engine``, has what ``captures`` want. Errors: UsageError."""
    if captures and engine != "native":
        option = _TLPS if captures.frames is None else _FRAMES
        raise UsageError(f"{option}: it is for engine native, not {engine}")
    if captures.frames is not None and not _has_mac(config):
        name = config.function if isinstance(config, DeviceConfig) else "the design"
        raise UsageError(f"{_FRAMES} {captures.frames}: {name} has no frames; {_TLPS} has its TLPs")
    return captures


def _has_mac(config: Any) -> bool:
    if not isinstance(config, DeviceConfig):
        return False
    ports = function_kind(config.function).ports(config).values()
    return any(port.is_signature and isinstance(port.signature, MacPort) for port in ports)


def capture_settings(settings: dict[str, Any]) -> Captures:
    """What the keys ``pcap`` and ``tlp-pcap`` of ``--device`` ask for. Errors: as :func:`captures_of`."""
    names = argparse.Namespace(pcap=settings.get("pcap"), tlp_pcap=settings.get("tlp-pcap"))
    return captures_of(names)
