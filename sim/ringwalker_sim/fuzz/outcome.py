"""What a case has shown."""

from dataclasses import dataclass

__all__ = ["RULES", "Finding", "Outcome"]

RULES = {
    "link": "The device keeps to the rules of PCI Express and of streams.",
    "answer": "Every request of the host is answered in time.",
    "time": "A case comes to its end.",
    "reset": "A reset has ended in time.",
    "expected": "What a right request asks for comes in time, with the right data.",
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
