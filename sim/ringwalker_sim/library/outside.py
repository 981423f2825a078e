"""What is on the other side of a device: the cable of a network card, the terminal of a console.

On engine ``native`` it is the peripheral behind the device's port, on ``model`` the golden model itself.
"""

from collections import deque
from typing import Any

__all__ = ["Cable", "Terminal"]


class Cable:
    """The cable of a network device: what it sends comes out here, what is sent here comes to the guest.

    Nothing is sent or received but while the device runs.
    """

    def __init__(self, port: Any, model: Any):
        self._model: Any = model
        self._mac: Any = None if model is not None else port.engine.ports.mac
        self._frames: deque[bytes] = deque()
        (self._mac if model is None else model).on_frame = self._frames.append

    def send(self, *frames: bytes) -> None:
        """Send frames to the device, in order."""
        for frame in frames:
            if self._mac is None:
                self._model.receive(frame)
            else:
                self._mac.send(frame)

    def receive(self) -> list[bytes]:
        """The frames that the device has sent since the last call, in order."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def loopback(self, on: bool) -> None:
        """Let the device's frames come back to it in place of coming out here, or not."""
        if self._mac is None:
            self._model.loopback = on
        else:
            self._mac.loopback(on)

    def set_link(self, up: bool) -> None:
        """Plug the cable in, or out."""
        (self._model if self._mac is None else self._mac).set_link(up)


class Terminal:
    """The terminal of a console: what the guest writes is shown here, what is typed here comes to it."""

    def __init__(self, port: Any, model: Any):
        self._model: Any = model
        self._uart: Any = None if model is not None else port.engine.ports.uart
        self._shown = bytearray()
        (self._uart if model is None else model).on_bytes = self._shown.extend

    def type(self, content: bytes) -> None:
        """Send bytes to the guest."""
        if self._uart is None:
            self._model.type(content)
        else:
            self._uart.send(content)

    def shown(self) -> bytes:
        """What the guest has written since the last call."""
        content = bytes(self._shown)
        self._shown.clear()
        return content

    def resize(self, cols: int, rows: int) -> None:
        """Change the size, in characters."""
        if self._uart is None:
            self._model.set_size(cols, rows)
        else:
            self._uart.set_terminal(cols, rows)
