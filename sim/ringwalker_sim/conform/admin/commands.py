"""The administration queue of the device under test. Ref: virtio 1.4, 2.12 and 2.13."""

from dataclasses import dataclass

from ringwalker.spec.admin import (
    AdminAnswer,
    AdminCapabilityHeader,
    AdminCommand,
    AdminGroup,
    AdminOpcode,
    AdminQualifier,
    AdminStatus,
    ResourceFlags,
    ResourceHeader,
)
from ringwalker.spec.features import Feature

from ...memory import Buffer, dtype_of
from ...struct_bytes import struct_bytes, struct_of
from ..check import Nonconformance, NotApplicable
from ..rings.queues import Piece, Queue
from ..subject import Subject

__all__ = ["Administration", "Answer", "bits_of"]

_HEAD = dtype_of(AdminAnswer).itemsize
_ROOM = 1024
"""Bytes for a result."""


@dataclass(frozen=True)
class Answer:
    """``status`` and ``qualifier`` of a command, and what the device has written as its ``result``."""

    status: int
    qualifier: int
    result: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the command was done."""
        return self.status == AdminStatus.OK

    @property
    def refuses_opcode(self) -> bool:
        """Whether it says that the command is not valid (which some statements call a status)."""
        return not self.ok and AdminQualifier.INVALID_OPCODE in (self.status, self.qualifier)

    def __str__(self) -> str:
        known = tuple(AdminStatus)
        name = AdminStatus(self.status).name if self.status in known else f"{self.status}"
        return f"status {name}, qualifier {self.qualifier}"

    def expect(self, clause: str, what: str, *statuses: AdminStatus) -> None:
        """Errors: :class:`Nonconformance` of ``clause`` unless it is one of ``statuses``, by default OK."""
        if self.status not in (statuses or (AdminStatus.OK,)):
            wanted = " or ".join(item.name for item in statuses or (AdminStatus.OK,))
            raise Nonconformance(clause, f"{what} ends with {self}, and not with {wanted}")

    def expect_failure(self, clause: str, what: str) -> None:
        """Errors: :class:`Nonconformance` of ``clause`` if the command was done."""
        if self.ok:
            raise Nonconformance(clause, f"{what} succeeds")


def bits_of(raw: bytes) -> set[int]:
    """The numbers of the bits that are set in 64-bit words."""
    return {8 * at + bit for at, byte in enumerate(raw) for bit in range(8) if byte >> bit & 1}


class Administration:
    """The first administration ``queue`` of a device that works. ``supported`` are the opcodes of each group
    that :meth:`use` was called for; all of them are in use then."""

    def __init__(self, subject: Subject, queue: Queue):
        self.subject = subject
        self.queue = queue
        self.supported: dict[int, set[int]] = {}

    @classmethod
    async def open(cls, subject: Subject, *features: int, queues: bool = False) -> "Administration":
        """Bring the device to DRIVER_OK with its first administration queue, and with all others if
        ``queues``; use all commands of the self group.

        Errors: :class:`NotApplicable` without ADMIN_VQ or one of ``features``, or without such a queue.
        """
        await subject.reset()
        await subject.negotiate(Feature.ADMIN_VQ, *features)
        if not await subject.common("admin_queue_num"):
            raise NotApplicable("there are 0 administration queues")
        await subject.enable_interrupts("msix" if subject.pci.has_msix else "none")
        for index in range(await subject.common("num_queues")) if queues else ():
            await subject.set_queue(index)
        queue = await subject.set_queue(await subject.common("admin_queue_index"))
        await subject.driver_ok()
        made = cls(subject, queue)
        await made.use(AdminGroup.SELF)
        return made

    async def use(self, group: AdminGroup) -> set[int]:
        """The opcodes that a group has, all of which are in use from then on; none for a group that there is
        not. Errors: :class:`NotApplicable` when the device does not accept its own list."""
        answer = await self.command(AdminOpcode.LIST_QUERY, group=group)
        found = bits_of(answer.result) & set(AdminOpcode) if answer.ok else set()
        if found:
            words = sum(1 << opcode for opcode in found).to_bytes(8, "little")
            answer = await self.command(AdminOpcode.LIST_USE, words, group=group)
            if not answer.ok:
                raise NotApplicable(f"LIST_USE of all commands of group {group} ends with {answer}")
        self.supported[group] = found
        return found

    def require(self, *opcodes: AdminOpcode, group: AdminGroup = AdminGroup.SELF) -> None:
        """Errors: :class:`NotApplicable` unless a group has all of ``opcodes``."""
        for opcode in opcodes:
            if opcode not in self.supported.get(group, ()):
                raise NotApplicable(f"there is no command {opcode.name} for group {group.name}")

    async def command(
        self,
        opcode: int,
        data: bytes = b"",
        *,
        group: int = AdminGroup.SELF,
        member: int = 0,
        room: int = _ROOM,
    ) -> Answer:
        """Send a command, and wait for its answer, for whose result there are ``room`` bytes."""
        sent = await self.send(opcode, data, group=group, member=member, room=room)
        return await self.answer(sent)

    async def send(
        self,
        opcode: int,
        data: bytes = b"",
        *,
        group: int = AdminGroup.SELF,
        member: int = 0,
        room: int = _ROOM,
    ) -> Buffer:
        """Send a command; the buffer of its answer."""
        head = struct_bytes(AdminCommand, opcode=opcode, group_type=group, group_member_id=member)
        content = (head + data).ljust(-(-len(head + data) // 8) * 8, b"\0")
        asked = self.subject.buffer(len(content), content)
        answered = self.subject.buffer(_HEAD + room)
        pieces = [Piece(asked.address, asked.length), Piece(answered.address, answered.length, True)]
        self.queue.offer(pieces)
        self.queue.publish()
        await self.subject.kick(self.queue)
        return answered

    async def answer(self, answered: Buffer) -> Answer:
        """Wait for the answer to the only command that was sent."""
        (used,) = await self.subject.used(self.queue, 1)
        raw = answered.array[: used.length].tobytes()
        row = struct_of(AdminAnswer, raw)
        return Answer(int(row["status"]), int(row["status_qualifier"]), raw[_HEAD:])

    # --- capabilities --------------------------------------------------------------------------------------

    async def capabilities(self) -> set[int]:
        """The ids of the device's capabilities; none where the device has no such commands."""
        if AdminOpcode.CAP_ID_LIST_QUERY not in self.supported[AdminGroup.SELF]:
            return set()
        answer = await self.command(AdminOpcode.CAP_ID_LIST_QUERY)
        answer.expect("core-16.01", "CAP_ID_LIST_QUERY")
        return bits_of(answer.result)

    async def get_capability(self, number: int) -> Answer:
        """DEVICE_CAP_GET."""
        return await self.command(
            AdminOpcode.DEVICE_CAP_GET, struct_bytes(AdminCapabilityHeader, id=number), room=4096
        )

    async def set_capability(self, number: int, content: bytes) -> Answer:
        """DRIVER_CAP_SET."""
        data = struct_bytes(AdminCapabilityHeader, id=number) + content
        return await self.command(AdminOpcode.DRIVER_CAP_SET, data)

    # --- resource objects ----------------------------------------------------------------------------------

    async def resource(
        self,
        opcode: AdminOpcode,
        kind: int,
        number: int,
        data: bytes = b"",
        *,
        group: int = AdminGroup.SELF,
        member: int = 0,
    ) -> Answer:
        """A command about resource object ``number`` of type ``kind``, with the object's own ``data``."""
        body = struct_bytes(ResourceHeader, type=kind, id=number)
        if opcode != AdminOpcode.RESOURCE_OBJ_DESTROY:
            body += struct_bytes(ResourceFlags) + data
        return await self.command(opcode, body, group=group, member=member)

    async def create(self, kind: int, number: int, data: bytes) -> Answer:
        """RESOURCE_OBJ_CREATE in the self group."""
        return await self.resource(AdminOpcode.RESOURCE_OBJ_CREATE, kind, number, data)

    async def modify(self, kind: int, number: int, data: bytes) -> Answer:
        """RESOURCE_OBJ_MODIFY in the self group."""
        return await self.resource(AdminOpcode.RESOURCE_OBJ_MODIFY, kind, number, data)

    async def query(self, kind: int, number: int) -> Answer:
        """RESOURCE_OBJ_QUERY in the self group."""
        return await self.resource(AdminOpcode.RESOURCE_OBJ_QUERY, kind, number)

    async def destroy(self, kind: int, number: int) -> Answer:
        """RESOURCE_OBJ_DESTROY in the self group."""
        return await self.resource(AdminOpcode.RESOURCE_OBJ_DESTROY, kind, number)
