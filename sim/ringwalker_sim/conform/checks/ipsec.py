"""Security associations of the network device. What they do with packets is not checked.

Ref: virtio 1.4, 5.1.9.7.
"""

from collections.abc import Iterator
from typing import Any

from ringwalker.spec.admin import AdminGroup, AdminStatus
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.ipsec import IpsecCapability, IpsecDirection
from ringwalker.spec.net import NetFeature

from ..admin.commands import Administration
from ..admin.object_kinds import Associations
from ..check import Nonconformance, NotApplicable, check
from ..conditions import is_type, offers
from ..net.flow_rules import FLOW_COMMANDS
from ..subject import Subject

__all__: list[str] = []

_NEEDS = [is_type(DeviceType.NET), offers(Feature.ADMIN_VQ)]
_NO_MODE = 0xFF
_FAILS = {IpsecDirection.OUTBOUND: "net-16.05", IpsecDirection.INBOUND: "net-16.06"}


async def _open(subject: Subject) -> Administration:
    """An administration queue of a device with IPsec. Errors: :class:`NotApplicable`."""
    features = [NetFeature.IPSEC] if subject.offers(NetFeature.IPSEC) else []
    admin = await Administration.open(subject, *features)
    if not features and not await admin.capabilities() & set(IpsecCapability):
        raise NotApplicable("the device has no IPsec")
    return admin


async def _kinds(subject: Subject, enabled: bool = True) -> list[Associations]:
    """Associations of both directions, of which the device offers any; with their capabilities set."""
    admin = await _open(subject)
    kinds = [Associations(admin, direction) for direction in IpsecDirection]
    for kind in kinds:
        await kind.prepare()
    kinds = [kind for kind in kinds if kind.offered_limit()]
    for kind in kinds if enabled else ():
        await kind.enable()
    if not kinds:
        raise NotApplicable("the device offers 0 security associations")
    return kinds


async def _create(kind: Associations, number: int, variant: int = 0, clause: str = "net-16.02") -> None:
    answer = await kind.create(number, variant)
    answer.expect(clause, f"creating number {number} of the {kind.name}")


@check("net-16.01", needs=_NEEDS)
async def ipsec_capabilities_come_together(subject: Subject) -> None:
    """Looks which of the capabilities of IPsec are listed.

    Wrong: one of them alone, or a device that offers IPsec without them.
    """
    admin = await _open(subject)
    found = await admin.capabilities()
    missing = [number.name for number in IpsecCapability if number not in found]
    if missing:
        raise Nonconformance("net-16.01", f"there is IPsec, and no capability {', '.join(missing)} of it")


@check("net-16.02", needs=_NEEDS)
async def associations_have_all_commands(subject: Subject) -> None:
    """Creates a security association of each direction; changes, queries and destroys it.

    Wrong: a command that is missing, or fails.
    """
    for kind in await _kinds(subject):
        supported = kind.admin.supported[AdminGroup.SELF]
        missing = [opcode.name for opcode in FLOW_COMMANDS if opcode not in supported]
        if missing:
            raise Nonconformance("net-16.02", f"there is IPsec, and no {', '.join(missing)}")
        await _create(kind, 0)
        (await kind.modify(0, 1)).expect("net-16.02", f"changing one of the {kind.name}")
        (await kind.query(0)).expect("net-16.02", f"querying one of the {kind.name}")
        (await kind.destroy(0)).expect("net-16.02", f"destroying one of the {kind.name}")


@check("net-16.03", needs=_NEEDS)
async def associations_need_both_capabilities(subject: Subject) -> None:
    """Sets none of the two capabilities, and each alone, and sends all commands about associations.

    Wrong: a command that is not refused as invalid.
    """
    for chosen in (None, *IpsecCapability):
        for kind in await _kinds(subject, enabled=False):
            if chosen is not None:
                answer = await kind.admin.set_capability(chosen, kind.contents[chosen])
                answer.expect("core-16.02", f"DRIVER_CAP_SET of {chosen.name}")
            for opcode in FLOW_COMMANDS:
                answer = await kind.admin.resource(opcode, kind.type, 0, kind.data(0))
                if not answer.refuses_opcode:
                    only = "no capability" if chosen is None else f"only {chosen.name}"
                    text = f"{opcode.name} of {kind.name} with {only} set ends with {answer}"
                    raise Nonconformance("net-16.03", text)


@check("net-16.04", needs=_NEEDS)
async def association_exists_once(subject: Subject) -> None:
    """Creates a security association twice with the same number.

    Wrong: an answer other than EEXIST to the second.
    """
    for kind in await _kinds(subject):
        await _create(kind, 0)
        answer = await kind.create(0, 1)
        answer.expect("net-16.04", f"creating one of the {kind.name} again", AdminStatus.EEXIST)


def _not_offered(kind: Associations) -> Iterator[tuple[str, dict[str, Any]]]:
    """Parameters of an association that the device does not offer."""
    mode = kind.mode

    def missing(name: str, bits: int) -> int | None:
        free = [bit for bit in range(1, bits) if not int(mode[name]) >> bit & 1]
        return free[0] if free else None

    yield "a mode that does not exist", {"mode": _NO_MODE}
    option = missing("options", 32)
    if option is not None:
        yield f"option {option}", {"options": 1 << option}
    for name, mask in (("cipher_algorithm", "cipher_algorithms"), ("auth_algorithm", "hmac_algorithms")):
        algorithm = missing(mask, 64)
        if algorithm is not None:
            yield f"{name} {algorithm}", {name: algorithm}


@check("net-16.05", "net-16.06", needs=_NEEDS)
async def associations_that_cannot_be(subject: Subject) -> None:
    """Creates security associations beyond the limit, and with a mode, an option and algorithms that are not
    offered.

    Wrong: one that is created.
    """
    for kind in await _kinds(subject, enabled=False):
        limit = await kind.enable()
        clause = _FAILS[kind.direction]
        answer = await kind.create(limit)
        answer.expect_failure(clause, f"creating number {limit} of the {kind.name}, which is the limit,")
        for what, fields in _not_offered(kind):
            content = kind.association(spi=1, **fields)
            answer = await kind.admin.create(kind.type, 0, content)
            answer.expect_failure(clause, f"creating one of the {kind.name} with {what}, not offered,")


@check("net-16.08", needs=_NEEDS)
async def association_is_created_again(subject: Subject) -> None:
    """Creates and destroys a security association three times.

    Wrong: one that cannot be created again.
    """
    for kind in await _kinds(subject):
        for turn in range(3):
            await _create(kind, 0, turn, "net-16.08")
            (await kind.destroy(0)).expect("net-16.02", f"destroying one of the {kind.name}")


@check("net-16.09", needs=_NEEDS)
async def associations_of_the_same_index(subject: Subject) -> None:
    """Creates two security associations with the same security parameters index.

    Wrong: an answer to the second other than a success and EINVAL.
    """
    for kind in await _kinds(subject):
        if kind.offered_limit() < 2:
            raise NotApplicable(f"there is only one of the {kind.name}")
        await _create(kind, 0)
        answer = await kind.admin.create(kind.type, 1, kind.data(0))
        what = f"creating one of the {kind.name} with the index of another"
        answer.expect("net-16.09", what, AdminStatus.OK, AdminStatus.EINVAL)


@check("net-16.10", needs=_NEEDS)
async def associations_end_with_a_reset(subject: Subject) -> None:
    """Creates a security association of each direction, resets the device, and creates them again.

    Wrong: one that is still there.
    """
    for kind in await _kinds(subject):
        await _create(kind, 0)
    for kind in await _kinds(subject, enabled=False):
        await kind.enable(clause="net-16.10")
        await _create(kind, 0, clause="net-16.10")
