"""A console in Python with several ports, as a reference for checks."""

from collections import deque
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import FunctionKind
from ringwalker.spec.console import (
    CONSOLE_CONFIG,
    CONSOLE_CONTROL_RECEIVE_QUEUE,
    CONSOLE_CONTROL_TRANSMIT_QUEUE,
    ConsoleEvent,
    ConsoleFeature,
)
from ringwalker.spec.ids import CLASS_CODES, DeviceType

from ...function.simulation import FunctionSimulation
from ...golden.console import ConsoleModel
from ...golden.function import Request, Schedule
from ...guest.console import console_driver

__all__ = ["KIND", "PORTS", "SIMULATION", "ReferenceConsole"]

PORTS = 3


class ReferenceConsole(ConsoleModel):
    """A console whose port 0 is the terminal. When the driver is ready it adds all ports, and once port 1 is
    ready, it takes that away and adds it again."""

    def __init__(self, schedule: Schedule, **options: Any):
        super().__init__(schedule, **options)
        self.queue_count = 2 * (PORTS + 1)
        self.features |= 1 << ConsoleFeature.MULTIPORT
        self.put("max_nr_ports", PORTS)
        self._room: deque[Request] = deque()
        self._messages: deque[bytes] = deque()
        self._replugged = False

    def reset(self) -> None:
        """Forget the ports."""
        super().reset()
        self._room.clear()
        self._messages.clear()
        self._replugged = False

    def take(self, queue: int, request: Request) -> None:
        """Take a buffer of a port or a control message."""
        if queue == CONSOLE_CONTROL_RECEIVE_QUEUE:
            self._room.append(request)
            self.schedule(self.latency, self._say)
        elif queue == CONSOLE_CONTROL_TRANSMIT_QUEUE:
            self.schedule(self.latency, lambda: self._hear(request))
        else:
            super().take(queue, request)

    def _hear(self, request: Request) -> None:
        if not request.live:
            return
        content = request.read().tobytes()
        request.finish()
        self.hear(int.from_bytes(content[:4], "little"), int.from_bytes(content[4:6], "little"))
        self._say()

    def hear(self, port: int, event: int) -> None:
        """React to a message of the driver."""
        if event == ConsoleEvent.DEVICE_READY:
            for each in range(PORTS):
                self.say(each, ConsoleEvent.DEVICE_ADD)
        elif event == ConsoleEvent.PORT_READY and port == 0:
            self.say(0, ConsoleEvent.CONSOLE_PORT)
        elif event == ConsoleEvent.PORT_READY and port == 1 and not self._replugged:
            self._replugged = True
            self.say(1, ConsoleEvent.DEVICE_REMOVE)
            self.say(1, ConsoleEvent.DEVICE_ADD)

    def say(self, port: int, event: ConsoleEvent, value: int = 1) -> None:
        """Send a message to the driver when it has a buffer."""
        words = (port.to_bytes(4, "little"), event.to_bytes(2, "little"), value.to_bytes(2, "little"))
        self._messages.append(b"".join(words))

    def _say(self) -> None:
        while self._room and self._messages:
            request = self._room.popleft()
            if request.live:
                request.finish(self._messages.popleft())


def _model(_config: DeviceConfig, schedule: Schedule, _disk: Any, **options: Any) -> ReferenceConsole:
    return ReferenceConsole(schedule, queue_size=64, **options)


def _no_hardware(_config: DeviceConfig) -> None:
    """There is none."""


KIND = FunctionKind(
    name="reference_console",
    device_type=DeviceType.CONSOLE,
    component=_no_hardware,
    class_code=CLASS_CODES[DeviceType.CONSOLE],
    queues=2 * (PORTS + 1),
    feature_bits=ConsoleFeature,
    device_config=CONSOLE_CONFIG,
    simulation=f"{__name__}:SIMULATION",
)
"""The reference as a function."""

SIMULATION = FunctionSimulation(driver=console_driver, model=_model)
