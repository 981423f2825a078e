"""The virtual function of a reference device: a network device that can be stopped, and takes its time.

Ref: virtio 1.4, 2.12.1.4; PCI Express Base 4.0, 9.
"""

from collections.abc import Callable
from typing import Any

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.net import NET_RECEIVE_QUEUE
from ringwalker.spec.pci import HEADER, PM_CAPABILITY, Command, PmControlStatus, PowerState
from ringwalker.spec.sr_iov import VF_BARS

from ...golden.config_space import put_register
from ...golden.function import Request
from ...golden.model_port import ModelPort
from ...golden.net import NetModel
from ...memory import GuestMemory

__all__ = ["MemberNet", "MemberPort"]

_LATENCY = 300
_RESET_CYCLES = 400
_FLR_CYCLES = 2_000
_POWER_CYCLES = 1_000


class MemberNet(NetModel):
    """The device. ``halted``: it was told to stop, and has; ``busy`` counts what it has yet to finish.

    ``clock()`` is the time in cycles.
    """

    clock: Callable[[], int] = lambda: 0

    def __init__(self, *options: Any, **named: Any):
        self.halting = False
        self.busy = 0
        self.rung: set[int] = set()
        self.resets_until = 0
        super().__init__(*options, **named)

    # --- stopping ------------------------------------------------------------------------------------------

    @property
    def halted(self) -> bool:
        """Whether it has stopped."""
        return self.halting and not self.busy

    @property
    def running(self) -> bool:
        """Whether it may use its queues."""
        return super().running and not self.halting

    def stop(self) -> None:
        """Take no more buffers."""
        self.halting = True

    def resume(self) -> None:
        """Work again, on what has become available meanwhile too."""
        self.halting = False
        for index in range(self.queue_count):
            self.server.doorbell(index)
        self._deliver()

    def take(self, queue: int, request: Request) -> None:
        """Take a buffer."""
        super().take(queue, request)
        if queue != NET_RECEIVE_QUEUE:
            self.busy += 1
            self.schedule(self.latency + 1, self._finished)

    def _finished(self) -> None:
        self.busy -= 1

    def _deliver(self) -> None:
        if not self.halting:
            super()._deliver()

    def changed(self) -> None:
        """The configuration has changed."""
        if not self.halting:
            super().changed()

    # --- resetting -----------------------------------------------------------------------------------------

    @property
    def resetting(self) -> bool:
        """Whether a reset is in progress."""
        return self.clock() < self.resets_until

    def read_status(self) -> int:
        """Read the device status byte, which is not 0 during a reset."""
        return 1 if self.resetting else super().read_status()

    def reset(self) -> None:
        """Restore the reset values, which takes a while."""
        self.resets_until = self.clock() + _RESET_CYCLES
        super().reset()


class MemberPort(ModelPort):
    """The function as a part of ``owner``, whose time, memory and interrupts it shares.

    ``away_until`` is when a function-level reset or a change of the power state is done, in cycles.
    """

    model: MemberNet

    def __init__(self, owner: ModelPort, memory: GuestMemory, bdf: int):
        self.owner = owner
        self.away_until = 0
        config = DeviceConfig(
            function="ringwalker_sim.testing.conform.admin_port:MEMBER",
            identity=Identity(preset="oasis", revision=1),
            data_width=64,
            ring="both",
        )
        super().__init__(config, memory, bdf=bdf, latency=_LATENCY)
        self.model.clock = self.now
        self._messages = owner._messages

    def now(self) -> int:
        """See :class:`ModelPort`."""
        return self.owner.now()

    async def sleep(self, cycles: int) -> None:
        """See :class:`ModelPort`."""
        await self.owner.sleep(cycles)

    def schedule(self, cycles: int, action: Callable[[], None]) -> None:
        """See :class:`ModelPort`."""
        self.owner.schedule(cycles, action)

    # --- configuration space -------------------------------------------------------------------------------

    @property
    def away(self) -> bool:
        """Whether it answers no access."""
        return self.now() < self.away_until

    @property
    def asleep(self) -> bool:
        """Whether it is in D3hot, where it decodes no memory."""
        place = self.space.layout.places["pm"] + PM_CAPABILITY.control_status.offset
        return self.space.read(place, 2) & PmControlStatus.POWER_STATE == PowerState.D3HOT

    def place(self, addresses: list[int], decodes: bool) -> None:
        """Set the base addresses, of which the function's own header shows nothing."""
        for index, address in enumerate(addresses):
            put_register(self.space.bytes, HEADER, f"bar{index}", address)
        command = self.space.command() & ~Command.MEMORY_ENABLE | (Command.MEMORY_ENABLE if decodes else 0)
        self.space.bytes[HEADER.command.offset] = command & 0xFF

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space: ids and base addresses are in the capability of the owner."""
        value = await super().config_read(bdf, offset, size)
        content = bytearray(value.to_bytes(size, "little"))
        for at in range(size):
            byte = offset + at
            if byte < 4 or self.away:
                content[at] = 0xFF
            elif HEADER.bar0.offset <= byte < HEADER.bar0.offset + 4 * VF_BARS:
                content[at] = 0
            elif byte == HEADER.command.offset:
                content[at] &= ~Command.MEMORY_ENABLE
        return int.from_bytes(content, "little")

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space; resets the function, or changes its power state."""
        if self.away:
            return
        slept = self.asleep
        decodes = self.space.command() & Command.MEMORY_ENABLE
        bars = HEADER.bar0.offset
        if not bars <= offset < bars + 4 * VF_BARS:
            await super().config_write(bdf, offset, size, value)
            self.space.bytes[HEADER.command.offset] |= decodes
        if slept and not self.asleep:
            self.away_until = max(self.away_until, self.now() + _POWER_CYCLES)

    def function_level_reset(self) -> None:
        """Reset the function, which takes a while; base addresses are the owner's."""
        self.away_until = self.now() + _FLR_CYCLES
        kept = slice(HEADER.bar0.offset, HEADER.bar0.offset + 4 * VF_BARS)
        bars = self.space.bytes[kept]
        self.model.resume()
        super().function_level_reset()
        self.space.bytes[kept] = bars

    def decodes(self, address: int, size: int) -> bool:
        """Whether it answers an access to memory."""
        return not self.asleep and self.space.locate(address, size) is not None

    def _read(self, address: int, size: int, io: bool) -> int:
        return (1 << 8 * size) - 1 if self.away else super()._read(address, size, io)

    def _write(self, address: int, size: int, value: int, io: bool) -> None:
        if not self.away:
            super()._write(address, size, value, io)
