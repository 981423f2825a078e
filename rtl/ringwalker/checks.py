"""Checks of values that a person has chosen, each with a message that says what would do."""

from .errors import RingwalkerError

__all__ = [
    "ConfigError",
    "check",
    "check_flag",
    "check_power",
    "check_range",
    "check_text",
    "is_integer",
    "one_line",
]


class ConfigError(RingwalkerError, ValueError):
    """A configuration that cannot be built; the message names the key, the value and what would do."""


def check(condition: bool, key: str, value: object, wanted: str) -> None:
    """Errors: :class:`ConfigError` unless ``condition``; ``wanted`` says what ``key`` has to be."""
    if not condition:
        raise ConfigError(f"{key} is {value!r}; it must be {wanted}")


def is_integer(value: object) -> bool:
    """Whether ``value`` is an integer and not a truth value, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_range(key: str, value: object, low: int, high: int) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is an integer from ``low`` to ``high``."""
    inside = isinstance(value, int) and is_integer(value) and low <= value <= high
    check(inside, key, value, f"an integer from {low} to {high}")


def check_power(key: str, value: object, low: int, high: int) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is a power of two from ``low`` to ``high``."""
    inside = isinstance(value, int) and is_integer(value) and low <= value <= high
    power = isinstance(value, int) and value & value - 1 == 0
    check(inside and power, key, value, f"a power of two from {low} to {high}")


def check_flag(key: str, value: object) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is true or false."""
    check(isinstance(value, bool), key, value, "true or false")


def check_text(key: str, value: object, choices: tuple[str, ...]) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is one of at least two strings."""
    quoted = [f'"{choice}"' for choice in choices]
    wanted = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    check(isinstance(value, str) and value in choices, key, value, wanted)


def one_line(error: BaseException) -> str:
    """An exception's class and message, without line ends."""
    return " ".join(f"{type(error).__name__}: {error}".split())
