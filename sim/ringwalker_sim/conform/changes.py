"""Changes of the device configuration, from outside."""

from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.console import CONSOLE_CONFIG, ConsoleFeature
from ringwalker.spec.legacy import LEGACY_BAR, legacy_device_config_offset
from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.net import NET_CONFIG, NetFeature, NetStatus
from ringwalker.spec.pci import MsixControl
from ringwalker.spec.registers import Register

from .check import NotApplicable
from .medium import ConsoleMedium, DiskMedium, NetMedium
from .pci_view import MsixTable
from .subject import Subject

__all__ = ["Changes", "config_base", "read_field"]

_COLUMNS, _ROWS = 100, 30


async def config_base(subject: Subject) -> tuple[int, int]:
    """BAR and offset of the device configuration by the face that is used.

    Errors: :class:`NotApplicable` for a device without.
    """
    if subject.legacy:
        on = subject.pci.has_msix and await MsixTable(subject.pci).control() & MsixControl.ENABLE
        return LEGACY_BAR, legacy_device_config_offset(bool(on))
    place = subject.structures.places.get(CapabilityType.DEVICE)
    if place is None:
        raise NotApplicable("there is no device configuration")
    return place.bar, place.offset


async def read_field(subject: Subject, row: Register) -> int:
    """Read a field of the device configuration once."""
    bar, base = await config_base(subject)
    return await subject.pci.bar_read_wide(bar, base + row.offset, row.size)


class Changes:
    """Changes of ``field``: its values are different for each number, if ``many``, or else for odd and even.

    ``features`` are those that the field needs.
    """

    def __init__(self, subject: Subject):
        self.subject = subject
        self.features: tuple[int, ...] = ()
        self.many = True
        self._first = 0
        medium = subject.medium
        if isinstance(medium, NetMedium):
            self.field, self.features, self.many = NET_CONFIG.status, (NetFeature.STATUS,), False
        elif isinstance(medium, ConsoleMedium):
            self.field, self.features = CONSOLE_CONFIG.cols, (ConsoleFeature.SIZE,)
        elif isinstance(medium, DiskMedium):
            self.field = BLK_CONFIG.capacity
        else:
            raise NotApplicable("nothing behind the device can change its configuration")

    async def begin(self) -> "Changes":
        """Note the value of now, once the device is started."""
        self._first = await self.read()
        return self

    async def read(self) -> int:
        """The field, read once."""
        return await read_field(self.subject, self.field)

    async def make(self, number: int) -> int:
        """Make change ``number``, from 1 on; what the field is then to hold.

        Errors: :class:`NotApplicable` where that cannot be done.
        """
        medium, done = self.subject.medium, False
        if isinstance(medium, NetMedium):
            value = self._first ^ (NetStatus.LINK_UP if number % 2 else 0)
            done = await medium.set_link(bool(value & NetStatus.LINK_UP))
        elif isinstance(medium, ConsoleMedium):
            value = _COLUMNS + number
            done = await medium.resize(value, _ROWS)
        elif isinstance(medium, DiskMedium):
            # Larger is what every disk can become.
            value = self._first + 8 * number
            done = await medium.resize(value)
        else:
            value = 0
        if not done:
            raise NotApplicable("nothing behind the device can change its configuration")
        return value

    async def undo(self) -> None:
        """Make it as it was."""
        medium = self.subject.medium
        if isinstance(medium, NetMedium):
            await medium.set_link(bool(self._first & NetStatus.LINK_UP))
        elif isinstance(medium, ConsoleMedium):
            await medium.resize(self._first, _ROWS)
        elif isinstance(medium, DiskMedium):
            await medium.resize(self._first)
