"""A change of the text of a module."""

from dataclasses import dataclass

from ..errors import ParameterError

__all__ = ["Change"]


@dataclass(frozen=True)
class Change:
    """A change of the text of a module: ``new`` in the place of ``old``, which stands there once.

    ``says``: what is wrong then.
    """

    says: str
    old: str
    new: str

    def applied(self, text: str, where: str) -> str:
        """Errors: :class:`ParameterError` unless ``old`` is in ``text`` exactly once."""
        if text.count(self.old) != 1:
            raise ParameterError(f"{where} has {text.count(self.old)} times {self.old!r}, not once")
        return text.replace(self.old, self.new)
