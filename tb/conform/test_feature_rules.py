"""Which feature bits there are, and what they require."""

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NetFeature
from ringwalker_sim.conform.feature_rules import bits_of, known_features, unmet, valid_part


def mask(*features: int) -> int:
    return sum(1 << feature for feature in features)


def test_bits_of_a_mask_are_numbered():
    assert bits_of(mask(0, 5, 70)) == [0, 5, 70]


def test_a_type_has_its_own_bits_and_those_of_all():
    blk = known_features(DeviceType.BLK)
    assert blk >> Feature.RING_PACKED & 1
    assert not blk >> NetFeature.GUEST_HDRLEN & 1
    assert bits_of(known_features(DeviceType.ENTROPY) & 0xFF_FFFF) == []
    assert bits_of(blk & mask(44, 45, 49, 128)) == []


def test_bits_of_the_legacy_interface_are_for_that_alone():
    for feature in (Feature.NOTIFY_ON_EMPTY, Feature.ANY_LAYOUT):
        assert not known_features(DeviceType.NET) >> feature & 1
        assert known_features(DeviceType.NET, legacy=True) >> feature & 1


def test_a_type_that_is_not_known_may_have_all_bits_of_its_ranges():
    assert bits_of(known_features(16) & mask(0, 23, 41, 42, 50, 127)) == [0, 23, 41, 42, 50, 127]


def test_one_of_a_group_is_enough():
    ecn = mask(NetFeature.HOST_ECN, NetFeature.CSUM)
    assert unmet(DeviceType.NET, ecn) == [(NetFeature.HOST_ECN, (NetFeature.HOST_TSO4, NetFeature.HOST_TSO6))]
    assert unmet(DeviceType.NET, ecn | mask(NetFeature.HOST_TSO6)) == []
    assert unmet(DeviceType.BLK, ecn) == []


def test_what_requires_something_that_is_left_out_is_left_out_too():
    chain = mask(NetFeature.HOST_UDP_TUNNEL_GSO_CSUM, NetFeature.HOST_UDP_TUNNEL_GSO, NetFeature.HOST_TSO4)
    assert valid_part(DeviceType.NET, chain | mask(NetFeature.CSUM)) == mask(
        NetFeature.HOST_TSO4, NetFeature.CSUM
    )


def test_bit_30_is_never_accepted():
    assert valid_part(DeviceType.BLK, mask(30, Feature.VERSION_1)) == mask(Feature.VERSION_1)
