"""The legacy header over the registers: each register, each size of access, both faces after each other."""

import random

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_BAR,
    LEGACY_FEATURES,
    legacy_device_offset,
    legacy_driver_offset,
)
from ringwalker.spec.modern import DEVICE_BASE, FACE_BAR, NO_VECTOR, DeviceStatus, IsrBit
from ringwalker.spec.net import NET_CONFIG, NetFeature
from ringwalker.transport.legacy_face import LegacyFace
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.legacy_bench import FEATURES, LegacyBench

SIZE = 256
WORD = 0xFFFF_FFFF
HOLD = 200
STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER


class Old(LegacyBench):
    """A legacy device."""

    CONFIG = DeviceConfig(function="net", data_width=64, face="legacy", queue_size=SIZE)


class Both(LegacyBench):
    """A transitional one."""

    CONFIG = DeviceConfig(function="net", data_width=64, face="transitional", identity=Identity("oasis"))


@simulated(Old)
async def test_what_the_header_reads_as_after_reset(bench):
    found = {row.name: await bench.get_old(row.name) for row in LEGACY}
    assert found == {
        "device_features": FEATURES & WORD | LEGACY_FEATURES,
        "driver_features": 0,
        "queue_pfn": 0,
        "queue_size": SIZE,
        "queue_select": 0,
        "queue_notify": 0,
        "device_status": 0,
        "isr_status": 0,
    }
    assert LEGACY_FEATURES == 1 << 24 | 1 << 27


@simulated(Old)
async def test_bits_that_are_withheld_are_not_offered(bench):
    bench.drive("withheld", 1 << NetFeature.STATUS)
    offered = FEATURES & WORD & ~(1 << NetFeature.STATUS) | LEGACY_FEATURES
    assert await bench.get_old("device_features") == offered
    await bench.set_old("driver_features", WORD)
    assert await bench.get_old("driver_features") == WORD
    assert bench.value("driver_features") == offered


@simulated(Both)
async def test_features_count_at_once_and_none_beyond_32(bench):
    await bench.set_old("device_status", STARTED)
    for mask in (WORD, 0, 1 << Feature.NOTIFY_ON_EMPTY, 1 << Feature.EVENT_IDX | 1):
        await bench.set_old("driver_features", mask)
        await bench.settled()
        assert bench.value("driver_features") == mask & (FEATURES | LEGACY_FEATURES) & WORD
    await bench.set_new("driver_feature_select", 1)
    await bench.set_new("driver_feature", WORD)
    await bench.set_old("device_status", STARTED | DeviceStatus.DRIVER_OK)
    assert bench.value("driver_features") == 1 << Feature.EVENT_IDX
    assert await bench.get_new("driver_feature_select") == 1, "the select is as it was"


@simulated(Old)
async def test_a_queue_begins_at_its_page_and_is_laid_out_from_there(bench):
    for queue, page in ((0, 1), (2, 0xFFFF_FFFF), (1, 0x12345)):
        await bench.set_old("queue_select", queue)
        assert await bench.get_old("queue_select") == queue
        await bench.set_old("queue_pfn", page)
        assert await bench.get_old("queue_pfn") == page
        assert await bench.row(queue) == {
            "desc": page << 12,
            "driver": (page << 12) + legacy_driver_offset(SIZE),
            "device": (page << 12) + legacy_device_offset(SIZE),
            "size": SIZE,
            "enable": 1,
        }
    await bench.set_old("queue_select", 0)
    assert await bench.get_old("queue_pfn") == 1


@simulated(Old)
async def test_a_queue_that_is_not_there_has_no_size_and_no_place(bench):
    for queue in (3, 0x100, 0xFFFF):
        await bench.set_old("queue_select", queue)
        assert await bench.get_old("queue_size") == 0
        await bench.set_old("queue_pfn", 5)
        assert await bench.get_old("queue_pfn") == 0
    for queue in range(3):
        assert (await bench.row(queue))["enable"] == 0


@simulated(Old)
async def test_a_queue_in_use_does_not_move_and_is_freed_by_0(bench):
    await bench.set_old("device_status", STARTED)
    await bench.set_old("queue_pfn", 7)
    await bench.set_old("queue_pfn", 9)
    assert await bench.get_old("queue_pfn") == 7
    bench.drive("busy", 1)
    await bench.set_old("queue_pfn", 0)
    bench.put("registers.requests", {"bar": LEGACY_BAR, "offset": LEGACY.queue_pfn.offset, "strobe": 15})
    await bench.cycles(300)
    assert bench.value("queue_reset_request")
    assert not bench.got("registers.responses"), "the next access waits until the queue is free"
    bench.drive("busy", 0)
    assert (await bench.get("registers.responses"))["data"] == 0
    assert await bench.row(0) == {"desc": 0, "driver": 0, "device": 0, "size": SIZE, "enable": 0}
    await bench.set_old("queue_pfn", 9)
    assert await bench.get_old("queue_pfn") == 9


@simulated(Old)
async def test_freeing_a_queue_is_bounded(bench):
    await bench.set_old("device_status", STARTED)
    await bench.set_old("queue_pfn", 7)
    await bench.set_old("queue_pfn", 0)
    await bench.settled()
    await bench.set_old("queue_pfn", 0)
    assert await bench.get_old("queue_pfn") == 0, "a queue that is free is free"


@simulated(Old)
async def test_a_part_of_a_page_number_has_no_effect(bench):
    place = LEGACY.queue_pfn.offset
    for offset, size in ((0, 1), (0, 2), (1, 1), (2, 2), (1, 3)):
        await bench.write(LEGACY_BAR, place + offset, size, 0x010101)
    assert (await bench.row(0))["enable"] == 0
    await bench.set_old("queue_pfn", 0x010203)
    for offset, size in ((0, 1), (0, 2), (2, 2)):
        await bench.write(LEGACY_BAR, place + offset, size, 0)
    assert await bench.get_old("queue_pfn") == 0x010203


@simulated(Old)
async def test_doorbells_are_rung_from_the_first_status_bit_on(bench):
    await bench.set_old("queue_notify", 1)
    await bench.settled()
    assert bench.got("doorbells") == [], "nobody has begun"
    await bench.set_old("device_status", DeviceStatus.ACKNOWLEDGE)
    assert bench.value("legacy")
    for queue in (1, 2, 0):
        await bench.set_old("queue_notify", queue)
        assert (await bench.get("doorbells"))["queue"] == queue
    for queue in (3, 0x100, 0xFFFF):
        await bench.set_old("queue_notify", queue)
    await bench.settled()
    assert bench.got("doorbells") == []
    await bench.write(LEGACY_BAR, LEGACY.queue_notify.offset, 4, 7 << 16 | 2)
    assert (await bench.get("doorbells"))["queue"] == 2
    assert await bench.get_old("device_status") == 7, "a dword has the status too"


@simulated(Old)
async def test_driver_ok_needs_no_features_ok(bench):
    status = 0
    for bit in (DeviceStatus.ACKNOWLEDGE, DeviceStatus.DRIVER, DeviceStatus.DRIVER_OK):
        status |= bit
        await bench.set_old("device_status", status)
        assert await bench.get_old("device_status") == status
        assert bench.value("driver_ok")
    await bench.set_old("device_status", status | DeviceStatus.FEATURES_OK)
    assert await bench.get_old("device_status") == status
    bench.drive("needs_reset", 1)
    await bench.cycles(3)
    assert not bench.value("driver_ok")


@simulated(Old)
async def test_a_reset_is_over_when_the_next_access_is_answered(bench):
    await bench.set_old("queue_select", 2)
    await bench.set_old("queue_pfn", 5)
    await bench.set_old("driver_features", 1 << Feature.EVENT_IDX)
    await bench.set_old("device_status", STARTED | DeviceStatus.DRIVER_OK)
    bench.drive("busy", 1)
    await bench.set_old("device_status", 0)
    bench.put("registers.requests", {"bar": LEGACY_BAR, "offset": 0x10, "strobe": 0b0100})
    await bench.cycles(500)
    assert bench.value("reset_request")
    assert not bench.got("registers.responses")
    bench.drive("busy", 0)
    assert (await bench.get("registers.responses"))["data"] >> 16 & 0xFF == 0
    assert not bench.value("reset_request")
    assert await bench.get_old("queue_select") == 0
    assert await bench.get_old("driver_features") == 0
    assert bench.value("driver_features") == 0
    assert (await bench.row(2))["enable"] == 0


class Alone(Bench):
    """The face before registers that are never reset."""

    @classmethod
    def component(cls):
        return LegacyFace(Old.CONFIG, hold_cycles=HOLD)

    def __init__(self):
        super().__init__()
        self.on("o.requests", self._answer)

    def _answer(self, request):
        if not request["write"]:
            self.put("o.responses", {"data": WORD})


@simulated(Alone)
async def test_no_access_waits_for_a_reset_forever(bench):
    for write in ({"offset": 0x10, "strobe": 0b0100}, {"offset": LEGACY.queue_pfn.offset, "strobe": 0b1111}):
        begin = bench.cycle
        bench.put("i.requests", {"bar": LEGACY_BAR, "write": 1, **write})
        bench.put("i.requests", {"bar": LEGACY_BAR, "offset": 0x10, "strobe": 0b0100})
        assert (await bench.get("i.responses"))["data"] == 0xFF << 16
        assert HOLD < bench.cycle - begin < HOLD + 40


@simulated(Old)
async def test_only_a_read_of_its_byte_clears_the_isr(bench):
    for offset, size in ((0x10, 2), (0x12, 1), (0x10, 1), (0x11, 2), (0x14, 4)):
        bench.drive("set_queue", 1)
        await bench.cycles(1)
        bench.drive("set_queue", 0)
        await bench.read(LEGACY_BAR, offset, size)
        assert bench.value("asserted")
    assert await bench.get_old("isr_status") == IsrBit.QUEUE
    assert not bench.value("asserted")
    bench.drive("set_config", 1)
    await bench.cycles(1)
    bench.drive("set_config", 0)
    await bench.set_old("device_status", 1)
    await bench.set_old("isr_status", 0)
    assert await bench.read(LEGACY_BAR, 0x10, 4) == IsrBit.CONFIG << 24 | 1 << 16
    assert await bench.read(LEGACY_BAR, 0x10, 4) == 1 << 16


@simulated(Old)
async def test_the_device_configuration_moves_with_msix(bench):
    mac = int.from_bytes(bench.CONFIG.settings.address, "little")
    mtu = bench.CONFIG.settings.mtu
    for enabled in (0, 1, 0):
        bench.drive("msix_enable", enabled)
        await bench.cycles(1)
        at = 24 if enabled else 20
        assert bench.config_place("mac") == at
        for size in (1, 2, 4, 6):
            assert await bench.read(LEGACY_BAR, at, size) == mac & (1 << 8 * size) - 1
        assert [await bench.read(LEGACY_BAR, at + n, 1) for n in range(6)] == list(mac.to_bytes(6, "little"))
        assert await bench.read(LEGACY_BAR, at + NET_CONFIG.mtu.offset, 2) == mtu
        assert await bench.read(LEGACY_BAR, at + NET_CONFIG.mtu.offset - 1, 4) == mtu << 8
        assert await bench.read(LEGACY_BAR, at + NET_CONFIG.size, 4) == 0
        assert await bench.read(LEGACY_BAR, 60, 4) == 0


@simulated(Old)
async def test_the_address_is_written_before_anything_else(bench):
    for enabled in (0, 1):
        bench.drive("msix_enable", enabled)
        await bench.cycles(1)
        address = random.Random(enabled).randbytes(6)
        for n, byte in enumerate(address):
            await bench.write(LEGACY_BAR, bench.config_place("mac") + n, 1, byte)
        assert await bench.read(LEGACY_BAR, bench.config_place("mac"), 6) == int.from_bytes(address, "little")


@simulated(Old)
async def test_vectors_are_there_with_msix_only(bench):
    mac = int.from_bytes(bench.CONFIG.settings.address, "little")
    assert await bench.get_old("config_msix_vector") == mac & 0xFFFF
    bench.drive("msix_enable", 1)
    await bench.cycles(1)
    assert await bench.read(LEGACY_BAR, 0x14, 4) == WORD
    await bench.set_old("config_msix_vector", 3)
    for queue in range(3):
        await bench.set_old("queue_select", queue)
        await bench.set_old("queue_msix_vector", queue)
    for queue in range(3):
        await bench.set_old("queue_select", queue)
        assert await bench.get_old("queue_msix_vector") == queue
    assert await bench.read(LEGACY_BAR, 0x14, 4) == 2 << 16 | 3
    await bench.write(LEGACY_BAR, 0x14, 4, 4 << 16 | 9)
    assert await bench.read(LEGACY_BAR, 0x14, 4) == NO_VECTOR << 16 | NO_VECTOR, "there are 4"


# --- both faces --------------------------------------------------------------------------------------------


async def negotiate_modern(bench):
    await bench.set_new("device_status", STARTED)
    await bench.set_new("driver_feature_select", 1)
    await bench.set_new("driver_feature", 1 << Feature.VERSION_1 - 32)
    await bench.set_new("device_status", STARTED | DeviceStatus.FEATURES_OK)
    assert await bench.get_new("device_status") == STARTED | DeviceStatus.FEATURES_OK


@simulated(Both)
async def test_a_modern_driver_finds_what_a_modern_device_has(bench):
    for half in range(2):
        await bench.set_new("device_feature_select", half)
        assert await bench.get_new("device_feature") == FEATURES >> 32 * half & WORD
    await negotiate_modern(bench)
    assert not bench.value("legacy")
    assert not bench.value("driver_ok")
    await bench.set_new("device_status", STARTED | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK)
    await bench.settled()
    assert bench.value("driver_ok")
    assert bench.value("driver_features") == 1 << Feature.VERSION_1


@simulated(Both)
async def test_without_version_1_a_modern_driver_gets_nowhere(bench):
    await bench.set_new("device_status", STARTED | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK)
    assert await bench.get_new("device_status") == STARTED
    assert not bench.value("driver_ok")


@simulated(Both)
async def test_who_begins_has_the_device_until_it_is_reset(bench):
    for _ in range(2):
        await bench.set_old("device_status", STARTED)
        assert await bench.get_new("device_status") == STARTED, "the registers are the same"
        assert bench.value("legacy")
        await bench.set_new("driver_feature_select", 1)
        await bench.set_new("driver_feature", 1 << Feature.VERSION_1 - 32)
        await bench.set_new("device_status", DeviceStatus.FEATURES_OK)
        assert await bench.get_new("device_status") == STARTED, "it is a legacy driver's"
        assert bench.value("legacy")
        await bench.set_new("device_status", 0)
        await bench.until(lambda: not bench.value("reset_request"))
        await bench.settled()
        assert not bench.value("legacy")
        await negotiate_modern(bench)
        await bench.set_old("device_status", STARTED | DeviceStatus.DRIVER_OK)
        await bench.set_old("driver_features", WORD)
        await bench.settled()
        assert not bench.value("legacy"), "it is a modern driver's"
        assert bench.value("driver_features") == 1 << Feature.VERSION_1
        await bench.set_old("device_status", 0)
        assert await bench.get_new("device_status") == 0, "the reset through the other face is over"


@simulated(Both)
async def test_a_status_is_that_of_the_face_through_which_it_was_written(bench):
    """Whenever it comes in a reset through the other one that nobody waits for."""
    kept = 0
    for delay in range(8, 28):
        await bench.set_new("device_status", 0)
        await bench.cycles(delay)
        await bench.set_old("device_status", STARTED)
        await bench.settled()
        status = await bench.get_old("device_status")
        assert bool(status) == bench.value("legacy"), f"{delay} cycles after the reset"
        kept += bool(status)
    assert 0 < kept < 20


@simulated(Both)
async def test_a_legacy_driver_may_begin_with_a_queue_or_features(bench):
    for name in ("driver_features", "queue_pfn"):
        await bench.set_old(name, 1)
        await bench.settled()
        assert bench.value("legacy")
        assert not bench.value("driver_ok")
        await bench.set_old("device_status", 0)
        await bench.settled()
        assert not bench.value("legacy")
    for name in ("queue_select", "queue_notify", "device_status", "queue_pfn", "isr_status"):
        await bench.set_old(name, 0)
        await bench.settled()
        assert not bench.value("legacy")


@simulated(Both)
async def test_a_queue_that_a_modern_driver_made_smaller_has_its_size_again(bench):
    await bench.set_new("queue_size", 8)
    await bench.set_new("queue_desc", 0x1230)
    assert await bench.get_old("queue_size") == SIZE
    await bench.set_old("queue_pfn", 2)
    assert await bench.get_new("queue_size") == SIZE
    assert await bench.get_new("queue_desc") == 0x2000
    assert await bench.get_new("queue_device") == 0x2000 + legacy_device_offset(SIZE)
    assert await bench.get_new("queue_enable") == 1


@simulated(Both)
async def test_a_modern_driver_does_not_notice_what_a_legacy_one_reads(bench):
    await bench.set_new("device_feature_select", 1)
    await bench.set_new("driver_feature_select", 3)
    await bench.set_new("queue_select", 1)
    for row in LEGACY:
        await bench.get_old(row.name)
    for name, value in (("device_feature_select", 1), ("driver_feature_select", 3), ("queue_select", 1)):
        assert await bench.get_new(name) == value


# --- whatever a driver does --------------------------------------------------------------------------------


async def hostile(bench, count):
    bench.stall(probability=0.3)
    random_of = bench.random
    bench.on("doorbells", lambda item: None)
    answered = asked = 0
    for _ in range(count):
        if random_of.random() < 0.05:
            bench.drive("msix_enable", random_of.getrandbits(1))
        if random_of.random() < 0.03:
            bench.drive("busy", random_of.getrandbits(1))
        write = random_of.getrandbits(1)
        bar, offset = (
            LEGACY_BAR,
            random_of.choice([random_of.randrange(0, 64, 4), random_of.randrange(0, 1 << 24, 4)]),
        )
        if random_of.random() < 0.3:
            bar = random_of.choice([FACE_BAR, FACE_BAR, 2])
            offset = random_of.choice([random_of.randrange(0, 0x40, 4), DEVICE_BASE, 0x1000, 0x3004])
        data = random_of.choice([0, 1, random_of.getrandbits(32), random_of.randrange(4) << 16])
        request = {
            "bar": bar,
            "offset": offset,
            "strobe": random_of.randrange(16),
            "write": write,
            "data": data,
        }
        bench.put("registers.requests", request)
        asked += not write
        await bench.until(lambda: not bench.pending("registers.requests"), "an access", 4500)
        if not write:
            await bench.get("registers.responses", 4500)
            answered += 1
        if bench.cycle > 17_000:
            break
    bench.stall(probability=0.0)
    bench.drive("busy", 0)
    assert answered == asked > 50
    bench.drive("msix_enable", 0)
    await bench.set_old("device_status", 0)
    assert await bench.get_old("device_status") == 0
    await bench.set_old("queue_select", 1)
    assert await bench.get_old("queue_size") == SIZE
    await bench.set_old("queue_pfn", 3)
    assert (await bench.row(1))["desc"] == 3 << 12


@simulated(Old)
async def test_no_access_harms_a_legacy_device(bench):
    await hostile(bench, 300)


@simulated(Both)
async def test_no_access_harms_a_transitional_device(bench):
    await hostile(bench, 300)
