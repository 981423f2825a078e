"""The common configuration in Amaranth's simulator, and writes of its registers by name."""

from ringwalker.spec.modern import COMMON

from .inprocess import Bench

__all__ = ["CommonRegisters"]

_SETTLES = 5


class CommonRegisters(Bench):
    """A bench of :class:`~ringwalker.transport.common_config.CommonConfig`, which the test makes."""

    async def write(self, name: str, value: int) -> None:
        """Write a register, and wait until it has had its effect."""
        register = COMMON[name]
        lane = register.offset % 4
        strobe = ((1 << register.size) - 1) << lane
        item = {"offset": register.offset & ~3, "write": 1, "strobe": strobe, "data": value << 8 * lane}
        self.put("registers.requests", item)
        await self.until(lambda: not self.pending("registers.requests"))
        await self.cycles(_SETTLES)

    async def begin(self, features: int, status: int) -> None:
        """Accept ``features``, and write ``status``."""
        for word in range(2):
            await self.write("driver_feature_select", word)
            await self.write("driver_feature", features >> 32 * word & 0xFFFF_FFFF)
        await self.write("device_status", status)
