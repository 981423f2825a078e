"""The capacity of a link: the cost of a TLP on the wire, and the rate that is left for TLPs.

Ref: Neugebauer et al., "Understanding PCIe performance for end host networking", SIGCOMM 2018, section 3;
PCI Express Base 3.1, 3.5.3.1 (acknowledge latency) and 4.2.7 (clock compensation). The costs include
framing, sequence number, LCRC and TLP header, with 64-bit addresses and without ECRC.
"""

from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError
from .parameters import HostParameters, Split

__all__ = ["COMPLETION_BYTES", "LINKS", "REQUEST_32_BYTES", "REQUEST_64_BYTES", "Link"]

_FRAMING = 8
"""Bytes of framing, sequence number and LCRC."""

REQUEST_64_BYTES = _FRAMING + 16
"""Bytes of a memory request with its four-dword header."""

REQUEST_32_BYTES = _FRAMING + 12
"""Bytes of a configuration or I/O request with its three-dword header."""

COMPLETION_BYTES = _FRAMING + 12
"""Bytes of a completion without its payload."""

_LANE_GBPS = {1: 2.5 * 8 / 10, 2: 5.0 * 8 / 10, 3: 8.0 * 128 / 130}
"""Gb/s of a lane after its line code, by generation."""
_INTERNAL_DELAY = {1: 19, 2: 70, 3: 115}
"""Internal delay of a receiver, in symbol times."""
_ACK_FACTOR = {
    128: {1: 1.4, 2: 1.4, 4: 1.4, 8: 2.5, 16: 3.0},
    256: {1: 1.4, 2: 1.4, 4: 1.4, 8: 2.5, 16: 3.0},
    512: {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0, 16: 2.0},
}
"""Packets of the largest payload for each acknowledge, by payload (above 512 as for 512) and lanes."""
_TLP_OVERHEAD = 28
_DLLP_BYTES = 8
_SKIP = 4 / 1538


@dataclass(frozen=True)
class Link:
    """A link: ``generation`` 1 to 3, ``lanes`` 1, 2, 4, 8 or 16, and the configured sizes.

    ``max_payload``, ``max_read_request`` and ``read_completion_boundary`` are in bytes. ``split`` is the way
    in which the host splits completions: at the payload limit (LARGEST) or at each boundary (SMALLEST).
    Errors: :class:`~ringwalker_sim.errors.ParameterError` that names the parameter and the value.
    """

    generation: int
    lanes: int
    max_payload: int = 256
    max_read_request: int = 512
    read_completion_boundary: int = 64
    split: Split = Split.LARGEST

    def __post_init__(self):
        for name, known in (
            ("generation", tuple(_LANE_GBPS)),
            ("lanes", tuple(_ACK_FACTOR[128])),
            ("max_payload", (128, 256, 512, 1024, 2048, 4096)),
            ("max_read_request", (128, 256, 512, 1024, 2048, 4096)),
            ("read_completion_boundary", (64, 128)),
            ("split", (Split.LARGEST, Split.SMALLEST)),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ParameterError(f"{name} is {value!r}; it must be one of {', '.join(map(str, known))}")

    @property
    def raw_gbps(self) -> float:
        """Gb/s in each direction after the line code."""
        return _LANE_GBPS[self.generation] * self.lanes

    @property
    def tlp_gbps(self) -> float:
        """Gb/s left for TLPs, with one acknowledge and one flow control update in each latency limit.

        The limit counts bytes where the specification counts symbol times, as the paper's model does.
        """
        factor = _ACK_FACTOR[min(self.max_payload, 512)][self.lanes]
        packets = (self.max_payload + _TLP_OVERHEAD) * factor / self.lanes
        limit = int(packets + _INTERNAL_DELAY[self.generation])
        return self.raw_gbps * (1 - 2 * _DLLP_BYTES / limit - _SKIP)

    @property
    def bytes_per_second(self) -> float:
        """Bytes of TLPs a second in each direction."""
        return self.tlp_gbps * 1e9 / 8

    def bytes_per_cycle(self, clock_mhz: float) -> float:
        """Bytes of TLPs in each direction in one cycle of the device's clock."""
        return self.bytes_per_second / (clock_mhz * 1e6)

    def host(
        self, clock_mhz: float, latency_ns: float = 550, jitter_ns: float = 0, **others: Any
    ) -> HostParameters:
        """The root complex on this link for a device with that clock; ``others`` as in HostParameters."""
        return HostParameters(
            latency=max(1, round(latency_ns * clock_mhz / 1000)),
            latency_jitter=round(jitter_ns * clock_mhz / 1000),
            max_payload=self.max_payload,
            max_read_request=self.max_read_request,
            read_completion_boundary=self.read_completion_boundary,
            split=self.split,
            link_bytes_per_cycle=self.bytes_per_cycle(clock_mhz),
            **others,
        )


LINKS = {"gen2x4": Link(2, 4), "gen3x8": Link(3, 8), "gen3x16": Link(3, 16)}
"""The links by name."""
