"""The PCI function of a device, as software finds it."""

from typing import Any

from ringwalker.function.kind import FunctionKind
from ringwalker.spec.pci import EXTENDED_CONFIG_SPACE_BYTES, CapabilityId

from ..guest.pci import Capability, PciDevice
from ..guest.pci_bars import Bar
from ..lspci.config_space import decode, format_function, hex_dump
from ..workload.job import describe
from .checks import check_access
from .operation import Operation, Runner
from .tables import html_table, page

__all__ = ["ConfigSpace", "PciFunction"]


class ConfigSpace:
    """Configuration space as it was at one moment: ``content``, 256 or 4096 bytes, and ``fields``, its
    registers and capabilities as nested dicts of numbers. As text it is what ``lspci -vvv`` shows.
    """

    def __init__(self, described: dict[str, Any], kind: FunctionKind | None = None):
        self.content = bytes.fromhex(described["config"])
        self._bdf = described["bdf"]
        sizes = {int(index): size for index, size in described["bars"].items()}
        self.fields: dict[str, Any] = decode(self.content, sizes, self._bdf, described["rom"])
        self._kind = kind

    @property
    def header(self) -> dict[str, int]:
        """The registers of the header by name."""
        return self.fields["header"]

    @property
    def capabilities(self) -> list[dict[str, Any]]:
        """The capabilities in their order, each with ``kind``, ``offset``, and its registers by name."""
        return self.fields["capabilities"]

    def dump(self) -> str:
        """The bytes as ``lspci -xxx`` prints them."""
        return hex_dump(self.content, self._bdf)

    def __bytes__(self) -> bytes:
        return self.content

    def __str__(self) -> str:
        return format_function(self.fields, self._kind)

    def __repr__(self) -> str:
        return f"<configuration space of {self.fields['slot']}, {len(self.content)} bytes>"

    def _repr_html_(self) -> str:
        """The lines of lspci: one row each, capabilities with what is below them."""
        first, *lines = str(self).rstrip("\n").split("\n")
        rows: list[list[str]] = []
        for line in lines:
            name, _, text = line.strip().partition(": ")
            if line.startswith("\t\t"):
                rows[-1][1] += f"; {line.strip()}"
            else:
                rows.append([name, text])
        return page(first, html_table(rows))


class PciFunction:
    """A PCI function: configuration space, capabilities and BARs. Offsets and sizes are in bytes."""

    def __init__(self, runner: Runner, device: PciDevice, kind: FunctionKind):
        self._runner = runner
        self.device = device
        """The guest's object, whose coroutines :meth:`.Device.run` runs."""
        self._kind = kind

    @property
    def name(self) -> str:
        """``bus:device.function``."""
        return self.device.name

    @property
    def vendor_id(self) -> int:
        """The vendor."""
        return self.device.id.vendor

    @property
    def device_id(self) -> int:
        """The vendor's number for the device."""
        return self.device.id.device

    @property
    def bars(self) -> dict[int, Bar]:
        """The base address registers by index, with their addresses and sizes."""
        return dict(self.device.bars)

    @property
    def capabilities(self) -> list[Capability]:
        """The capabilities in the order of the list: ids and offsets."""
        return list(self.device.capabilities)

    @Operation
    async def read(self, offset: int, size: int = 4) -> int:
        """Read ``size`` bytes, 1, 2 or 4, of configuration space."""
        check_access(offset, size, EXTENDED_CONFIG_SPACE_BYTES)
        return await self.device.port.config_read(self.device.bdf, offset, size)

    @Operation
    async def write(self, offset: int, value: int, size: int = 4) -> None:
        """Write ``size`` bytes, 1, 2 or 4, of configuration space."""
        check_access(offset, size, EXTENDED_CONFIG_SPACE_BYTES)
        await self.device.port.config_write(self.device.bdf, offset, size, value)

    @Operation
    async def config_space(self) -> ConfigSpace:
        """All of configuration space, read now."""
        return ConfigSpace(await describe(self.device), self._kind)

    @Operation
    async def bar_read(self, index: int, offset: int, size: int = 4) -> int:
        """Read ``size`` bytes, 1, 2 or 4, of a BAR."""
        check_access(offset, size, self.device.bar(index, 0, 0).size)
        return await self.device.bar_read(index, offset, size)

    @Operation
    async def bar_write(self, index: int, offset: int, value: int, size: int = 4) -> None:
        """Write ``size`` bytes, 1, 2 or 4, of a BAR. In memory space it is posted, and may be on its way."""
        check_access(offset, size, self.device.bar(index, 0, 0).size)
        await self.device.bar_write(index, offset, size, value)

    def __repr__(self) -> str:
        return f"<PCI function {self.name} {self.vendor_id:04x}:{self.device_id:04x}>"

    def _repr_html_(self) -> str:
        """BARs and capabilities as the driver has found them; no time passes."""
        known = {int(item): item.name.replace("_", " ").lower() for item in CapabilityId}
        bars = [
            (
                bar.index,
                "I/O" if bar.io else "memory, 64 bits" if bar.is_64 else "memory",
                f"{bar.address:#x}",
                bar.size,
            )
            for bar in self.bars.values()
        ]
        found = [(f"{item.offset:#04x}", known.get(item.id, f"{item.id:#04x}")) for item in self.capabilities]
        title = f"{self.name} {self.vendor_id:04x}:{self.device_id:04x}"
        return page(
            title,
            html_table(bars, ("BAR", "kind", "address", "bytes")),
            html_table(found, ("at", "capability")),
        )
