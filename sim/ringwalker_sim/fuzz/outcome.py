"""What a case has shown."""

from dataclasses import dataclass

__all__ = ["Finding", "Outcome"]


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
