"""The media behind devices that live in this process: of the in-memory model, and of the native engine."""

from typing import Any

from ringwalker.spec.ids import DeviceType

from .medium import ConsoleMedium, Medium, NetMedium

__all__ = [
    "ModelCable",
    "ModelTerminal",
    "NativeCable",
    "NativeTerminal",
    "model_medium",
    "native_medium",
]


class ModelCable(NetMedium):
    """The other end of the cable of ``model``, a :class:`~..golden.net.NetModel`."""

    def __init__(self, model: Any):
        self.model = model
        self._frames: list[bytes] = []
        model.on_frame = self._frames.append

    async def send(self, frame: bytes) -> None:
        """See :meth:`NetMedium.send`."""
        self.model.receive(frame)

    async def received(self) -> list[bytes]:
        """See :meth:`NetMedium.received`."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    async def set_link(self, up: bool) -> bool:
        """See :meth:`NetMedium.set_link`."""
        self.model.set_link(up)
        return True


class NativeCable(NetMedium):
    """The other end of the cable of a device on the native engine; ``mac`` is the engine's peripheral."""

    def __init__(self, mac: Any):
        self.mac = mac
        mac.loopback(False)

    async def send(self, frame: bytes) -> None:
        """See :meth:`NetMedium.send`."""
        self.mac.send(frame)

    async def received(self) -> list[bytes]:
        """See :meth:`NetMedium.received`."""
        return self.mac.receive()

    async def set_link(self, up: bool) -> bool:
        """See :meth:`NetMedium.set_link`."""
        self.mac.set_link(up)
        return True


class ModelTerminal(ConsoleMedium):
    """The terminal of ``model``, a :class:`~..golden.console.ConsoleModel`."""

    def __init__(self, model: Any):
        self.model = model
        self._at = len(model.output)

    async def send(self, data: bytes) -> None:
        """See :meth:`ConsoleMedium.send`."""
        self.model.type(data)

    async def received(self) -> bytes:
        """See :meth:`ConsoleMedium.received`."""
        data = bytes(self.model.output[self._at :])
        self._at += len(data)
        return data

    async def resize(self, cols: int, rows: int) -> bool:
        """See :meth:`ConsoleMedium.resize`."""
        self.model.set_size(cols, rows)
        return True


class NativeTerminal(ConsoleMedium):
    """The terminal of a device on the native engine; ``uart`` is the engine's peripheral."""

    def __init__(self, uart: Any):
        self.uart = uart
        uart.loopback(False)

    async def send(self, data: bytes) -> None:
        """See :meth:`ConsoleMedium.send`."""
        self.uart.send(data)

    async def received(self) -> bytes:
        """See :meth:`ConsoleMedium.received`."""
        return self.uart.receive()

    async def resize(self, cols: int, rows: int) -> bool:
        """See :meth:`ConsoleMedium.resize`."""
        self.uart.set_terminal(cols, rows)
        return True


def model_medium(port: Any) -> Medium | None:
    """The medium behind the model of a :class:`~..golden.model_port.ModelPort`; None if it has none here."""
    kinds = {DeviceType.NET: ModelCable, DeviceType.CONSOLE: ModelTerminal}
    kind = kinds.get(port.model.device_type)
    return None if kind is None else kind(port.model)


def native_medium(port: Any) -> Medium | None:
    """The medium behind the device of a native port; None if it has none here."""
    ports = port.engine.ports
    if "mac" in ports:
        return NativeCable(ports.mac)
    if "uart" in ports:
        return NativeTerminal(ports.uart)
    return None
