"""The first virtual function of the device under test, and commands of its owner about it.

Ref: virtio 1.4, 2.12 (SR-IOV group), 2.12.1.4 (device parts); PCI Express Base 4.0, 9.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from ringwalker.spec.admin import AdminCapability, AdminGroup, AdminOpcode, AdminResource
from ringwalker.spec.device_parts import (
    DevPart,
    DevPartHeader,
    DevPartsCapability,
    DevPartsGet,
    DevPartsMetadata,
    DevPartsObject,
    DevPartsObjectType,
    DevPartsSelector,
)
from ringwalker.spec.features import Feature
from ringwalker.spec.pci import CONFIG_SPACE_BYTES, EXTENDED_CONFIG_SPACE_BYTES, BarType, Command
from ringwalker.spec.pci_extended import ExtendedHeader
from ringwalker.spec.sr_iov import SR_IOV_CAPABILITY, SR_IOV_ID, VF_BARS, SrIovControl

from ...guest.errors import BindError, VirtioError
from ...guest.pci import PciDevice
from ...guest.pci_bars import Bar
from ...memory import dtype_of
from ...struct_bytes import struct_bytes, struct_of
from ..check import Nonconformance, NotApplicable, Way
from ..subject import Subject
from .commands import Administration, Answer

__all__ = ["GET_OBJECT", "PARTS_COMMANDS", "SET_OBJECT", "Member", "Part", "member_of", "parts_bytes"]

PARTS_COMMANDS = (
    AdminOpcode.RESOURCE_OBJ_CREATE,
    AdminOpcode.RESOURCE_OBJ_MODIFY,
    AdminOpcode.RESOURCE_OBJ_QUERY,
    AdminOpcode.RESOURCE_OBJ_DESTROY,
    AdminOpcode.DEV_PARTS_METADATA_GET,
    AdminOpcode.DEV_PARTS_GET,
    AdminOpcode.DEV_PARTS_SET,
    AdminOpcode.DEV_MODE_SET,
)
"""The commands about device parts, which come together."""

GET_OBJECT, SET_OBJECT = 0, 1
"""Numbers of the resource objects of the checks, one for each purpose."""

_FIRST = 1
"""The number of the first member."""
_HEADER = dtype_of(DevPartHeader).itemsize
_LIST_HEAD = 8
_SIZE_BITS = ~0xF


@dataclass(frozen=True)
class Part:
    """A device part: ``type``, ``flags``, ``selector`` (an offset, or the index of a queue) and ``value``;
    ``length`` is what its header says."""

    type: int
    flags: int
    selector: int
    value: bytes
    length: int

    @property
    def header(self) -> bytes:
        """The header."""
        return struct_bytes(
            DevPartHeader,
            part_type=self.type,
            flags=self.flags,
            selector=self.selector,
            length=self.length,
        )

    @property
    def name(self) -> str:
        """The type and what it selects."""
        known = self.type in tuple(DevPart)
        name = DevPart(self.type).name if known else f"part type {self.type:#x}"
        return f"{name} {self.selector}" if self.selector else name

    def holding(self, value: bytes) -> "Part":
        """The same with another value."""
        return replace(self, value=value, length=len(value))

    @classmethod
    def parse(cls, raw: bytes, valued: bool) -> list["Part"]:
        """All parts, or only their headers, in an answer. Errors: ``ValueError`` for one that is cut off."""
        found, at = [], 0
        while at < len(raw):
            row = struct_of(DevPartHeader, raw[at:])
            length = int(row["length"])
            value = raw[at + _HEADER : at + _HEADER + length] if valued else b""
            if at + _HEADER > len(raw) or (valued and len(value) < length):
                raise ValueError(f"the part at byte {at} is cut off")
            found.append(cls(int(row["part_type"]), int(row["flags"]), int(row["selector"]), value, length))
            at += _HEADER + len(value)
        return found


def parts_bytes(parts: Sequence[Part]) -> bytes:
    """Parts as a command carries them."""
    return b"".join(part.header + part.value for part in parts)


async def _find_capability(pci: PciDevice) -> int:
    """The offset of the SR-IOV capability. Errors: :class:`NotApplicable`."""
    at, seen = CONFIG_SPACE_BYTES, set()
    while CONFIG_SPACE_BYTES <= at < EXTENDED_CONFIG_SPACE_BYTES and at not in seen:
        seen.add(at)
        header = await pci.port.config_read(pci.bdf, at, 4)
        if header & ExtendedHeader.ID == SR_IOV_ID:
            return at
        at = header >> 20 & ~0b11
    raise NotApplicable("the function has no SR-IOV capability")


class Member:
    """Member 1 of the SR-IOV group of the device behind ``admin``: its function ``pci``, and ``subject``, the
    device there, which has not been touched yet."""

    def __init__(self, admin: Administration, place: int):
        self.admin = admin
        self.owner = admin.subject.pci
        self.place = place
        self.pci: PciDevice
        self.subject: Subject

    async def _read(self, name: str) -> int:
        return await self.owner.read(SR_IOV_CAPABILITY[name], self.place)

    async def _write(self, name: str, value: int) -> None:
        await self.owner.write(SR_IOV_CAPABILITY[name], value, self.place)

    # --- the function --------------------------------------------------------------------------------------

    async def enable(self) -> None:
        """Enable one virtual function and find it. Errors: :class:`NotApplicable`."""
        if not await self._read("total_vfs"):
            raise NotApplicable("there are 0 virtual functions")
        bars = await self._bars(await self._read("total_vfs"))
        await self._write("num_vfs", 1)
        await self._write("control", SrIovControl.VF_ENABLE | SrIovControl.VF_MEMORY_ENABLE)
        await self.admin.subject.settle()
        bdf = self.owner.bdf + await self._read("first_offset")
        self.pci = PciDevice(self.owner.port, bdf, {bar.index: bar for bar in bars})
        self.pci.id = replace(self.owner.id, device=await self._read("vf_device_id"))
        await self.pci.set_command(Command.BUS_MASTER_ENABLE)
        await self.pci.walk_capabilities()
        owner = self.admin.subject
        self.subject = Subject(self.pci, Way.SPLIT, timing=owner.timing)
        try:
            await self.subject.find()
        except VirtioError as error:
            raise NotApplicable(f"the virtual function is no virtio device: {error}") from None

    async def _bars(self, count: int) -> list[Bar]:
        """The BARs of the first virtual function, placed at the upper ends of the address ranges."""
        found, index = [], 0
        port = self.owner.port
        ends = {True: port.mmio64.stop, False: port.mmio32.stop}
        while index < VF_BARS:
            low = f"vf_bar{index}"
            before = await self._read(low)
            await self._write(low, 0xFFFF_FFFF)
            mask = await self._read(low)
            is_64, high = bool(mask & BarType.MEMORY_64), f"vf_bar{index + 1}"
            full, above = mask & _SIZE_BITS & 0xFFFF_FFFF | ~0xFFFF_FFFF, 0
            if is_64:
                above = await self._read(high)
                await self._write(high, 0xFFFF_FFFF)
                full = mask & _SIZE_BITS & 0xFFFF_FFFF | await self._read(high) << 32 | ~((1 << 64) - 1)
            size = -full if mask & _SIZE_BITS else 0
            address = before & _SIZE_BITS | above << 32
            if size and not address and len(port.mmio32):
                wide = is_64 and len(port.mmio64) > 0
                address = ends[wide] = (ends[wide] - size * count) & -size
            await self._write(low, address & 0xFFFF_FFFF)
            if is_64:
                await self._write(high, address >> 32)
            if size:
                found.append(Bar(index, size, False, is_64, False, address))
            index += 2 if is_64 else 1
        return found

    async def reset_function(self) -> bool:
        """Begin a function-level reset; False for a function without one."""
        try:
            await self.pci.function_level_reset()
        except BindError:
            return False
        return True

    async def disable(self) -> None:
        """Let the virtual function work on, reset it, and take it away."""
        with contextlib.suppress(VirtioError, Nonconformance, NotApplicable):
            if AdminOpcode.DEV_MODE_SET in self.admin.supported.get(AdminGroup.SR_IOV, ()):
                await self.set_mode(stopped=False)
            await self.subject.close()
        await self._write("control", 0)

    # --- commands about it ---------------------------------------------------------------------------------

    async def command(self, opcode: AdminOpcode, data: bytes = b"", room: int = 4096) -> Answer:
        """A command of the SR-IOV group about the member."""
        return await self.admin.command(opcode, data, group=AdminGroup.SR_IOV, member=_FIRST, room=room)

    async def create_objects(self) -> None:
        """Set the capability, and create an object for each purpose. Errors: :class:`NotApplicable`."""
        content = await self.admin.get_capability(AdminCapability.DEV_PARTS)
        limits = struct_of(DevPartsCapability, content.result)
        if not content.ok or not limits["get_limit"] or not limits["set_limit"]:
            raise NotApplicable("the device offers no objects to get or to set parts")
        answer = await self.admin.set_capability(AdminCapability.DEV_PARTS, content.result)
        answer.expect("core-16.02", "DRIVER_CAP_SET of DEV_PARTS as it is offered")
        for number, purpose in (
            (GET_OBJECT, DevPartsObjectType.GET),
            (SET_OBJECT, DevPartsObjectType.SET),
        ):
            answer = await self.admin.resource(
                AdminOpcode.RESOURCE_OBJ_CREATE,
                AdminResource.DEV_PARTS,
                number,
                struct_bytes(DevPartsObject, type=purpose),
                group=AdminGroup.SR_IOV,
                member=_FIRST,
            )
            answer.expect("core-17.09", f"creating an object to {purpose.name.lower()} device parts")

    async def set_mode(self, stopped: bool) -> Answer:
        """DEV_MODE_SET."""
        return await self.command(AdminOpcode.DEV_MODE_SET, bytes([stopped]))

    async def stop_meanwhile(self, work: Callable[[], Awaitable[None]]) -> None:
        """Stop it; ``work()`` runs while the command is on its way."""
        admin, opcode = self.admin, AdminOpcode.DEV_MODE_SET
        sent = await admin.send(opcode, bytes([1]), group=AdminGroup.SR_IOV, member=_FIRST)
        await work()
        answer = await admin.answer(sent)
        answer.expect("core-18.21", "DEV_MODE_SET that stops the device")

    async def stop(self) -> None:
        """Stop it."""
        (await self.set_mode(True)).expect("core-18.21", "DEV_MODE_SET that stops the device")

    async def resume(self) -> None:
        """Let it work again."""
        (await self.set_mode(False)).expect("core-18.22", "DEV_MODE_SET that resumes the device")

    def _object(self, number: int, selected: int | None = None) -> bytes:
        head = AdminResource.DEV_PARTS.to_bytes(4, "little") + number.to_bytes(4, "little")
        return head if selected is None else head + struct_bytes(DevPartsSelector, type=selected)

    async def metadata(self, kind: DevPartsMetadata, clause: str) -> Answer:
        """DEV_PARTS_METADATA_GET."""
        answer = await self.command(AdminOpcode.DEV_PARTS_METADATA_GET, self._object(GET_OBJECT, kind))
        answer.expect(clause, f"DEV_PARTS_METADATA_GET of type {kind.name}")
        return answer

    async def headers(self, clause: str) -> list[Part]:
        """All parts without values, by their metadata."""
        answer = await self.metadata(DevPartsMetadata.LIST, clause)
        return self._parsed(answer.result[_LIST_HEAD:], False, clause)

    async def parts(self, clause: str, selected: Sequence[Part] | None = None) -> list[Part]:
        """DEV_PARTS_GET: all parts, or those that are ``selected``."""
        kind = DevPartsGet.ALL if selected is None else DevPartsGet.SELECTED
        data = self._object(GET_OBJECT, kind) + b"".join(part.header for part in selected or ())
        answer = await self.command(AdminOpcode.DEV_PARTS_GET, data)
        answer.expect(clause, "DEV_PARTS_GET")
        return self._parsed(answer.result, True, clause)

    def _parsed(self, raw: bytes, valued: bool, clause: str) -> list[Part]:
        try:
            return Part.parse(raw, valued)
        except ValueError as error:
            raise Nonconformance(clause, f"{error} in an answer of {len(raw)} bytes") from None

    async def set_parts(self, parts: Sequence[Part]) -> Answer:
        """DEV_PARTS_SET."""
        return await self.command(AdminOpcode.DEV_PARTS_SET, self._object(SET_OBJECT) + parts_bytes(parts))


@contextlib.asynccontextmanager
async def member_of(subject: Subject, *, objects: bool = True) -> AsyncIterator[Member]:
    """The first virtual function of a device with an administration queue, for the time of a block; with
    ``objects`` to get and to set its parts. Errors: :class:`NotApplicable` without commands about parts."""
    place = await _find_capability(subject.pci)
    features = [Feature.SR_IOV] if subject.offers(Feature.SR_IOV) else []
    admin = await Administration.open(subject, *features)
    member = Member(admin, place)
    try:
        await member.enable()
        await admin.use(AdminGroup.SR_IOV)
        if objects:
            admin.require(*PARTS_COMMANDS, group=AdminGroup.SR_IOV)
            await member.create_objects()
        yield member
    finally:
        await member.disable()
