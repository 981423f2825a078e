"""Faults of consoles and entropy devices: a check finds each."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.console import ConsoleEvent

from .fault import Fault, around, nothing

__all__ = ["CONSOLE_FAULTS", "ENTROPY_FAULTS"]

Patch = Callable[[Any], Any]


def _grows(port: Any) -> None:
    model = port.model

    def write(write: Any, status: int) -> None:
        write(status)
        if model.running:
            model.put("cols", 132)

    around(model, "write_status", write)


def _breaks(port: Any) -> None:
    around(port.model, "written", lambda _written, _name: port.model.fail())


def _backwards(name: str) -> Patch:
    return lambda port: around(port.model, name, lambda call, data: call(data[::-1]))


def _also_says(port_number: int, event: ConsoleEvent) -> Patch:
    def patch(port: Any) -> None:
        model = port.model

        def hear(hear: Any, number: int, heard: int) -> None:
            hear(number, heard)
            if heard == ConsoleEvent.DEVICE_READY:
                model.say(port_number, event)

        around(model, "hear", hear)

    return patch


CONSOLE_FAULTS = [
    Fault(name, check, clause, patch)
    for name, check, clause, patch in (
        ("terminal that grows", "size_of_the_terminal_can_be_read", "core-04.01", _grows),
        (
            "emergency write that needs a driver",
            "emergency_write_needs_no_driver",
            "console-01.01",
            _breaks,
        ),
        (
            "emergency write without effect",
            "emergency_write_is_put_out",
            "console-01.02",
            lambda port: setattr(port.model, "written", nothing),
        ),
        ("output backwards", "output_comes_out", "core-06.01", _backwards("_out")),
        ("input backwards", "input_comes_in", "core-06.01", _backwards("type")),
        (
            "port that is added twice",
            "ports_are_added_and_removed_in_order",
            "console-02.01",
            _also_says(0, ConsoleEvent.DEVICE_ADD),
        ),
        (
            "port beyond the last",
            "ports_are_added_and_removed_in_order",
            "console-02.01",
            _also_says(3, ConsoleEvent.DEVICE_ADD),
        ),
        (
            "port that never was",
            "ports_are_added_and_removed_in_order",
            "console-02.02",
            _also_says(7, ConsoleEvent.DEVICE_REMOVE),
        ),
    )
]


def _source(give: Callable[[int], bytes]) -> Patch:
    """Random bytes become ``give(count)``."""

    def patch(port: Any) -> None:
        def take(_take: Any, _queue: int, request: Any) -> None:
            port.schedule(100, lambda: request.finish(give(request.room)))

        around(port.model, "take", take)

    return patch


def _dies(port: Any) -> None:
    """A buffer without room stops the device for ever."""
    dead: list[bool] = []

    def take(take: Any, queue: int, request: Any) -> None:
        dead.extend([True] if not request.room else [])
        if not dead:
            take(queue, request)

    around(port.model, "take", take)


ENTROPY_FAULTS = [
    Fault(name, check, "entropy-01.01", patch)
    for name, check, patch in (
        ("no bytes", "buffers_in_pieces_are_filled_with_random_bytes", _source(lambda _count: b"")),
        (
            "the same bytes after a while",
            "buffers_of_all_lengths_are_filled",
            _source(lambda count: bytes(at % 251 for at in range(count))),
        ),
        (
            "the same bytes in each buffer",
            "buffers_have_different_bytes",
            _source(lambda count: bytes(at % 251 for at in range(count))),
        ),
        ("readable buffer that stops the device", "readable_buffer_does_no_harm", _dies),
    )
]
