"""How faults are put into the rings of a golden model."""

from collections.abc import Callable
from typing import Any

from ...golden.rings import DeviceRing
from .fault import around

__all__ = ["drops", "of_method", "rings"]


def rings(change: Callable[[Any, Any], None]) -> Callable[[Any], None]:
    """``change(port, ring)`` is done to each ring when it is made."""

    def patch(port: Any) -> None:
        def made(make: Callable[[int], DeviceRing], index: int) -> DeviceRing:
            known = index in port.rings._rings
            ring = make(index)
            if not known:
                change(port, ring)
            return ring

        around(port.rings, "_ring", made)

    return patch


def of_method(name: str, wrapper: Callable[..., Any]) -> Callable[[Any], None]:
    """``wrapper(method, *arguments)`` in place of a method of each ring."""
    return rings(lambda _port, ring: around(ring, name, wrapper))


def drops(condition: Callable[[Any], bool]) -> Callable[[Any], None]:
    """Requests that are never answered."""

    def patch(port: Any) -> None:
        def take(method: Callable[..., None], queue: int, request: Any) -> None:
            if not condition(request):
                method(queue, request)

        around(port.model, "take", take)

    return patch
