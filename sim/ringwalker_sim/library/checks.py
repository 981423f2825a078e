"""Arguments of operations, checked before time passes. Errors: :class:`~..errors.ParameterError`."""

from ..errors import ParameterError

__all__ = ["check_access", "check_integer"]

_SIZES = (1, 2, 4)


def check_integer(name: str, value: int, least: int, most: int | None = None) -> None:
    """See that ``value`` is an integer from ``least`` to ``most``, or without an end."""
    fits = isinstance(value, int) and value >= least and (most is None or value <= most)
    if not fits:
        wanted = f"from {least} up" if most is None else f"from {least} to {most}"
        raise ParameterError(f"{name} is {value!r}; it must be an integer {wanted}")


def check_access(offset: int, size: int, end: int) -> None:
    """See that ``size`` bytes at ``offset`` are one access, below ``end``."""
    if size not in _SIZES:
        raise ParameterError(f"size is {size!r}; it must be 1, 2 or 4")
    check_integer("offset", offset, 0, end - size)
    if offset % size:
        raise ParameterError(
            f"offset is {offset:#x}; it must be a multiple of {size}, the size of the access"
        )
