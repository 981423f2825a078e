"""What a case has shown."""

from dataclasses import dataclass

__all__ = ["RULES", "Finding", "Outcome"]

RULES = {
    "link": "The device keeps to the rules of PCI Express and of streams.",
    "answer": "Every request of the host is answered in time.",
    "time": "A case comes to its end.",
    "reset": "A reset has ended in time.",
    "quiet": "Nothing is sent by a device whose reset has ended.",
    "expected": "What a right request asks for comes in time, with the right data.",
    "read": "Reads are of rings of enabled queues, of tables, and of readable buffers that were shown.",
    "write": "Writes are to used rings, events, writable buffers that were shown, and messages of vectors.",
    "ahead": "No more is used than was available, nor before it was read that it is.",
    "early": "Nothing is sent before the driver is ready.",
    "element": "A used index or flag follows the element that it speaks of.",
    "flags": "Flags of used descriptors are those of the device's turn.",
    "length": "A used length is no more than was written.",
    "used": "A used element is of a chain that is available.",
}
"""The rules, by name, each with a sentence."""


@dataclass(frozen=True)
class Finding:
    """A rule was broken. ``operation`` is the place in the case's operations that were being carried out:
    negative in its set-up, beyond the last one in its recovery and in the set-up that follows that."""

    rule: str
    """Its name, one word for all findings of the rule."""
    text: str
    """What has happened, with queue and address."""
    cycle: int
    operation: int


@dataclass(frozen=True)
class Outcome:
    """Of one case: no ``findings`` if all is well, and how many ``cycles`` it took."""

    findings: tuple[Finding, ...]
    cycles: int
