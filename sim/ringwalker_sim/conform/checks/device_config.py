"""The device configuration, and changes of it. Ref: virtio 1.4, 2.5, 3.3, 4.1.4.3, 4.1.4.6, 4.1.5.4."""

from ringwalker.spec.blk import BLK_CONFIG, BlkFeature
from ringwalker.spec.console import CONSOLE_CONFIG, ConsoleFeature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import NO_VECTOR, CapabilityType, IsrBit
from ringwalker.spec.net import NET_CONFIG, NetFeature
from ringwalker.spec.registers import Access, Register, RegisterTable

from ..changes import Changes, read_field
from ..check import ONCE, WAYS, Nonconformance, NotApplicable, Way, check
from ..conditions import has_msix
from ..feature_rules import valid_part
from ..subject import Subject

__all__: list[str] = []

_TABLES: dict[int, RegisterTable] = {
    DeviceType.NET: NET_CONFIG,
    DeviceType.BLK: BLK_CONFIG,
    DeviceType.CONSOLE: CONSOLE_CONFIG,
}

_CONDITIONAL: dict[int, dict[str, int]] = {
    DeviceType.NET: {
        "mac": NetFeature.MAC,
        "status": NetFeature.STATUS,
        "max_virtqueue_pairs": NetFeature.MQ,
        "mtu": NetFeature.MTU,
        "speed": NetFeature.SPEED_DUPLEX,
        "duplex": NetFeature.SPEED_DUPLEX,
    },
    DeviceType.BLK: {
        "size_max": BlkFeature.SIZE_MAX,
        "seg_max": BlkFeature.SEG_MAX,
        "cylinders": BlkFeature.GEOMETRY,
        "heads": BlkFeature.GEOMETRY,
        "sectors": BlkFeature.GEOMETRY,
        "blk_size": BlkFeature.BLK_SIZE,
        "physical_block_exp": BlkFeature.TOPOLOGY,
        "alignment_offset": BlkFeature.TOPOLOGY,
        "min_io_size": BlkFeature.TOPOLOGY,
        "opt_io_size": BlkFeature.TOPOLOGY,
        "num_queues": BlkFeature.MQ,
    },
    DeviceType.CONSOLE: {
        "cols": ConsoleFeature.SIZE,
        "rows": ConsoleFeature.SIZE,
        "max_nr_ports": ConsoleFeature.MULTIPORT,
    },
}
"""Fields that depend on a feature; ``capacity`` of a disk is the one that does not."""

_ALWAYS = "capacity"
_WRAP = 256
"""Values of config_generation."""


def _fields(subject: Subject) -> list[Register]:
    """The fields that the device has: those of offered features, in its structure."""
    table = _TABLES.get(subject.type)
    place = None if subject.legacy else subject.structures.places.get(CapabilityType.DEVICE)
    if table is None or (place is None and not subject.legacy):
        raise NotApplicable("there is no device configuration that the suite knows")
    needed = _CONDITIONAL[subject.type]
    return [
        row
        for row in table
        if (row.name == _ALWAYS or (row.name in needed and subject.offers(needed[row.name])))
        and (place is None or row.offset + row.size <= place.size)
    ]


@check("core-04.01", ways=(Way.SPLIT, Way.LEGACY))
async def configuration_is_there_before_features(subject: Subject) -> None:
    """Reads the fields of all features that are offered after a reset, and again with these features
    negotiated.

    Wrong: a field that has another value, or none, before the features are accepted.
    """
    fields = _fields(subject)
    early = {row.name: await read_field(subject, row) for row in fields}
    features = valid_part(subject.type, subject.offered)
    await subject.negotiate(accept=features & 0xFFFF_FFFF if subject.legacy else features)
    for row in fields:
        late = await read_field(subject, row)
        if early[row.name] != late:
            text = f"{row.name} is {early[row.name]:#x} before features are accepted, and {late:#x} then"
            raise Nonconformance("core-04.01", text)


@check("pci-08.01", ways=ONCE)
async def configuration_has_the_fields_of_the_features(subject: Subject) -> None:
    """Compares the length of the device configuration with the fields of the features that are offered.

    Wrong: no structure for a type that has one, or one too short.
    """
    table = _TABLES.get(subject.type)
    if table is None:
        raise NotApplicable("the type has no device configuration")
    place = subject.structures.places.get(CapabilityType.DEVICE)
    needed = _CONDITIONAL[subject.type]
    for row in table:
        wanted = row.name == _ALWAYS or (row.name in needed and subject.offers(needed[row.name]))
        if wanted and (place is None or row.offset + row.size > place.size):
            raise Nonconformance("pci-08.01", f"{row.name} is offered, and not in the structure")


@check("pci-03.01", ways=ONCE)
async def wide_fields_read_by_halves(subject: Subject) -> None:
    """Reads the upper and the lower half of each field of 64 bits in both orders, and one of them twice.

    Wrong: a half that depends on the other, or on the order.
    """
    wide = [row for row in _fields(subject) if row.width == 64]
    if not wide:
        raise NotApplicable("no field has 64 bits")
    place = subject.structures.places[CapabilityType.DEVICE]
    for row in wide:
        seen: dict[int, int] = {}
        for half in (0, 1, 1, 0, 0):
            value = await subject.pci.bar_read(place.bar, place.offset + row.offset + 4 * half, 4)
            if seen.setdefault(half, value) != value:
                raise Nonconformance("pci-03.01", f"half {half} of {row.name} changes when the other is read")


@check("core-04.01", ways=ONCE)
async def configuration_stays_as_it_is(subject: Subject) -> None:
    """Reads the whole device configuration again and again, with the generation, while nothing changes.

    Wrong: a read that changes it, or its generation.
    """
    fields = [row for row in _fields(subject) if row.access is Access.RO]
    await subject.start()
    generation = await subject.common("config_generation")
    first = [await read_field(subject, row) for row in fields]
    for _ in range(3):
        again = [await read_field(subject, row) for row in fields]
        if again != first or await subject.common("config_generation") != generation:
            raise Nonconformance("core-04.01", f"it is {first}, and then {again}, though nothing has changed")


async def _expect(subject: Subject, changes: Changes, value: int) -> None:
    async def there() -> bool:
        return await changes.read() == value

    text = f"{changes.field.name} does not become {value:#x}, which it is outside"
    await subject.until(there, "pci-05.06", text)


@check("pci-05.06", ways=ONCE)
async def a_change_has_a_generation_of_its_own(subject: Subject) -> None:
    """Changes something behind a device at work, again and again, and reads the field and the generation.

    Wrong: a field that is not what it is outside, or the same generation for the old and the new value.
    """
    changes = Changes(subject)
    await subject.start(*changes.features)
    await changes.begin()
    try:
        for number in range(1, 6):
            before = await subject.common("config_generation")
            await changes.read()
            await _expect(subject, changes, await changes.make(number))
            if await subject.common("config_generation") == before:
                raise Nonconformance("pci-05.06", f"{changes.field.name} has changed, the generation has not")
    finally:
        await changes.undo()
        await subject.settle()


@check("pci-05.06", ways=ONCE)
async def a_change_before_driver_ok_has_a_generation(subject: Subject) -> None:
    """Changes something behind the device between FEATURES_OK and DRIVER_OK.

    Wrong: the same generation for the old and the new value.
    """
    changes = Changes(subject)
    await subject.negotiate(*changes.features)
    await changes.begin()
    try:
        before = await subject.common("config_generation")
        await _expect(subject, changes, await changes.make(1))
        if await subject.common("config_generation") == before:
            raise Nonconformance("pci-05.06", f"{changes.field.name} has changed, the generation has not")
    finally:
        await changes.undo()
        await subject.settle()


@check("pci-05.06", ways=ONCE)
async def many_changes_do_not_hide_one_another(subject: Subject) -> None:
    """Changes something 256 times, as many as there are generations, without reading device configuration.

    Wrong: the generation that was there before.
    """
    changes = Changes(subject)
    if not changes.many:
        raise NotApplicable("the configuration has two states only")
    await subject.start(*changes.features)
    await changes.begin()
    try:
        before = await subject.common("config_generation")
        await changes.read()
        value = 0
        for number in range(1, _WRAP + 1):
            value = await changes.make(number)
            await subject.port.sleep(subject.timing.poll)
        await _expect(subject, changes, value)
        if await subject.common("config_generation") == before:
            text = f"{changes.field.name} has changed {_WRAP} times, and the generation is as before"
            raise Nonconformance("pci-05.06", text)
    finally:
        await changes.undo()
        await subject.settle()


@check("pci-13.01", "pci-07.02", ways=WAYS, needs=[has_msix])
async def changes_are_notified_of_by_msix(subject: Subject) -> None:
    """Changes something while configuration changes have a vector, and while they have none.

    Wrong: no message by the vector, or one without.
    """
    changes = Changes(subject)
    await subject.start(*changes.features)
    await changes.begin()
    alone = subject.vectors > 1
    try:
        before = subject.arrived[0]
        await changes.make(1)

        async def arrived() -> bool:
            return subject.arrived[0] > before

        await subject.until(arrived, "pci-07.02", "there is no configuration change notification")
        await subject.settle()
        if await subject.transport.set_config_vector(NO_VECTOR) != NO_VECTOR:
            raise Nonconformance("pci-11.05", "configuration changes cannot be unmapped")
        total = sum(subject.arrived.values())
        await changes.make(2)
        await subject.settle()
        if sum(subject.arrived.values()) != total:
            raise Nonconformance(
                "pci-13.01", "there is a message for a configuration change without a vector"
            )
    finally:
        await changes.undo()
        await subject.settle()
    subject.note("configuration changes have a vector of their own", alone)


@check("pci-07.02", "pci-07.04", "pci-07.05", ways=WAYS)
async def changes_are_notified_of_by_intx(subject: Subject) -> None:
    """Changes something while MSI-X is disabled.

    Wrong: no interrupt, an ISR status without the bit of configuration changes, or one that is not cleared
    when it is read.
    """
    changes = Changes(subject)
    await subject.start(*changes.features, interrupt="intx")
    await changes.begin()
    try:
        await subject.transport.read_isr()
        before = subject.arrived[-1]
        await changes.make(1)

        async def arrived() -> bool:
            return subject.arrived[-1] > before

        await subject.until(arrived, "pci-07.02", "there is no interrupt for a configuration change")
        status = await subject.transport.read_isr()
        if not status & IsrBit.CONFIG:
            raise Nonconformance("pci-07.02", f"the ISR status of a configuration change is {status:#x}")
        if status := await subject.transport.read_isr():
            raise Nonconformance("pci-07.05", f"the ISR status is {status:#x} after it was read")
    finally:
        await changes.undo()
        await subject.settle()
        await subject.transport.read_isr()
