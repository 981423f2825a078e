"""The device's side of administration commands: what every one has in common, and capabilities.

Ref: virtio 1.4, 2.12.1 (commands), 2.12.1.2 (capabilities).
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringwalker.spec.admin import (
    AdminAnswer,
    AdminCapabilityHeader,
    AdminCommand,
    AdminGroup,
    AdminOpcode,
    AdminQualifier,
    AdminStatus,
)

from ...golden.function import Request, Schedule
from ...memory import dtype_of
from ...struct_bytes import struct_bytes, struct_of

__all__ = ["AdminError", "AdminServer", "Capabilities", "Command", "Handler", "NotYet", "bitmap", "invalid"]

_COMMAND = dtype_of(AdminCommand).itemsize
_CAPABILITY = dtype_of(AdminCapabilityHeader).itemsize
_LISTS = {AdminOpcode.LIST_QUERY, AdminOpcode.LIST_USE}
_AGAIN = 50
"""Cycles until a command that has to wait is tried again."""


class AdminError(Exception):
    """A command fails, with a status and a qualifier."""

    def __init__(self, status: AdminStatus, qualifier: AdminQualifier = AdminQualifier.INVALID_COMMAND):
        super().__init__(status.name)
        self.status = status
        self.qualifier = qualifier


def invalid(qualifier: AdminQualifier = AdminQualifier.INVALID_FIELD) -> AdminError:
    """EINVAL."""
    return AdminError(AdminStatus.EINVAL, qualifier)


class NotYet(Exception):
    """A command has to wait for something. It has changed nothing so far."""


@dataclass(frozen=True)
class Command:
    """A command for member ``member`` of a group; ``room`` is there for its result."""

    opcode: int
    group: int
    member: int
    data: bytes
    room: int


Handler = Callable[[Command], bytes]
"""Carries a command out and gives its result. Errors: :class:`AdminError`, :class:`NotYet`."""


def bitmap(numbers: set[int]) -> bytes:
    """64-bit words in which the bits of these numbers are set."""
    words = max(numbers, default=0) // 64 + 1
    return sum(1 << number for number in numbers).to_bytes(8 * words, "little")


class AdminServer:
    """Answers commands in their order. ``handlers`` are those of each group by opcode, beside the lists.

    ``members(group)`` gives the member numbers of a group, None where there is no such group at present.
    """

    def __init__(self, schedule: Schedule, members: Callable[[int], range | None]):
        self.schedule = schedule
        self.members = members
        self.handlers: dict[int, dict[int, Handler]] = {group: {} for group in AdminGroup}
        self.used: dict[int, set[int]] = {}
        self._waiting: deque[Request] = deque()
        self.reset()

    def reset(self) -> None:
        """Only lists of commands are in use, and no command waits."""
        self.used = {group: set(_LISTS) for group in self.handlers}
        self._waiting.clear()

    def take(self, request: Request) -> None:
        """Take a command."""
        self._waiting.append(request)
        if len(self._waiting) == 1:
            self._next()

    def _next(self) -> None:
        while self._waiting:
            request = self._waiting[0]
            if request.live:
                try:
                    answer = self.answer(request.read().tobytes(), request.room)
                except NotYet:
                    self.schedule(_AGAIN, self._next)
                    return
                request.finish(answer[: request.room])
            if self._waiting:
                self._waiting.popleft()

    def answer(self, raw: bytes, room: int) -> bytes:
        """The answer to a command."""
        row = struct_of(AdminCommand, raw)
        head = dtype_of(AdminAnswer).itemsize
        opcode, group, member = (int(row[name]) for name in ("opcode", "group_type", "group_member_id"))
        try:
            command = Command(opcode, group, member, raw[_COMMAND:], max(0, room - head))
            return struct_bytes(AdminAnswer) + self.execute(command)
        except AdminError as error:
            return struct_bytes(AdminAnswer, status=error.status, status_qualifier=error.qualifier)

    def execute(self, command: Command) -> bytes:
        """Check and carry out a command; its result."""
        members = self.members(command.group)
        if members is None:
            raise invalid(AdminQualifier.INVALID_GROUP)
        handlers = self.handlers[command.group]
        if command.opcode not in self.used[command.group] or command.opcode not in _LISTS | handlers.keys():
            raise invalid(AdminQualifier.INVALID_OPCODE)
        if command.opcode == AdminOpcode.LIST_QUERY:
            return bitmap(_LISTS | handlers.keys())
        if command.opcode == AdminOpcode.LIST_USE:
            wanted = {bit for bit in range(8 * len(command.data)) if command.data[bit // 8] >> bit % 8 & 1}
            if wanted - _LISTS - handlers.keys():
                raise invalid()
            self.used[command.group] = wanted
            return b""
        if command.member not in members:
            raise invalid(AdminQualifier.INVALID_MEMBER)
        return handlers[command.opcode](command)


class Capabilities:
    """The capabilities of a device and of its driver. ``device`` has those of the device by id; ``driver``
    what the driver has set.

    ``valid[id](mine, wanted)`` says whether the driver may set one; ``in_use(id)`` whether resource objects
    depend on it.
    """

    def __init__(
        self,
        device: Mapping[int, bytes],
        valid: Mapping[int, Callable[[bytes, bytes], bool]],
        in_use: Callable[[int], bool],
    ):
        self.device = dict(device)
        self.driver: dict[int, bytes] = {}
        self.valid = dict(valid)
        self.in_use = in_use

    def reset(self) -> None:
        """The driver has set none."""
        self.driver.clear()

    def enabled(self, number: int) -> bool:
        """Whether the driver has set a capability to anything but zeroes."""
        return any(self.driver.get(number, b""))

    def handlers(self) -> dict[int, Handler]:
        """The commands about capabilities."""
        return {
            AdminOpcode.CAP_ID_LIST_QUERY: lambda _command: bitmap(set(self.device)),
            AdminOpcode.DEVICE_CAP_GET: lambda command: self.device[self._number(command)],
            AdminOpcode.DRIVER_CAP_SET: self.set,
        }

    def _number(self, command: Command) -> int:
        number = int(struct_of(AdminCapabilityHeader, command.data)["id"])
        if number not in self.device:
            raise AdminError(AdminStatus.ENXIO)
        return number

    def set(self, command: Command) -> bytes:
        """DRIVER_CAP_SET."""
        number = self._number(command)
        mine = self.device[number]
        wanted = command.data[_CAPABILITY:][: len(mine)].ljust(len(mine), b"\0")
        if not self.valid[number](mine, wanted):
            raise invalid()
        if self.in_use(number) and wanted != self.driver.get(number):
            raise AdminError(AdminStatus.EBUSY)
        self.driver[number] = wanted
        return b""
