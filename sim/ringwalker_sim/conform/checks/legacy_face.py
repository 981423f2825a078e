"""The legacy interface, and a device that has both. Ref: virtio 1.4, 2.2.3, 3.1.2, 4.1.4.10, 6.3."""

from random import Random
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.legacy import LEGACY, LEGACY_BAR, LEGACY_MSIX, legacy_device_config_offset
from ringwalker.spec.modern import NO_VECTOR, DeviceStatus
from ringwalker.spec.net import NET_CONFIG, NetFeature

from ...guest.transport.legacy_pci import LegacyPciTransport
from ...guest.transport.virtio_pci import VirtioPciTransport
from ..changes import config_base
from ..check import Nonconformance, NotApplicable, Way, check
from ..conditions import has_msix, is_type, offers
from ..feature_rules import valid_part
from ..stimulus import stimulus
from ..subject import Subject

__all__: list[str] = []

_LEGACY = (Way.LEGACY,)
_DRIVER = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
_PAGE_BITS = 0xF_FFFF
"""Pages that a check writes: of memory below 4 GiB."""
_BEYOND = 0xFFFF
_FEW = 4


def _header(subject: Subject) -> Any:
    assert isinstance(subject.transport, LegacyPciTransport)
    return subject.transport.header


@check("legacy-04.01", ways=_LEGACY)
async def the_header_has_its_registers(subject: Subject) -> None:
    """Reads the registers of the header after a reset, selects queues that are there and that are not, and
    writes what is read-only.

    Wrong: a status, page or ISR status other than 0, a size for a queue that is not there, one that is no
    power of two, or a read-only register that changes.
    """
    header = _header(subject)
    await subject.pci.disable_msix()
    for name in ("device_status", "isr_status", "driver_features"):
        if value := await header.read(name):
            raise Nonconformance("legacy-04.01", f"{name} is {value:#x} after a reset")
    sizes = []
    for index in (0, _BEYOND, 0):
        await header.write("queue_select", index)
        if page := await header.read("queue_pfn"):
            raise Nonconformance("legacy-04.01", f"queue {index} has page {page:#x} after a reset")
        sizes.append(await header.read("queue_size"))
    if not sizes[0] or sizes[0] & (sizes[0] - 1) or sizes[1] or sizes[2] != sizes[0]:
        raise Nonconformance("legacy-04.01", f"queues 0, {_BEYOND} and 0 have {sizes} entries")
    for name in ("device_features", "queue_size"):
        before = await header.read(name)
        await header.write(name, ~before & (1 << LEGACY[name].width) - 1)
        if (after := await header.read(name)) != before:
            raise Nonconformance("legacy-04.01", f"{name} is {before:#x}, and {after:#x} after a write")


@check("legacy-04.01", "legacy-04.04", ways=_LEGACY)
async def the_header_takes_features(subject: Subject) -> None:
    """Accepts parts of the features, reads them back, and starts the device without FEATURES_OK.

    Wrong: features that do not read as they were accepted, or a device that waits for FEATURES_OK.
    """
    header = _header(subject)
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    await subject.set_status(_DRIVER)
    for pattern in (0xFFFF_FFFF, 0x5555_5555, 0):
        mask = valid_part(subject.type, subject.offered & pattern)
        await header.write("driver_features", mask)
        if (found := await header.read("driver_features")) != mask:
            raise Nonconformance("legacy-04.01", f"features {mask:#x} are accepted, and read {found:#x}")
    await subject.start()
    if (status := await subject.status()) != _DRIVER | DeviceStatus.DRIVER_OK:
        raise Nonconformance("legacy-01.02", f"the status is {status:#x} when the device is started")
    await (await stimulus(subject)).do(2, "legacy-04.04")


@check("legacy-06.02", ways=_LEGACY)
async def any_layout_is_offered(subject: Subject) -> None:
    """Reads the features that the header offers.

    Wrong: ANY_LAYOUT is not among them.
    """
    if not subject.offers(Feature.ANY_LAYOUT):
        raise Nonconformance("legacy-06.02", f"{subject.offered:#x} is offered, without ANY_LAYOUT")


def _pages(random: Random) -> list[list[int]]:
    return [[random.randrange(_FEW), 1 + random.randrange(_PAGE_BITS)] for _ in range(16)]


@check("legacy-04.01", ways=_LEGACY, steps=_pages)
async def each_queue_has_its_page(subject: Subject, steps: list[list[int]]) -> None:
    """Writes pages to some queues at random, with a reset before a queue gets another one, and reads all of
    them after each.

    Wrong: a page that does not read as it was written, that changes with that of another queue, or that
    outlives a reset.
    """
    header = _header(subject)
    count = min(_FEW, await subject.transport.num_queues())
    pages = dict.fromkeys(range(count), 0)
    for index, page in [*steps, [0, 1]]:
        index %= count
        if pages[index]:
            await subject.reset()
            pages = dict.fromkeys(range(count), 0)
        pages[index] = page
        await _put_page(subject, index, page)
        for other, wanted in pages.items():
            await header.write("queue_select", other)
            if (found := await header.read("queue_pfn")) != wanted:
                raise Nonconformance("legacy-04.01", f"queue {other} has page {found:#x}, not {wanted:#x}")
    await subject.reset()
    for index in pages:
        await header.write("queue_select", index)
        if page := await header.read("queue_pfn"):
            raise Nonconformance("legacy-04.01", f"queue {index} has page {page:#x} after a reset")


async def _put_page(subject: Subject, index: int, page: int) -> None:
    header = _header(subject)
    await header.write("queue_select", index)
    await header.write("queue_pfn", page)


async def _device_config(subject: Subject, length: int, width: int) -> bytes:
    bar, base = await config_base(subject)
    content = b""
    for at in range(0, length, width):
        content += (await subject.pci.bar_read(bar, base + at, width)).to_bytes(width, "little")
    return content


def _config_bytes(subject: Subject) -> int:
    """Bytes of device configuration that the type has in any case, a multiple of 4."""
    length = {1: 8, 2: 24}.get(subject.type)
    if length is None:
        raise NotApplicable("the type has no device configuration in any case")
    return length


@check("legacy-04.02", ways=_LEGACY)
async def device_configuration_reads_by_every_width(subject: Subject) -> None:
    """Reads the device configuration by bytes, words and dwords, with MSI-X enabled and not.

    Wrong: two widths that do not agree.
    """
    length = _config_bytes(subject)
    for interrupt in ("msix", "none") if subject.pci.has_msix else ("none",):
        await subject.enable_interrupts(interrupt)
        found = {width: await _device_config(subject, length, width) for width in (1, 2, 4)}
        if len(set(found.values())) > 1:
            text = ", ".join(f"{content.hex()} by {width} bytes" for width, content in found.items())
            raise Nonconformance("legacy-04.02", f"device configuration is {text}")


@check("legacy-04.03", ways=_LEGACY, needs=[has_msix])
async def device_configuration_moves_with_msix(subject: Subject) -> None:
    """Enables MSI-X and disables it, and reads behind the header each time.

    Wrong: device configuration that does not begin behind the vectors while there are any, and behind the
    header otherwise.
    """
    length = _config_bytes(subject)
    contents = []
    for interrupt in ("none", "msix", "none", "msix"):
        await subject.enable_interrupts(interrupt)
        base = legacy_device_config_offset(interrupt == "msix")
        content = b""
        for at in range(length):
            content += bytes([await subject.pci.bar_read(LEGACY_BAR, base + at, 1)])
        contents.append(content)
    if len(set(contents)) > 1 or not any(contents[0]):
        shown = " and ".join(content.hex() for content in contents[:2])
        raise Nonconformance("legacy-04.03", f"without and with MSI-X it is {shown}")


@check("legacy-04.03", "pci-11.06", ways=_LEGACY, needs=[has_msix])
async def vectors_are_behind_the_header(subject: Subject) -> None:
    """Enables MSI-X, writes both vectors and reads them, and disables it again.

    Wrong: vectors that do not read as they were written.
    """
    header = _header(subject)
    await subject.enable_interrupts("msix")
    for name in ("config_msix_vector", "queue_msix_vector"):
        await header.write("queue_select", 0)
        for vector in (0, NO_VECTOR, subject.vectors - 1):
            await header.write(name, vector, LEGACY_MSIX)
            if (found := await header.read(name, LEGACY_MSIX)) != vector:
                raise Nonconformance("pci-11.06", f"{name} is {found:#x} after {vector:#x} was written")


@check("legacy-02.01", ways=_LEGACY, needs=[is_type(DeviceType.NET), offers(NetFeature.MAC)])
async def configuration_is_written_before_features(subject: Subject) -> None:
    """Writes another address into the device configuration before anything is negotiated, and then its own.

    Wrong: an address that does not read as it was written.
    """
    bar, base = await config_base(subject)
    at, size = base + NET_CONFIG.mac.offset, NET_CONFIG.mac.size
    first = await subject.pci.bar_read_wide(bar, at, size)
    for value in (first ^ 1 << 8 * size - 1, first):
        for byte in range(size):
            await subject.pci.bar_write(bar, at + byte, 1, value >> 8 * byte & 0xFF)
        if (found := await subject.pci.bar_read_wide(bar, at, size)) != value:
            raise Nonconformance("legacy-02.01", f"the address is {found:#x} after {value:#x} was written")


@check("legacy-02.02", "legacy-01.01", ways=_LEGACY)
async def queues_work_before_driver_ok(subject: Subject) -> None:
    """Lets the device work before DRIVER_OK, with ACKNOWLEDGE and DRIVER only.

    Wrong: a buffer that is not used.
    """
    await subject.start()
    source = await stimulus(subject)
    await subject.reset()
    await subject.negotiate()
    await subject.enable_interrupts("msix" if subject.pci.has_msix else "intx")
    await subject.set_queue(source.queue)
    await source.do(2, "legacy-02.02")
    await subject.driver_ok()
    await source.do(1, "legacy-02.02")


@check("legacy-01.02", ways=_LEGACY)
async def a_page_of_zero_frees_a_queue(subject: Subject) -> None:
    """Does work, frees the queue by page 0, and sets it up with other rings. A device that is reset by it as
    a whole is let alone.

    Wrong: a device that writes the old rings then, or does not begin anew in the new ones.
    """
    await subject.start()
    source = await stimulus(subject)
    for _ in range(3):
        await source.do(2, "legacy-01.02")
        queue = subject.queues.pop(source.queue)
        await _put_page(subject, source.queue, 0)
        before = [area.array.tobytes() for area in queue.areas]
        if not await subject.status():
            queue.free()
            raise NotApplicable("page 0 resets the device")
        try:
            await subject.set_queue(source.queue)
            await source.do(2, "legacy-01.02")
            if [area.array.tobytes() for area in queue.areas] != before:
                raise Nonconformance("legacy-01.02", "rings are written that were taken back by page 0")
        finally:
            queue.free()


@check("legacy-06.01", ways=_LEGACY, needs=[offers(Feature.NOTIFY_ON_EMPTY)])
async def an_empty_queue_is_notified_of(subject: Subject) -> None:
    """Negotiates NOTIFY_ON_EMPTY, suppresses notifications by flags, and lets a queue run empty.

    Wrong: no notification.
    """
    await subject.start(Feature.NOTIFY_ON_EMPTY)
    source = await stimulus(subject)
    queue = subject.queues[source.queue]
    queue.suppress(True)
    before = subject.interrupts(queue.index)
    await source.do(1, "legacy-06.01")
    await subject.notified(queue.index, before, "legacy-06.01", "the queue is empty, and nothing says so")


@check("legacy-01.02", "pci-07.05", ways=_LEGACY)
async def other_registers_leave_the_isr_alone(subject: Subject) -> None:
    """Lets the device work with INTx, reads the status beside the ISR status by a byte, and then the ISR
    status itself.

    Wrong: an ISR status that the read of its neighbour clears, or that is not cleared by its own.
    """
    await subject.start(interrupt="intx")
    source = await stimulus(subject)
    await subject.transport.read_isr()
    before = subject.arrived[-1]
    await source.do(1, "legacy-01.02")
    await subject.notified(source.queue, before, "pci-07.03", "there is no interrupt for a used buffer")
    for _ in range(3):
        await subject.status()
    first, second = await subject.transport.read_isr(), await subject.transport.read_isr()
    if not first & 1:
        raise Nonconformance("legacy-01.02", "the ISR status is cleared when the device status is read")
    if second:
        raise Nonconformance("pci-07.05", f"the ISR status is {second:#x} after it was read")


def _turns(random: Random) -> list[str]:
    return [random.choice((Way.LEGACY, Way.SPLIT, Way.PACKED)).value for _ in range(8)]


@check("legacy-01.01", "core-03.01", ways=_LEGACY, steps=_turns)
async def one_face_after_the_other(subject: Subject, steps: list[str]) -> None:
    """Uses a transitional device by one face after the other, with a reset between them, at random.

    Wrong: a face that finds what the other has left: features, queues, vectors or rings.
    """
    if len(subject.ways) < 2:
        raise NotApplicable("the device is not transitional")
    for step in [*steps, Way.LEGACY]:
        if Way(step) not in subject.ways:
            continue
        other = Subject(subject.pci, Way(step), ways=subject.ways, timing=subject.timing)
        await other.find()
        try:
            await other.start()
            await (await stimulus(other)).do(2, "legacy-01.01")
        except Nonconformance as error:
            raise Nonconformance("legacy-01.01", f"by the way {step}: {error}") from None
        finally:
            await other.close()


@check("legacy-01.01", ways=_LEGACY)
async def both_faces_show_one_device(subject: Subject) -> None:
    """Sets the status by the legacy face, and reads it by the modern one; resets it there.

    Wrong: two devices behind the two faces.
    """
    if Way.SPLIT not in subject.ways:
        raise NotApplicable("the device is not transitional")
    modern = VirtioPciTransport(subject.pci)
    await modern.find_face()
    await subject.set_status(_DRIVER)
    if (found := await modern.status()) != _DRIVER:
        raise Nonconformance("legacy-01.01", f"the status is {_DRIVER:#x} here, and {found:#x} there")
    await modern.write_status(0)

    async def is_reset() -> bool:
        return await subject.status() == 0

    await subject.until(is_reset, "legacy-01.01", "a reset by the modern face does not reset the legacy one")
