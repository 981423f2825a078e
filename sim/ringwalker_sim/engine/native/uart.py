"""The terminal behind the device's UART port, as a part of the native engine."""

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from .abi import EventKind
from .peripheral import HANDLE, U32, U64, Functions, Peripheral

if TYPE_CHECKING:
    from .engine import NativeEngine

__all__ = ["UartPeripheral"]


class UartPeripheral(Peripheral):
    """Bytes to and from the device, and the size of the terminal, at first as configured.

    The device's bytes come back to it while :meth:`loopback` is on; otherwise they wait for :meth:`receive`,
    and a BYTES event announces them when the device pauses for 64 cycles or has sent 4096. Of those that
    nobody fetches the last MiB is kept. ``on_bytes``, when set, gets them while a guest runs.
    """

    functions: ClassVar[Functions] = {
        "rw_uart_send": (None, [HANDLE, ctypes.c_char_p, U64]),
        "rw_uart_size": (U64, [HANDLE]),
        "rw_uart_fetch": (None, [HANDLE, ctypes.c_char_p, U64]),
        "rw_uart_loopback": (None, [HANDLE, U32]),
        "rw_uart_terminal": (None, [HANDLE, U32, U32]),
    }
    event = EventKind.BYTES

    def __init__(self, engine: "NativeEngine"):
        super().__init__(engine)
        self.on_bytes: Callable[[bytes], None] | None = None
        settings: Any = getattr(engine.config, "settings", None)
        # A function of one's own may have a UART and no size of a terminal.
        if hasattr(settings, "cols") and hasattr(settings, "rows"):
            self.set_terminal(settings.cols, settings.rows)

    def notice(self) -> None:
        """Hand on what has come."""
        if self.on_bytes:
            self.on_bytes(self.receive())

    def send(self, data: bytes) -> None:
        """Queue bytes for the device, which takes them when it can."""
        self._call("rw_uart_send", bytes(data), len(data))

    def receive(self) -> bytes:
        """The device's bytes since the last call."""
        length = self._call("rw_uart_size")
        out = ctypes.create_string_buffer(length)
        self._call("rw_uart_fetch", out, length)
        return out.raw

    def loopback(self, on: bool) -> None:
        """Let the device's bytes come back to it, or not."""
        self._call("rw_uart_loopback", int(on))

    def set_terminal(self, cols: int, rows: int) -> None:
        """Drive the size of the terminal, in characters. Errors: ``ValueError`` beyond 1 to 65535."""
        for name, value in (("cols", cols), ("rows", rows)):
            if not 1 <= value <= 0xFFFF:
                raise ValueError(f"{name} is {value}; a terminal has 1 to 65535")
        self._call("rw_uart_terminal", cols, rows)
