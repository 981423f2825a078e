"""The common configuration, register by register. Ref: virtio 1.4, 4.1.4.3."""

from random import Random
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, NO_VECTOR, CapabilityType, DeviceStatus

from ..check import ONCE, RINGS, Nonconformance, NotApplicable, check
from ..stimulus import stimulus
from ..subject import Subject

__all__: list[str] = []

_AREAS = ("desc", "driver", "device")
_AREA_MASK = 0xFFFF_FFFF_FFFF_F000
"""Bits of an address that are written: areas are aligned."""
_BEYOND = 0xFFFF
"""No device has a queue of this number."""
_FEW = 4
"""Queues that a check of many steps uses."""


async def _count(subject: Subject) -> int:
    """The queues that are there. Errors: :class:`NotApplicable` for a device without."""
    count = await subject.common("num_queues")
    if not count:
        raise NotApplicable("there is no queue")
    return count


def _is_power(size: int) -> bool:
    return size & (size - 1) == 0


@check("pci-05.14")
async def queues_that_are_not_there_have_no_size(subject: Subject) -> None:
    """Selects queues beyond the last, right behind it and far off, each after one that is there.

    Wrong: a size other than 0.
    """
    count = await _count(subject)
    beyond = [_BEYOND, 1 << 10, 1 << 15]
    if not subject.offers(Feature.ADMIN_VQ):
        beyond += [count, count + 1]
    for index in beyond:
        if not count <= index <= _BEYOND:
            continue
        await subject.set_common("queue_select", 0)
        await subject.set_common("queue_select", index)
        if size := await subject.common("queue_size"):
            raise Nonconformance("pci-05.14", f"queue {index} of {count} has {size} entries")
    await subject.set_common("queue_select", 0)
    if not await subject.common("queue_size") and await subject.registers(count - 1).read("size") == 0:
        raise Nonconformance("pci-05.14", "there is no queue at all, though queues are counted")


@check("pci-05.15", ways=ONCE)
async def sizes_of_split_queues_are_powers_of_two(subject: Subject) -> None:
    """Reads the size of each queue before and after features without RING_PACKED are negotiated, and after
    half of it was written.

    Wrong: a size that is no power of two.
    """
    count = await _count(subject)
    for negotiated in (False, True):
        if negotiated:
            await subject.negotiate()
        for index in range(count):
            registers = subject.registers(index)
            size = await registers.read("size")
            if negotiated and not _is_power(size):
                raise Nonconformance("pci-05.15", f"queue {index} has {size} entries")
            if negotiated and size > 1:
                await registers.write("size", size // 2)
                if not _is_power(smaller := await registers.read("size")):
                    raise Nonconformance(
                        "pci-05.15", f"queue {index} has {smaller} entries after {size // 2}"
                    )


@check("pci-05.08", "pci-05.07", ways=RINGS)
async def a_reset_disables_queues(subject: Subject) -> None:
    """Reads each queue before it is set up; sets all up with small rings, starts the device, and resets it.

    Wrong: a queue that is enabled after a reset, or has another size than at first.
    """
    count = await _count(subject)
    first = [await subject.registers(index).read("size") for index in range(count)]
    await subject.start(size=min([size for size in first if size], default=2))
    for index in subject.queues:
        if await subject.registers(index).read("enable") != 1:
            raise Nonconformance("pci-05.08", f"queue {index} does not show that it is enabled")
    await subject.reset()
    for index in range(count):
        registers = subject.registers(index)
        if await registers.read("enable"):
            raise Nonconformance("pci-05.08", f"queue {index} is enabled after a reset")
        if (size := await registers.read("size")) != first[index]:
            raise Nonconformance("pci-05.07", f"queue {index} had {first[index]} entries, and {size} then")


def _halves(random: Random) -> list[list[Any]]:
    return [[random.randrange(3), random.randrange(2), random.getrandbits(32)] for _ in range(24)]


@check("pci-03.01", steps=_halves)
async def address_halves_are_independent(subject: Subject, steps: list[list[Any]]) -> None:
    """Writes halves of the three addresses of a queue at random, and reads all halves after each.

    Wrong: a half that does not read as it was written, or that changes with the other.
    """
    await _count(subject)
    await subject.negotiate()
    await subject.set_common("queue_select", 0)
    place = subject.structures.places[CapabilityType.COMMON]
    rows = [COMMON[f"queue_{name}"].offset for name in _AREAS]
    halves = {(area, half): 0 for area in range(3) for half in range(2)}

    async def access(area: int, half: int, value: int | None) -> int:
        offset = place.offset + rows[area] + 4 * half
        if value is None:
            return await subject.pci.bar_read(place.bar, offset, 4)
        await subject.pci.bar_write(place.bar, offset, 4, value)
        return value

    for at in halves:
        await access(*at, 0)
    for area, half, value in steps:
        value &= 0xFFFF_FFFF if half else _AREA_MASK & 0xFFFF_FFFF
        halves[area, half] = await access(area, half, value)
        for at, wanted in halves.items():
            if (found := await access(*at, None)) != wanted:
                text = f"half {at[1]} of queue_{_AREAS[at[0]]} is {found:#x}, and {wanted:#x} was written"
                raise Nonconformance("pci-03.01", text)


_WALKED = ("device_feature_select", "driver_feature_select", "config_msix_vector")
_QUEUE_WALKED = ("size", "vector", *_AREAS)


def _walk(random: Random) -> list[list[Any]]:
    steps: list[list[Any]] = []
    for _ in range(48):
        kind = random.choices(("queue", "register", "reset"), (12, 6, 1))[0]
        if kind == "queue":
            name = random.choice(_QUEUE_WALKED)
            steps.append([kind, random.randrange(_FEW), name, random.getrandbits(64)])
        elif kind == "register":
            steps.append([kind, random.choice(_WALKED), random.getrandbits(32)])
        else:
            steps.append([kind])
    return steps


class _Expected:
    """What the registers are to hold: ``values`` by (queue or -1, name)."""

    def __init__(self, subject: Subject, vectors: int, sizes: list[int]):
        self.subject = subject
        self.vectors = vectors
        self.sizes = sizes
        self.values: dict[tuple[int, str], int] = {}

    async def reset(self) -> None:
        """Reset the device and negotiate."""
        await self.subject.reset()
        await self.subject.negotiate()
        self.values = {(-1, "config_msix_vector"): NO_VECTOR}
        for queue, size in enumerate(self.sizes):
            self.values |= {(queue, "vector"): NO_VECTOR, (queue, "size"): size, (queue, "enable"): 0}

    def legal(self, queue: int, name: str, value: int) -> int:
        """A value that a driver may write, made of a random one."""
        if name.endswith("vector"):
            return NO_VECTOR if value % (self.vectors + 1) == self.vectors else value % self.vectors
        if name == "size":
            return 1 << value % self.sizes[queue].bit_length()
        return value & _AREA_MASK if name in _AREAS else value

    async def write(self, queue: int, name: str, value: int) -> None:
        """Write a register."""
        value = self.values[queue, name] = self.legal(queue, name, value)
        if queue < 0:
            await self.subject.set_common(name, value)
        else:
            await self.subject.registers(queue).write(name, value)

    async def compare(self) -> None:
        """Read all. Errors: :class:`Nonconformance`."""
        for (queue, name), wanted in self.values.items():
            if queue < 0:
                found = await self.subject.common(name)
            else:
                found = await self.subject.registers(queue).read(name)
            if found != wanted:
                clause = self._clause(name, wanted)
                where = f"{name} of queue {queue}" if queue >= 0 else name
                raise Nonconformance(clause, f"{where} is {found:#x}, and has to be {wanted:#x}")

    def _clause(self, name: str, wanted: int) -> str:
        if name.endswith("vector"):
            return "pci-11.07" if wanted == NO_VECTOR else "pci-11.06"
        clauses = {"size": "pci-05.07", "enable": "pci-05.08"}
        return clauses.get(name, "pci-03.01" if name in _AREAS else "pci-05.03")


@check("pci-11.06", "pci-11.07", "pci-05.07", "pci-05.08", steps=_walk)
async def registers_keep_what_is_written(subject: Subject, steps: list[list[Any]]) -> None:
    """Writes selects, vectors, sizes and addresses of some queues at random, with resets among them, and
    reads all of them again and again.

    Wrong: a register that does not read as it was written or as a reset leaves it, or that changes with that
    of another queue.
    """
    count = min(_FEW, await _count(subject))
    if not (vectors := await subject.pci.msix_vectors()):
        raise NotApplicable("there is no MSI-X")
    await subject.enable_interrupts("msix")
    sizes = [await subject.registers(index).read("size") for index in range(count)]
    if not all(sizes):
        raise NotApplicable("a queue is not available")
    expected = _Expected(subject, vectors, sizes)
    await expected.reset()
    for number, step in enumerate(steps):
        if step[0] == "reset":
            await expected.reset()
        elif step[0] == "register":
            await expected.write(-1, step[1], step[2])
        else:
            await expected.write(step[1] % count, step[2], step[3])
        if step[0] == "reset" or number % 8 == 7:
            await expected.compare()
    await expected.compare()


_FIELDS = ("size", "vector", *_AREAS)


def _orders(random: Random) -> list[list[Any]]:
    steps = [[queue, name] for queue in range(_FEW) for name in _FIELDS]
    random.shuffle(steps)
    return steps


@check("pci-05.08", "core-10.01", ways=RINGS, steps=_orders)
async def queues_can_be_set_up_in_any_order(subject: Subject, steps: list[list[Any]]) -> None:
    """Writes the registers of several queues in a random order, those of different queues mixed, enables the
    last queue first, and lets the device work; then the other way round.

    Wrong: registers of one queue that depend on those of another or on an order, or a device that does not
    work then.
    """
    count = min(_FEW, await _count(subject))
    rest = [[index, name] for index in range(count) for name in _FIELDS if [index, name] not in steps]
    order = [step for step in [*steps, *rest] if step[0] < count]
    for steps in (order, order[::-1]):
        await subject.reset()
        await subject.negotiate()
        await subject.enable_interrupts("msix" if subject.pci.has_msix else "intx")
        subject.queues |= {index: await subject.new_queue(index) for index in range(count)}
        for index, name in steps:
            queue = subject.queues[index]
            values = {
                "size": queue.size,
                "vector": subject.vector_of(index) if subject.vectors else NO_VECTOR,
                "desc": queue.desc_address,
                "driver": queue.driver_address,
                "device": queue.device_address,
            }
            await subject.registers(index).write(name, values[name])
        for index in reversed(subject.queues):
            await subject.registers(index).write("enable", 1)
        await subject.driver_ok()
        source = await stimulus(subject)
        if source.queue not in subject.queues:
            raise NotApplicable(f"work is done by queue {source.queue}")
        await source.do(2, "core-10.01")


@check("pci-05.07", "pci-05.08")
async def a_reset_from_any_state_ends(subject: Subject) -> None:
    """Resets the device with FAILED set, before features, before DRIVER_OK and without rings; each time it
    works afterwards.

    Wrong: a reset that does not end, or a device that does not work after it.
    """
    for status in (DeviceStatus.FAILED, DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER):
        await subject.set_status(status)
        await subject.reset()
    await subject.negotiate()
    await subject.reset()
    await subject.start(queues=())
    await subject.set_status(await subject.status() | DeviceStatus.FAILED)
    await subject.start()
    await (await stimulus(subject)).do(1, "pci-05.07")
