"""The parameters of the root complex and its link, in one validated value.

Ref: PCI Express Base 3.1, 2.3.1.1 (read completion boundary), 2.6.1 (credits), 7.8.4 (payload and read
request sizes).
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engine.peripherals import PERIPHERALS
from ..errors import ParameterError

__all__ = ["CREDIT_BYTES", "STREAMS", "Fault", "HostParameters", "LatencyShape", "Split"]

STREAMS = (
    *("completer_request", "completer_completion", "requester_request", "requester_completion"),
    *(name for kind in PERIPHERALS for name in kind.streams),
)
"""The streams between device and host that ``stalls`` can stall."""

CREDIT_BYTES = 16
"""Bytes of payload for each data credit."""


class Split(enum.IntEnum):
    """How a read is split into completions, always at multiples of the read completion boundary."""

    LARGEST = 0
    SMALLEST = 1
    RANDOM = 2


class LatencyShape(enum.IntEnum):
    """Distribution of the jitter of a read: uniform up to the jitter, or exponential with it as mean."""

    UNIFORM = 0
    LONG_TAIL = 1


class Fault(enum.IntEnum):
    """Faults of a read of the device."""

    UNSUPPORTED_REQUEST = 0
    COMPLETER_ABORT = 1
    POISONED = 2
    LOST = 3
    LATE = 4
    DOUBLED = 5
    """Its last completion comes twice."""
    OVERSIZED = 6
    """Its last completion has a dword more than was asked for."""
    WRONG_TAG = 7
    """It is answered with another tag."""
    UNEXPECTED = 8
    """Its last completion is followed by one with a tag that is not in use."""


def _check(condition: bool, name: str, value: object, wanted: str) -> None:
    if not condition:
        raise ParameterError(f"{name} is {value!r}; it must be {wanted}")


@dataclass(frozen=True)
class HostParameters:
    """The root complex. Errors: :class:`~ringwalker_sim.errors.ParameterError`.

    ``latency`` is in cycles from the arrival of a read request at the host to the first beat of its
    completion. ``latency_jitter``, distributed as ``latency_shape``, is added to it. ``max_payload``,
    ``max_read_request`` and ``read_completion_boundary`` are in bytes; the first two bound the device's
    requests too. With ``reorder`` completions of different tags overtake each other and interleave.
    ``completion_timeout`` is the number of cycles that the CPU waits for the device. ``device`` is the number
    of the device on the link: bus, device and function (8, 5 and 3 bits). ``storage_latency`` is in cycles
    from a storage command to its first beat.

    ``link_bytes_per_cycle`` limits each direction of the link (headers counted as in
    ``ringwalker_sim.host.link``). ``tags`` is the number of reads that may be in flight;
    ``posted_header_credits``, ``posted_data_credits`` (16 bytes each) and ``nonposted_header_credits`` are
    the credits of the device, each returned ``credit_return`` cycles after its use. 0 is no limit for all of
    these. TLPs without tag or credits wait in the port, where writes and completions overtake reads.

    With ``skip_idle`` the clock jumps over cycles in which device and host are idle. Events and their cycles
    are the same; waves or stalls disable it. ``stalls`` is the probability of a stall a cycle, for all
    streams, or by stream name. ``msi_window`` is the address range whose writes are interrupts.
    """

    latency: int = 125
    latency_jitter: int = 0
    latency_shape: LatencyShape = LatencyShape.UNIFORM
    max_payload: int = 256
    max_read_request: int = 512
    read_completion_boundary: int = 64
    reorder: bool = True
    split: Split = Split.LARGEST
    completion_timeout: int = 1_000_000
    device: int = 0x0100
    root_id: int = 0x0000
    storage_latency: int = 50
    link_bytes_per_cycle: float = 0.0
    tags: int = 0
    posted_header_credits: int = 0
    posted_data_credits: int = 0
    nonposted_header_credits: int = 0
    credit_return: int = 0
    skip_idle: bool = True
    stalls: float | Mapping[str, float] = 0.0
    msi_window: tuple[int, int] = field(default=(0xFEE0_0000, 0xFEEF_FFFF))

    def __post_init__(self):
        for name, low, high in (
            ("latency", 1, 10_000_000),
            ("latency_jitter", 0, 10_000_000),
            ("completion_timeout", 16, 1 << 40),
            ("device", 0, 0xFFFF),
            ("root_id", 0, 0xFFFF),
            ("storage_latency", 0, 10_000_000),
            ("tags", 0, 256),
            ("posted_header_credits", 0, 128),
            ("posted_data_credits", 0, 2048),
            ("nonposted_header_credits", 0, 128),
            ("credit_return", 0, 10_000_000),
        ):
            value = getattr(self, name)
            _check(
                isinstance(value, int) and low <= value <= high, name, value, f"an integer, {low} to {high}"
            )
        for name, low in (("max_payload", 128), ("max_read_request", 128)):
            value = getattr(self, name)
            ok = isinstance(value, int) and low <= value <= 4096 and value & (value - 1) == 0
            _check(ok, name, value, f"a power of two from {low} to 4096")
        credits = self.posted_data_credits
        enough = credits == 0 or credits * CREDIT_BYTES >= self.max_payload
        _check(enough, "posted_data_credits", credits, f"enough for {self.max_payload} bytes, or 0")
        boundary = self.read_completion_boundary
        _check(boundary in (64, 128), "read_completion_boundary", boundary, "64 or 128")
        _check(
            self.link_bytes_per_cycle == 0 or 0.01 <= self.link_bytes_per_cycle < 65536,
            "link_bytes_per_cycle",
            self.link_bytes_per_cycle,
            "0, or from 0.01 to less than 65536",
        )
        for name, value in self.stall_probabilities().items():
            _check(name in STREAMS, "stalls", name, f"one of {', '.join(STREAMS)}")
            _check(0 <= value < 1, f"stalls of {name}", value, "at least 0 and less than 1")

    def stall_probabilities(self) -> dict[str, float]:
        """The probability of a stall in a cycle, by stream."""
        if isinstance(self.stalls, Mapping):
            return {**dict.fromkeys(STREAMS, 0.0), **self.stalls}
        return dict.fromkeys(STREAMS, float(self.stalls))
