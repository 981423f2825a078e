"""The terminal behind the device's UART port, as a part of the native engine."""

import ctypes
from typing import Any

__all__ = ["UartMethods"]


class UartMethods:
    """Bytes to and from the device, and the size of the terminal. For a device that has a UART port.

    The device's bytes come back to it while :meth:`uart_loopback` is on; otherwise they wait for
    :meth:`uart_receive`, and a BYTES event tells of them when the device pauses for 64 cycles or has
    sent 4096. Of those that nobody fetches the last MiB is kept.
    """

    _library: Any

    def _open(self) -> int:
        raise NotImplementedError

    def uart_send(self, data: bytes) -> None:
        """Queue bytes for the device, which takes them when it can."""
        self._library.rw_uart_send(self._open(), bytes(data), len(data))

    def uart_receive(self) -> bytes:
        """The device's bytes since the last call."""
        handle = self._open()
        length = self._library.rw_uart_size(handle)
        out = ctypes.create_string_buffer(length)
        self._library.rw_uart_fetch(handle, out, length)
        return out.raw

    def uart_loopback(self, on: bool) -> None:
        """Let the device's bytes come back to it, or not."""
        self._library.rw_uart_loopback(self._open(), int(on))

    def set_terminal(self, cols: int, rows: int) -> None:
        """Drive the size of the terminal, in characters. Errors: ``ValueError`` beyond 1 to 65535."""
        for name, value in (("cols", cols), ("rows", rows)):
            if not 1 <= value <= 0xFFFF:
                raise ValueError(f"{name} is {value}; a terminal has 1 to 65535")
        self._library.rw_terminal(self._open(), cols, rows)
