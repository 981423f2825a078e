"""The ceiling of each link agrees with figures worked out by hand."""

import pytest

from ringwalker_sim.host import LINKS, Link, Split
from ringwalker_sim.performance import Case
from ringwalker_sim.performance.ceiling import Cost, blk_cost, net_cost, read_cost, write_cost

GEN3X8 = LINKS["gen3x8"]


@pytest.mark.parametrize(
    ("name", "raw", "tlp"), [("gen2x4", 16.0, 14.44), ("gen3x8", 63.02, 57.88), ("gen3x16", 126.03, 113.70)]
)
def test_gigabits_for_tlps(name, raw, tlp):
    assert LINKS[name].raw_gbps == pytest.approx(raw, abs=0.005)
    assert LINKS[name].tlp_gbps == pytest.approx(tlp, abs=0.006)
    assert LINKS[name].bytes_per_cycle(250) == pytest.approx(tlp / 2, rel=1e-3)


# Million frames a second, of 64 bytes, one descriptor each: split N=1, split N=32, packed N=1, each TX / RX.
FRAMES = {
    "gen2x4": [("8.9", "7.1"), ("15.9", "16.6"), ("11.6", "9.6")],
    "gen3x8": [("35.5", "28.3"), ("63.7", "66.5"), ("46.4", "38.5")],
    "gen3x16": [("69.7", "55.5"), ("125", "131"), ("91.1", "75.6")],
}
RINGS = [("split", 1), ("split", 32), ("packed", 1)]


def assert_shown(value: float, text: str) -> None:
    """Whether ``value`` rounds to ``text``."""
    decimals = len(text.partition(".")[2])
    assert abs(value - float(text)) <= 0.5001 * 10**-decimals, (value, text)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("at", range(3), ids=[f"{ring}-{batch}" for ring, batch in RINGS])
@pytest.mark.parametrize("direction", ["tx", "rx"])
def test_small_frames(name, at, direction):
    ring, batch = RINGS[at]
    cost = net_cost(LINKS[name], direction, 64, ring=ring, batch=batch)
    assert_shown(cost.rate(LINKS[name]) / 1e6, FRAMES[name][at][direction == "rx"])


def test_bytes_of_small_frames():
    # Doorbell 28, index 24, entry 24, descriptor 36, data 92; reads 4 * 24, used 32, index 28, message 28.
    assert net_cost(GEN3X8, "tx", 64) == Cost(up=184, down=204)
    # Three reads, data 96, used 32, index 28, message 28; the data does not come down.
    assert net_cost(GEN3X8, "rx", 64) == Cost(up=256, down=112)
    # 32 share doorbell 28, index 24, entries 20 + 64 and descriptors 2 * 20 + 512; each has its data.
    shared = Cost(up=(3 * 24 + (24 + 256) + 28 + 28) / 32, down=(28 + 24 + 84 + 552) / 32)
    assert net_cost(GEN3X8, "tx", 64, batch=32) == Cost(24, 92) + shared
    assert net_cost(GEN3X8, "tx", 64, ring="packed") == Cost(24 + 24 + 40 + 28, 28 + 36 + 92)


def test_bytes_of_small_frames_over_packed_rings():
    # 32 share doorbell 28, descriptors 2 * 20 + 512, and the driver's event structure 24, all down; up go
    # their reads 2 * 24, message 28, and used descriptors 2 * 24 + 512, or one, 24 + 16, if in order.
    use = {"ring": "packed", "batch": 32, "suppression": True}
    down, up = (28 + 552 + 24) / 32, (2 * 24 + 28) / 32
    assert net_cost(GEN3X8, "tx", 64, **use) == Cost(24 + up + 560 / 32, 92 + down)
    assert net_cost(GEN3X8, "tx", 64, in_order=True, **use) == Cost(24 + up + 40 / 32, 92 + down)
    assert net_cost(GEN3X8, "rx", 64, **use) == Cost(96 + up + 560 / 32, down)
    assert_shown(net_cost(GEN3X8, "rx", 64, in_order=True, **use).rate(GEN3X8) / 1e6, "72.6")


def test_in_order_a_split_ring_has_one_used_element_for_a_batch():
    plain = net_cost(GEN3X8, "rx", 64, batch=32)
    in_order = net_cost(GEN3X8, "rx", 64, batch=32, in_order=True)
    assert plain.up - in_order.up == pytest.approx(31 * 8 / 32)
    assert plain.down == in_order.down


def test_used_descriptors_of_longer_chains_lie_apart():
    use = {"ring": "packed", "batch": 32}
    direct = blk_cost(GEN3X8, "read", 512, **use)
    # 96 descriptors are three reads; each request has a used descriptor in a write of its own.
    assert direct.up == 24 + 2 * 280 + 28 + (3 * 24 + 28) / 32 + 40
    indirect = blk_cost(GEN3X8, "read", 512, indirect=True, **use)
    assert indirect.up == 24 + 2 * 280 + 28 + 24 + (24 + 28 + 560) / 32
    assert blk_cost(GEN3X8, "read", 512, in_order=True, **use).up == pytest.approx(direct.up - 40 * 31 / 32)


@pytest.mark.parametrize(("name", "gbps"), [("gen2x4", "13.1"), ("gen3x8", "52.5"), ("gen3x16", "103")])
def test_large_frames(name, gbps):
    # 1526 bytes with the header are 382 dwords: six completions of 20, and a share of 21.5 for the queue.
    cost = net_cost(LINKS[name], "tx", 1514, batch=32)
    assert cost.down == 6 * 20 + 1528 + 21.5
    assert_shown(cost.rate(LINKS[name]) * 1514 * 8 / 1e9, gbps)


@pytest.mark.parametrize(("name", "million"), [("gen2x4", "0.40"), ("gen3x8", "1.58"), ("gen3x16", "3.11")])
@pytest.mark.parametrize("indirect", [False, True])
def test_block_reads(name, million, indirect):
    rate = blk_cost(LINKS[name], "read", 4096, batch=32, indirect=indirect).rate(LINKS[name])
    assert_shown(rate / 1e6, million)
    if name == "gen3x8":
        assert_shown(rate * 4096 / 1e9, "6.5")


def test_bytes_of_block_requests():
    shared_up = (24 + 24 + (24 + 256) + 28 + 28) / 32
    shared_down = (28 + 24 + 84) / 32
    read = blk_cost(GEN3X8, "read", 4096, batch=32)
    assert read == Cost(24 + 24 + 16 * 280 + 28 + shared_up, 68 + 36 + shared_down)
    write = blk_cost(GEN3X8, "write", 4096, batch=32)
    assert write == Cost(24 + 24 + 8 * 24 + 28 + shared_up, 68 + 36 + 16 * 20 + 4096 + shared_down)
    indirect = blk_cost(GEN3X8, "read", 4096, batch=32, indirect=True)
    assert (indirect.up - read.up, indirect.down - read.down) == (24 / 32, (2 * 20 + 512) / 32)


def test_several_queues_have_batches_of_what_each_has_in_flight():
    # 64 in flight over 16 queues are 4 each: they share doorbell 28, index 24, and entries 20 + 8, down;
    # up go the reads of those 2 * 24, used elements 24 + 32, index 28 and message 28.
    case = Case(direction="write", size=512, queues=16)
    own_up, own_down = 24 + 24 + 24 + 28, 68 + 36 + 2 * 20 + 512
    assert case.cost == Cost(own_up + (2 * 24 + 56 + 28 + 28) / 4, own_down + (28 + 24 + 28) / 4)
    packed = Case(direction="write", size=512, queues=16, ring="packed")
    # 12 descriptors are one read, and its event structure is read behind four used descriptors.
    event = 24
    assert packed.cost == Cost(
        24 + 24 + 28 + 40 + (24 + event + 28) / 4, 36 + 2 * 20 + 512 + (28 + 20 + 192 + event) / 4
    )


@pytest.mark.parametrize(
    ("depth", "queues", "batch"), [(64, 1, 32), (64, 2, 32), (64, 3, 21), (64, 16, 4), (8, 16, 1), (8, 1, 8)]
)
def test_a_batch_is_no_more_than_a_queue_has_in_flight(depth, queues, batch):
    assert Case(depth=depth, queues=queues).batch == batch


def test_sizes_change_the_count_of_packets():
    assert write_cost(GEN3X8, 257) == Cost(up=2 * 24 + 260)
    assert read_cost(GEN3X8, 513) == Cost(up=2 * 24, down=3 * 20 + 516)
    assert read_cost(Link(3, 8, split=Split.SMALLEST), 512) == Cost(up=24, down=8 * 20 + 512)
    smallest = Link(3, 8, read_completion_boundary=128, split=Split.SMALLEST)
    assert read_cost(smallest, 512) == Cost(up=24, down=4 * 20 + 512)
    assert write_cost(Link(3, 8, max_payload=128), 256) == Cost(up=2 * 24 + 256)
    assert read_cost(Link(3, 8, max_read_request=4096), 4096) == Cost(up=24, down=16 * 20 + 4096)


def test_wrong_values_are_named():
    for text, call in (
        ("generation is 4", lambda: Link(4, 8)),
        ("lanes is 3", lambda: Link(3, 3)),
        ("max_payload is 100", lambda: Link(3, 8, max_payload=100)),
        ("direction is 'up'", lambda: net_cost(GEN3X8, "up", 64)),
        ("direction is 'tx'", lambda: blk_cost(GEN3X8, "tx", 64)),
        ("batch is 0", lambda: blk_cost(GEN3X8, "read", 512, batch=0)),
        ("ring is 'round'", lambda: net_cost(GEN3X8, "tx", 64, ring="round")),
        ("batch is 0", lambda: net_cost(GEN3X8, "tx", 64, batch=0)),
        ("size is 0", lambda: blk_cost(GEN3X8, "read", 0)),
    ):
        with pytest.raises(ValueError, match=text):
            call()
