"""Feature bits: what is offered, what is accepted. Ref: virtio 1.4, 2.2, 4.1.4.3, 6."""

from random import Random

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.pci_extended import ExtendedCapabilityId

from ..check import WAYS, Nonconformance, check
from ..conditions import offers
from ..feature_rules import OPTIONAL_TRANSPORT, bits_of, known_features, unmet, valid_part
from ..pci_view import extended_capabilities
from ..stimulus import stimulus
from ..subject import STARTED, Subject

__all__: list[str] = []

_WORDS = (2, 3, 4, 0x8000_0000, 0xFFFF_FFFF)
"""Values of the select registers that choose no feature bits that there are, or none but a type's own."""
_DRIVER = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
_FEATURES_OK = STARTED & ~DeviceStatus.DRIVER_OK


async def _propose(subject: Subject, mask: int) -> bool:
    """Reset the device, write ``mask`` as accepted, and set FEATURES_OK; whether it stays."""
    await subject.reset()
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    await subject.set_status(_DRIVER)
    await subject.transport.accept_features(mask)
    await subject.set_status(_FEATURES_OK)
    return bool(await subject.status() & DeviceStatus.FEATURES_OK)


def _needed(subject: Subject) -> int:
    """What a device may insist on, of what it offers, and the rings of the way."""
    needed = sum(1 << feature for feature in OPTIONAL_TRANSPORT if subject.offers(feature))
    return needed | subject.wanted() & 1 << Feature.RING_PACKED


@check("core-15.01")
async def version_1_is_offered(subject: Subject) -> None:
    """Reads the features that are offered.

    Wrong: VERSION_1 is not among them.
    """
    if not subject.offers(Feature.VERSION_1):
        raise Nonconformance("core-15.01", f"{subject.offered:#x} is offered, without VERSION_1")


@check("core-02.04", ways=WAYS)
async def no_unknown_feature_is_offered(subject: Subject) -> None:
    """Reads the features that are offered and compares them with those that the specification has for the
    type of the device.

    Wrong: a reserved bit, or one that belongs to no feature of the type.
    """
    foreign = subject.offered & ~known_features(subject.type, subject.legacy)
    if foreign:
        raise Nonconformance(
            "core-02.04", f"bits {bits_of(foreign)} are offered, which a {subject.name} device does not have"
        )


@check("core-02.01", ways=WAYS)
async def offered_features_have_what_they_require(subject: Subject) -> None:
    """Reads the features that are offered.

    Wrong: one is offered that requires another, which is not.
    """
    for feature, group in unmet(subject.type, subject.offered):
        raise Nonconformance("core-02.01", f"feature {feature} is offered, and none of {group}")


@check("pci-05.03", "core-02.04")
async def device_features_follow_the_select(subject: Subject) -> None:
    """Selects each word of the feature bits in turn, words far beyond the last, and each again in the other
    order; device_feature is read twice each time.

    Wrong: a word that changes from one reading to the next, or bits in words that have none.
    """
    seen: dict[int, int] = {}
    for word in (0, 1, *_WORDS, *reversed(_WORDS), 1, 0):
        await subject.set_common("device_feature_select", word)
        if (chosen := await subject.common("device_feature_select")) != word:
            raise Nonconformance("pci-05.03", f"device_feature_select is {chosen:#x} after {word:#x}")
        for _ in range(2):
            bits = await subject.common("device_feature")
            if seen.setdefault(word, bits) != bits:
                raise Nonconformance("pci-05.03", f"word {word:#x} is {seen[word]:#x}, and then {bits:#x}")
    known = known_features(subject.type)
    for word, bits in seen.items():
        possible = known >> 32 * word & 0xFFFF_FFFF if word < 4 else 0
        if bits & ~possible:
            raise Nonconformance("pci-05.03", f"word {word:#x} of the feature bits shows {bits:#x}")


@check("pci-05.04")
async def driver_features_read_as_written(subject: Subject) -> None:
    """Writes parts of the offered features as accepted, word by word, and reads each word by its select.

    Wrong: a valid bit that was written reads as 0, or the words are mixed up.
    """
    await subject.set_status(DeviceStatus.ACKNOWLEDGE)
    await subject.set_status(_DRIVER)
    masks = [subject.offered, 0, *(subject.offered & pattern for pattern in _PATTERNS)]
    for mask in (valid_part(subject.type, item) for item in masks):
        await subject.transport.accept_features(mask)
        for word in (1, 0, 1):
            await subject.set_common("driver_feature_select", word)
            bits, wanted = await subject.common("driver_feature"), mask >> 32 * word & 0xFFFF_FFFF
            if bits & subject.offered >> 32 * word != wanted:
                raise Nonconformance("pci-05.04", f"word {word} is {bits:#x}, and {wanted:#x} was written")


_PATTERNS = (0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0xFFFF_FFFF, 0xFFFF_FFFF << 32)


@check("pci-05.05", "core-02.03")
async def features_not_offered_are_refused(subject: Subject) -> None:
    """Writes each of some features as accepted that are not offered. The device may show the bit or not.

    Wrong: it shows the bit as accepted, and FEATURES_OK all the same.
    """
    needed = valid_part(subject.type, _needed(subject))
    foreign = [bit for bit in range(64) if not subject.offers(bit)]
    for bit in subject.random.sample(foreign, min(len(foreign), 8)):
        accepted = await _propose(subject, needed | 1 << bit)
        await subject.set_common("driver_feature_select", bit // 32)
        shown = await subject.common("driver_feature") >> bit % 32 & 1
        if shown and accepted:
            raise Nonconformance("core-02.03", f"feature {bit} is accepted, which is not offered")


@check("core-02.03", needs=[offers(Feature.VERSION_1)])
async def invalid_features_are_refused_or_ignored(subject: Subject) -> None:
    """Accepts features without those that they require. The device may refuse them or leave them out.

    Wrong: a device that does not answer by its status, or cannot be used after it.
    """
    whole = valid_part(subject.type, subject.offered)
    for bit in bits_of(whole):
        mask = whole & ~(1 << bit)
        if unmet(subject.type, mask):
            await _propose(subject, mask)
    if not await _propose(subject, _needed(subject)):
        raise Nonconformance("core-02.02", "the smallest set of features is not accepted any more")


def _some_masks(random: Random) -> list[int]:
    return [random.getrandbits(64) | random.getrandbits(64) * (n % 2) for n in range(24)]


@check("core-02.02", "core-02.05", steps=_some_masks)
async def valid_features_are_accepted(subject: Subject, steps: list[int]) -> None:
    """Accepts parts of what is offered that leave out nothing that they require, at random, each of them
    twice; and at last all that is offered.

    Wrong: FEATURES_OK is refused for one, or for one that was accepted before.
    """
    for step in (*steps, (1 << 64) - 1):
        mask = valid_part(subject.type, subject.offered & step | _needed(subject))
        if not await _propose(subject, mask):
            raise Nonconformance("core-02.02", f"the offered features {mask:#x} are not accepted")
        if not await _propose(subject, mask):
            raise Nonconformance("core-02.05", f"features {mask:#x} are accepted once, and then not any more")


@check("core-15.02", "core-15.04", "core-15.06", "core-15.07")
async def optional_transport_features_are_left_out(subject: Subject) -> None:
    """Negotiates without VERSION_1, ACCESS_PLATFORM and ORDER_PLATFORM in turn, as far as they are offered.
    The device may refuse; if it does not, and VERSION_1 is accepted, it has to work.

    Wrong: a device that accepts the features and does not work, or that cannot be used after it.
    """
    for left_out in OPTIONAL_TRANSPORT:
        if not subject.offers(left_out):
            continue
        accepted = await _propose(subject, subject.wanted() & ~(1 << left_out))
        if accepted and left_out is not Feature.VERSION_1:
            await _work(subject, subject.wanted() & ~(1 << left_out), left_out)
        elif not accepted and await subject.status() & DeviceStatus.FEATURES_OK:
            raise Nonconformance("core-02.03", "FEATURES_OK was refused, and is set later")
    await subject.start()
    await subject.reset()


async def _work(subject: Subject, mask: int, left_out: Feature) -> None:
    """One piece of work with exactly these features."""
    clause = "core-15.04" if left_out is Feature.ACCESS_PLATFORM else "core-15.06"
    try:
        await subject.start(accept=mask)
        await (await stimulus(subject)).do(1, clause)
    except Nonconformance as error:
        raise Nonconformance(clause, f"without {left_out.name}: {error}") from None


@check("core-15.08", "core-15.09")
async def sr_iov_goes_with_its_capability(subject: Subject) -> None:
    """Looks for the SR-IOV capability in extended configuration space, and for the feature.

    Wrong: one without the other.
    """
    found = ExtendedCapabilityId.SR_IOV in [item.id for item in await extended_capabilities(subject.pci)]
    if found and not subject.offers(Feature.SR_IOV):
        raise Nonconformance("core-15.08", "there is an SR-IOV capability, and the feature is not offered")
    if subject.offers(Feature.SR_IOV) and not found:
        raise Nonconformance("core-15.09", "SR_IOV is offered, and there is no such capability")
