"""Resource objects: created, changed, queried and destroyed by the driver. Ref: virtio 1.4, 2.12.1.3."""

from collections.abc import Iterable

from ringwalker.spec.admin import AdminGroup, AdminOpcode, AdminStatus
from ringwalker.spec.features import Feature

from ..admin.object_kinds import FlowGroups, ObjectKind, object_kinds
from ..check import Nonconformance, NotApplicable, check
from ..conditions import offers
from ..net.flow_rules import FlowRules
from ..subject import Subject

__all__: list[str] = []


async def _enabled(subject: Subject, clause: str = "core-16.02") -> list[ObjectKind]:
    """The types of objects of the device, with their capabilities set; ``clause`` says that they can be."""
    kinds = await object_kinds(subject)
    for kind in kinds:
        await kind.enable(clause=clause)
    return kinds


async def _check_content(kind: ObjectKind, number: int, variant: int, clause: str) -> None:
    """Errors: :class:`Nonconformance` unless QUERY gives what an object was created with or changed to."""
    answer = await kind.query(number)
    answer.expect("core-17.11", f"RESOURCE_OBJ_QUERY of one of the {kind.name}")
    expected = kind.data(number, variant)
    if answer.result[: len(expected)] != expected:
        raise Nonconformance(
            clause, f"one of the {kind.name} is {answer.result.hex()}, and was set to {expected.hex()}"
        )


async def _destroy(kind: ObjectKind, numbers: Iterable[int]) -> None:
    for number in numbers:
        answer = await kind.destroy(number)
        answer.expect("core-17.05", f"destroying number {number} of the {kind.name}")


@check("core-17.01", needs=[offers(Feature.ADMIN_VQ)])
async def object_exists_once(subject: Subject) -> None:
    """Creates an object twice with the same number.

    Wrong: an answer other than EEXIST to the second.
    """
    for kind in await _enabled(subject):
        answer = await kind.create(0)
        answer.expect("core-17.09", f"creating one of the {kind.name}")
        answer = await kind.create(0, 1)
        answer.expect("core-17.01", f"creating one of the {kind.name} again", AdminStatus.EEXIST)


@check("core-17.02", needs=[offers(Feature.ADMIN_VQ)])
async def object_that_is_not_there(subject: Subject) -> None:
    """Changes, queries and destroys an object that was never created, and one that was destroyed.

    Wrong: an answer other than ENXIO.
    """
    for kind in await _enabled(subject):
        for state in ("never created", "destroyed"):
            supported = kind.admin.supported[AdminGroup.SELF]
            if AdminOpcode.RESOURCE_OBJ_MODIFY in supported:
                answer = await kind.modify(0, 1)
                answer.expect("core-17.02", f"changing one of the {kind.name}, {state}", AdminStatus.ENXIO)
            if AdminOpcode.RESOURCE_OBJ_QUERY in supported:
                answer = await kind.query(0)
                answer.expect("core-17.02", f"querying one of the {kind.name}, {state}", AdminStatus.ENXIO)
            answer = await kind.destroy(0)
            answer.expect("core-17.02", f"destroying one of the {kind.name}, {state}", AdminStatus.ENXIO)
            answer = await kind.create(0)
            answer.expect("core-17.05", f"creating one of the {kind.name}, {state}")
            answer = await kind.destroy(0)
            answer.expect("core-17.05", f"destroying one of the {kind.name}")


@check("core-17.03", "core-17.07", "core-17.08", "core-17.09", needs=[offers(Feature.ADMIN_VQ)])
async def as_many_objects_as_the_limit(subject: Subject) -> None:
    """Sets a limit, creates as many objects as that, and then one more.

    Wrong: fewer objects than the limit, or a refusal other than ENOSPC.
    """
    for kind in await object_kinds(subject):
        limit = await kind.enable()
        for number in range(limit):
            answer = await kind.create(number)
            if not answer.ok:
                what = f"creating number {number} of the {kind.name}, of which there may be {limit},"
                answer.expect("core-17.03", what, AdminStatus.ENOSPC)
                raise Nonconformance("core-17.09", f"only {number} of {limit} {kind.name} can be created")
        answer = await kind.create(limit)
        what = f"creating one of the {kind.name} more than the limit {limit}"
        answer.expect("core-17.03", what, AdminStatus.ENOSPC)
        await _destroy(kind, range(limit))


@check("core-17.04", needs=[offers(Feature.ADMIN_VQ)])
async def object_on_which_others_depend(subject: Subject) -> None:
    """Creates a flow filter rule with its group; changes and destroys the group.

    Wrong: an answer other than EBUSY.
    """
    rules = await FlowRules.open(subject)
    await rules.add_group(0, priority=1)
    await rules.add_classifier(0)
    await rules.add_rule(0, group=0, priority=0)
    answer = await rules.admin.modify(FlowGroups.type, 0, rules.group(2))
    answer.expect("core-17.04", "changing a group with a rule", AdminStatus.EBUSY)
    answer = await rules.admin.destroy(FlowGroups.type, 0)
    answer.expect("core-17.04", "destroying a group with a rule", AdminStatus.EBUSY)


@check("core-17.05", needs=[offers(Feature.ADMIN_VQ)])
async def object_is_created_again(subject: Subject) -> None:
    """Creates and destroys an object three times.

    Wrong: one that cannot be created again.
    """
    for kind in await _enabled(subject):
        for turn in range(3):
            answer = await kind.create(0, turn)
            answer.expect("core-17.05", f"creating one of the {kind.name} for the {turn + 1}. time")
            answer = await kind.destroy(0)
            answer.expect("core-17.05", f"destroying one of the {kind.name}")


@check("core-17.06", needs=[offers(Feature.ADMIN_VQ)])
async def objects_in_any_order(subject: Subject) -> None:
    """Creates objects up to the limit, their numbers in random order.

    Wrong: one that is refused as the number is not the next.
    """
    for kind in await object_kinds(subject):
        limit = await kind.enable()
        numbers = list(range(limit))
        subject.random.shuffle(numbers)
        # The highest number first, which no device expects that counts.
        numbers.sort(key=lambda number: number != limit - 1)
        for number in numbers:
            answer = await kind.create(number)
            answer.expect("core-17.06", f"creating number {number} of the {kind.name} in order {numbers}")
        await _destroy(kind, numbers)


@check("core-17.10", needs=[offers(Feature.ADMIN_VQ)])
async def change_that_fails(subject: Subject) -> None:
    """Changes a group of flow filters to a priority that another one has.

    Wrong: a change that fails, and of which something stays.
    """
    kinds = [kind for kind in await _enabled(subject) if isinstance(kind, FlowGroups)]
    if not kinds or kinds[0].offered_limit() < 2:
        raise NotApplicable("there are no two groups of flow filters")
    (kind,) = kinds
    for number in range(2):
        answer = await kind.create(number)
        answer.expect("core-17.09", f"creating one of the {kind.name}")
    answer = await kind.admin.modify(kind.type, 1, kind.data(0))
    if answer.ok:
        raise NotApplicable("the device lets two groups have the same priority")
    await _check_content(kind, 1, 0, "core-17.10")
    await _check_content(kind, 0, 0, "core-17.10")


@check("core-17.11", needs=[offers(Feature.ADMIN_VQ)])
async def object_holds_what_was_set(subject: Subject) -> None:
    """Creates objects, queries them, changes them, and queries them again.

    Wrong: a query whose result is not what the object was last set to.
    """
    kinds = [kind for kind in await object_kinds(subject) if kind.queried]
    if not kinds:
        raise NotApplicable("no object has a result whose format is laid down")
    for kind in kinds:
        kind.admin.require(AdminOpcode.RESOURCE_OBJ_QUERY, AdminOpcode.RESOURCE_OBJ_MODIFY)
        limit = await kind.enable(2)
        for number in range(limit):
            answer = await kind.create(number)
            answer.expect("core-17.09", f"creating one of the {kind.name}")
        for number in range(limit):
            await _check_content(kind, number, 0, "core-17.11")
            answer = await kind.modify(number, 1)
            answer.expect("core-17.11", f"changing one of the {kind.name}")
        for number in range(limit):
            await _check_content(kind, number, 1, "core-17.11")


@check("core-17.12", needs=[offers(Feature.ADMIN_VQ)])
async def objects_end_with_a_reset(subject: Subject) -> None:
    """Creates an object of each type, resets the device, and creates them with the same numbers again.

    Wrong: an object that is still there.
    """
    for kind in await _enabled(subject):
        answer = await kind.create(0)
        answer.expect("core-17.09", f"creating one of the {kind.name}")
    for kind in await _enabled(subject, "core-17.12"):
        answer = await kind.create(0)
        answer.expect("core-17.12", f"creating one of the {kind.name} after a reset")
