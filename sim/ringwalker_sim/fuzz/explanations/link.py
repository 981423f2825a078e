"""What packets between the device and its host never say."""

from ..explained import Explanation
from .names import LANE, completions

__all__ = ["LINK"]

LINK = (
    Explanation(("core.walker.*completer_id",), "It is the host that answers, and it has one number."),
    Explanation(
        ("core.walker.*requester_id",), "The device has one number, of which this is the lower half.", 0, 7
    ),
    Explanation(("core.walker.*requester_id",), "The device is on bus 1.", 9, 15),
    Explanation(
        ("core.walker.*header__target_id",),
        "Only requests of configurations have a target; the walker has none.",
    ),
    Explanation(
        ("core.walker.*__traffic_class", "core.walker.*__attributes"),
        "The device asks without them, and completions have those of their request.",
    ),
    Explanation(("core.walker.*header__tag",), "All reads in flight together have fewer than 32 tags.", 5, 7),
    Explanation(
        ("core.walker.*header__kind",), "The walker sends memory reads and memory writes only.", 1, 3
    ),
    Explanation(
        ("core.walker.completions__payload__header__status", *completions("status", "*")),
        "Retry is an answer to configuration requests only.",
        1,
        1,
    ),
    Explanation(
        ("core.walker.completions__payload__header__requester_id",),
        "Once it is known that the bus is number 1, that does not change.",
        8,
        8,
        way="fall",
    ),
    Explanation(
        tuple(
            f"{place}__header__{field}"
            for place in ("core.walker.posted__payload", f"{LANE}.posted_*")
            for field in ("poisoned", "requester_id")
        ),
        "The device poisons nothing, and its number is filled in at the edge.",
    ),
    Explanation(("core.walker.*header__address",), "The address of a packet is that of a dword.", 0, 1),
    Explanation(("core.walker.*header__byte_count",), "The device reads at most 512 bytes at once.", 10, 12),
)
