"""Names of signals that explanations are about, as patterns."""

__all__ = [
    "CHAINS",
    "LANE",
    "LINES",
    "PACKED",
    "RING",
    "RUNS",
    "SHORT",
    "SPLIT",
    "completions",
    "counts",
    "left",
    "ports",
    "sent",
]

LANE = "core.walker.lane0"
RING = f"{LANE}.ring"
PACKED = f"{RING}.packed"
SPLIT = f"{RING}.split"
CHAINS = f"{LANE}.descriptors"
RUNS = f"{CHAINS}.lines.lines.reader"
SHORT = ("index", "ordered")
"""Readers of indices, flags and events."""
LINES = ("entry", "descriptor")
"""Readers of rings and tables."""


def left(*readers: str) -> tuple[str, ...]:
    """How many dwords are left of a read when a completion of it has come."""
    return tuple(
        f"{LANE}.{reader}_reader.completions.waiting.{name}"
        for reader in readers
        for name in ("left_before__data", "*data$*")
    )


def counts(*readers: str) -> tuple[str, ...]:
    """What counts the dwords of a read, in readers of these names."""
    names = (
        "open__dwords",
        "completions.position",
        "completions.waiting.waiting_[013]",
        "completions.waiting.*dwords",
    )
    return (*(f"{LANE}.{reader}_reader.{name}" for reader in readers for name in names), *left(*readers))


def completions(field: str, *readers: str) -> tuple[str, ...]:
    """A field of the completions that readers of these names get."""
    return tuple(
        f"{LANE}.{reader}_reader.completions.{name}__header__{field}"
        for reader in readers
        for name in ("beat", "taken")
    )


def ports(*readers: str) -> tuple[str, ...]:
    """The lengths, in bytes, that readers of these names are asked for."""
    return tuple(f"{LANE}.{reader}_reader.port__requests__payload__length" for reader in readers)


def sent(field: str, *readers: str) -> tuple[str, ...]:
    """A field of the requests that readers of these names send."""
    return tuple(f"{LANE}.{reader}_reader.requests__payload__header__{field}" for reader in readers)
