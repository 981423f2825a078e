"""The reference device with an administration queue: a function of PCI with one virtual function."""

import dataclasses
from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.admin import AdminGroup
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NET_CONFIG
from ringwalker.spec.pci import CONFIG_SPACE_BYTES
from ringwalker.spec.pci_extended import ExtendedHeader
from ringwalker.spec.sr_iov import SR_IOV_CAPABILITY, SR_IOV_ID, VF_BARS, SrIovControl

from ...golden.config_space import put_register
from ...golden.function import FunctionModel, Schedule
from ...golden.model_port import ModelPort
from ...memory import GuestMemory
from .admin_net import ADMIN_NET_QUEUES, AdminNet
from .member import MemberNet, MemberPort
from .parts import Parts
from .reference_net import KIND as REFERENCE
from .reference_net import SIMULATION

__all__ = ["MEMBER", "MEMBER_SIMULATION", "OWNER", "OWNER_SIMULATION", "AdminPort"]

_MEMBER_OFFSET = 1


def _model(kind: Callable[..., FunctionModel]) -> Callable[..., FunctionModel]:
    def make(config: DeviceConfig, schedule: Schedule, _disk: Any, **options: Any) -> FunctionModel:
        return kind(schedule, queue_size=config.queue_size, **options)

    return make


OWNER_SIMULATION = dataclasses.replace(SIMULATION, model=_model(AdminNet))
MEMBER_SIMULATION = dataclasses.replace(SIMULATION, model=_model(MemberNet))

OWNER = dataclasses.replace(
    REFERENCE, name="admin_net", queues=ADMIN_NET_QUEUES, simulation=f"{__name__}:OWNER_SIMULATION"
)
"""The owner as a function. It has no hardware."""

MEMBER = dataclasses.replace(
    REFERENCE,
    name="member_net",
    queues=3,
    device_config=NET_CONFIG,
    simulation=f"{__name__}:MEMBER_SIMULATION",
)
"""The member of its group as a function."""


class AdminPort(ModelPort):
    """A machine with the device. ``member`` is its virtual function, there while ``enabled``; ``parts``
    are the commands about it."""

    def __init__(self, memory: GuestMemory):
        config = DeviceConfig(
            function=f"{__name__}:OWNER",
            identity=Identity(preset="oasis", revision=1),
            data_width=64,
            ring="both",
        )
        super().__init__(config, memory)
        self._sr_iov = len(self.space.bytes)
        assert self._sr_iov == CONFIG_SPACE_BYTES
        self.member = MemberPort(self, memory, self.bdf + _MEMBER_OFFSET)
        self.enabled = False
        self._add_capability()
        self.parts = Parts(self.member, self.model.capabilities)
        self.model.members = lambda: range(1, 2) if self.enabled else None
        self.model.parts = self.parts.resources
        self.model.admin.handlers[AdminGroup.SR_IOV] |= self.parts.handlers()

    def _add_capability(self) -> None:
        size = SR_IOV_CAPABILITY.size
        for content in (self.space.bytes, self.space.writable, self.space.w1c):
            content.extend(bytes(size))
        version = int(ExtendedHeader.VERSION) & -int(ExtendedHeader.VERSION)
        reset = {
            "header": SR_IOV_ID | version,
            "initial_vfs": 1,
            "total_vfs": 1,
            "first_offset": _MEMBER_OFFSET,
            "stride": 1,
            "vf_device_id": 0x1040 + DeviceType.NET,
            "supported_page_sizes": 1,
            "system_page_size": 1,
        }
        control = SrIovControl.VF_ENABLE | SrIovControl.VF_MEMORY_ENABLE
        writable = {"control": control, "num_vfs": 1, "system_page_size": 0xFFFF_FFFF}
        for index, bar in self.member.space.bars.items():
            writable[f"vf_bar{index}"] = bar.address_bits
            reset[f"vf_bar{index}"] = 4 if bar.is_64 else 0
            if bar.is_64:
                writable[f"vf_bar{index + 1}"] = 0xFFFF_FFFF
        for name, value in reset.items():
            put_register(self.space.bytes, SR_IOV_CAPABILITY, name, value, self._sr_iov)
        for name, value in writable.items():
            put_register(self.space.writable, SR_IOV_CAPABILITY, name, value, self._sr_iov)

    def _register(self, name: str) -> int:
        row = SR_IOV_CAPABILITY[name]
        return self.space.read(self._sr_iov + row.offset, row.size)

    def _update(self) -> None:
        """The capability was written: whether there is a virtual function, and where."""
        control, before = self._register("control"), self.enabled
        self.enabled = bool(control & SrIovControl.VF_ENABLE and self._register("num_vfs"))
        addresses = [self._register(f"vf_bar{n}") for n in range(VF_BARS)]
        self.member.place(addresses, bool(control & SrIovControl.VF_MEMORY_ENABLE))
        if before and not self.enabled:
            self.member.function_level_reset()

    def _decoder(self, address: int, size: int) -> ModelPort | None:
        """The virtual function if it answers an access to memory."""
        return self.member if self.enabled and self.member.decodes(address, size) else None

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space."""
        if bdf == self.member.bdf and self.enabled:
            return await self.member.config_read(bdf, offset, size)
        return await super().config_read(bdf, offset, size)

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        if bdf == self.member.bdf and self.enabled:
            await self.member.config_write(bdf, offset, size, value)
            return
        await super().config_write(bdf, offset, size, value)
        if offset >= self._sr_iov:
            self._update()

    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space."""
        member = self._decoder(address, size)
        if member is not None:
            return await member.memory_read(address, size)
        return await super().memory_read(address, size)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space."""
        member = self._decoder(address, size)
        if member is not None:
            await member.memory_write(address, size, value)
        else:
            await super().memory_write(address, size, value)
