"""How often variables change, and which at the same time.

How often code runs that reads several of them depends on which change together. So what is known of a
variable is a number with a bit for every cycle that was watched: set where it changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Rates"]


@dataclass(frozen=True)
class Rates:
    """In which of ``cycles`` cycles each variable changed: bit n of its number is cycle n."""

    cycles: int
    changes: Mapping[str, int]

    def of(self, name: str) -> int:
        """The cycles of a variable; none for one that never changed or is not known."""
        return self.changes.get(name, 0)
