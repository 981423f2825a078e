"""The monitor by itself: each rule on a device that breaks it, and on one that does not."""

from collections.abc import Callable

import pytest

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED
from ringwalker.spec.ring import DESC_F_WRITE, DEVICE_ALIGN, USED_FLAGS_OFFSET
from ringwalker_sim.testing.vip_scene import STARTED, Scene
from ringwalker_sim.vip import RULES
from ringwalker_sim.vip.rules import clause_of

USED = DESC_F_AVAIL | DESC_F_USED | DESC_F_WRITE
PACKED = (Feature.RING_PACKED,)

Break = Callable[[], Scene]
BROKEN: list[tuple[str, str, Break]] = []
"""Rule, clause, and a scene in which a device breaks it."""


def breaks(rule: str, clause: str) -> Callable[[Break], Break]:
    """The decorated function shows a device that breaks a rule."""

    def add(scene: Break) -> Break:
        BROKEN.append((rule, clause, scene))
        return scene

    return add


# --- what is right -------------------------------------------------------------------------------------


def test_a_device_that_keeps_to_the_rules_is_not_complained_of() -> None:
    scene = Scene()
    for _ in range(20):
        area = scene.offer(16, 32)
        scene.device_reads(scene.queue.driver_address + 2, 2)
        scene.device_reads(scene.queue.driver_address + 4, 2)
        scene.device_reads(scene.queue.desc_address, 16)
        scene.device_reads(area.address, 16)
        scene.device_writes(area.address + 16, bytes(32))
        scene.use(next(iter(scene.queue._chains)), 32)
        scene.monitor.interrupted(1)
        assert scene.queue.get_buf() == (area, 32)
        area.free()
    scene.wait()
    assert scene.found == []
    assert scene.findings.looked["used_length"] == 20


def test_a_part_of_a_buffer_may_be_written_and_more_than_is_said() -> None:
    scene = Scene()
    area = scene.offer(0, 64)
    scene.device_writes(area.address, bytes(40))
    scene.use(0, 24)
    assert scene.found == []


def test_what_is_beside_a_readable_byte_is_read_with_its_word() -> None:
    scene = Scene(granule=8)
    area = scene.offer(4, 8)
    scene.device_reads(area.address & -8, 8)
    assert scene.found == []


def test_the_index_may_come_with_the_entry_in_one_write() -> None:
    scene = Scene()
    area = scene.offer(0, 4)
    scene.device_writes(area.address, bytes(4))
    entry = bytes(2) + (1).to_bytes(2, "little") + (0).to_bytes(4, "little") + (4).to_bytes(4, "little")
    scene.device_writes(scene.queue.device_address, entry)
    assert scene.found == []


def test_a_driver_that_changes_its_mind_is_not_owed_an_interrupt() -> None:
    scene = Scene()
    scene.offer(8)
    scene.use(0, 0)
    scene.wait(500)
    scene.suppress()
    scene.wait()
    assert scene.found == []


def test_an_interrupt_in_time_is_enough() -> None:
    scene = Scene()
    scene.offer(8)
    scene.use(0, 0)
    scene.wait(900)
    scene.monitor.interrupted(1)
    scene.wait()
    assert scene.found == []


def test_a_reset_takes_away_what_has_to_come() -> None:
    scene = Scene()
    scene.offer(8)
    scene.use(0, 0)
    scene.reset()
    scene.wait()
    assert scene.found == []


def test_while_it_is_reset_a_device_may_end_what_it_does() -> None:
    scene = Scene()
    area = scene.offer(0, 8)
    scene.write("device_status", 0)
    scene.device_writes(area.address, bytes(8))
    assert scene.found == []


def test_a_paused_monitor_finds_nothing() -> None:
    scene = Scene()
    scene.monitor.paused = True
    scene.device_writes(0x1_8000, bytes(4))
    assert scene.found == []


def test_a_packed_ring_that_is_used_in_its_order() -> None:
    scene = Scene(PACKED)
    for place in range(8):
        area = scene.offer(0, 16)
        scene.device_reads(scene.queue.desc_address + 16 * place, 16)
        scene.device_writes(area.address, bytes(16))
        scene.descriptor(place, place, 16, USED)
        scene.monitor.interrupted(1)
        assert scene.queue.get_buf() is not None
    scene.wait()
    assert scene.found == []
    assert scene.findings.looked["used_length"] == 8


# --- what is wrong: memory -----------------------------------------------------------------------------


@breaks("write_granted", "core-07.01")
def writes_beside_a_buffer() -> Scene:
    scene = Scene()
    area = scene.offer(0, 16)
    scene.device_writes(area.address + 12, bytes(8))
    return scene


@breaks("write_granted", "core-07.01")
def writes_a_readable_buffer() -> Scene:
    scene = Scene()
    scene.device_writes(scene.offer(16).address, bytes(4))
    return scene


@breaks("write_granted", "core-13.01")
def writes_a_readable_buffer_of_a_packed_ring() -> Scene:
    scene = Scene(PACKED)
    scene.device_writes(scene.offer(16).address, bytes(4))
    return scene


@breaks("read_granted", "core-07.02")
def reads_a_writable_buffer() -> Scene:
    scene = Scene()
    scene.device_reads(scene.offer(0, 16).address, 4)
    return scene


@breaks("read_granted", "core-13.02")
def reads_where_nothing_is() -> Scene:
    scene = Scene(PACKED)
    scene.device_reads(0x1_8000, 4)
    return scene


@breaks("rings_not_written", "core-07.04")
def writes_a_descriptor() -> Scene:
    scene = Scene()
    scene.offer(16)
    scene.device_writes(scene.queue.desc_address, bytes(4))
    return scene


@breaks("rings_not_written", "core-07.04")
def writes_an_indirect_table() -> Scene:
    scene = Scene([Feature.INDIRECT_DESC])
    scene.offer(16, 16)
    table = int.from_bytes(scene.memory.read(scene.queue.desc_address, 8), "little")
    scene.device_writes(table, bytes(4))
    return scene


@breaks("memory_after_reset", "core-03.02")
def goes_on_after_a_reset() -> Scene:
    scene = Scene()
    area = scene.offer(0, 16)
    scene.reset()
    scene.device_writes(area.address, bytes(4))
    return scene


@breaks("used_before_driver_ok", "core-01.01")
def uses_a_buffer_too_early() -> Scene:
    scene = Scene(running=False)
    scene.offer(16)
    scene.use(0, 0)
    return scene


@breaks("queue_off", "core-05.01")
def goes_on_after_the_reset_of_the_queue() -> Scene:
    scene = Scene([Feature.RING_RESET])
    scene.write("queue_reset", 1)
    scene.read("queue_reset", 0)
    scene.device_reads(scene.queue.driver_address + 2, 2)
    return scene


@breaks("queue_off", "mmio-01.07")
def goes_on_with_a_queue_that_is_not_ready() -> Scene:
    scene = Scene(mmio=True)
    scene.write("queue_enable", 0)
    scene.read("queue_enable", 0)
    scene.device_reads(scene.queue.driver_address + 2, 2)
    return scene


# --- what is wrong: used buffers -----------------------------------------------------------------------


@breaks("entry_before_index", "core-10.01")
def writes_the_index_first() -> Scene:
    scene = Scene()
    scene.offer(16)
    scene.show()
    return scene


@breaks("entry_before_index", "core-10.01")
def writes_half_of_an_entry() -> Scene:
    scene = Scene()
    scene.offer(16)
    scene.device_writes(scene.queue.device_address + DEVICE_ALIGN, bytes(4))
    scene.show()
    return scene


@breaks("buffer_available", "core-10.01")
def uses_a_buffer_twice() -> Scene:
    scene = Scene()
    scene.offer(16)
    scene.offer(16)
    scene.use(0, 0)
    scene.use(0, 0)
    return scene


@breaks("buffer_available", "core-10.01")
def goes_too_far_with_the_index() -> Scene:
    scene = Scene()
    scene.offer(16)
    scene.entry(0, 0)
    scene.show(2)
    return scene


@breaks("buffer_available", "core-13.03")
def uses_a_packed_buffer_that_is_not_there() -> Scene:
    scene = Scene(PACKED)
    scene.offer(16)
    scene.descriptor(0, 5, 0, USED)
    return scene


@breaks("used_length", "core-10.02")
def says_more_than_fits() -> Scene:
    scene = Scene()
    area = scene.offer(16, 16)
    scene.device_writes(area.address + 16, bytes(16))
    scene.use(0, 32)
    return scene


@breaks("used_length", "core-10.02")
def says_more_than_it_has_written() -> Scene:
    scene = Scene()
    area = scene.offer(0, 16)
    scene.device_writes(area.address, bytes(8))
    scene.device_writes(area.address + 9, bytes(7))
    scene.use(0, 16)
    return scene


@breaks("used_length", "core-14.01")
def says_more_of_a_packed_buffer() -> Scene:
    scene = Scene(PACKED)
    scene.offer(0, 16)
    scene.descriptor(0, 0, 16, USED)
    return scene


@breaks("late_data", "core-10.02")
def writes_the_data_last() -> Scene:
    scene = Scene()
    area = scene.offer(0, 16)
    scene.use(0, 0)
    scene.device_writes(area.address, bytes(16))
    return scene


@breaks("late_data", "core-13.04")
def changes_a_used_descriptor() -> Scene:
    scene = Scene(PACKED)
    scene.offer(16)
    scene.descriptor(0, 0, 0, USED)
    scene.descriptor(0, 0, 0, USED)
    return scene


@breaks("in_order", "core-15.05")
def skips_a_buffer_with_in_order() -> Scene:
    scene = Scene([Feature.IN_ORDER])
    scene.offer(16)
    scene.offer(16)
    scene.use(1, 0)
    return scene


@breaks("used_flags", "core-11.01")
def sets_flags_that_there_are_not() -> Scene:
    scene = Scene()
    scene.device_writes(scene.queue.device_address + USED_FLAGS_OFFSET, b"\2\0")
    return scene


@breaks("used_flags", "core-11.03")
def sets_flags_with_event_indices() -> Scene:
    scene = Scene([Feature.EVENT_IDX])
    scene.device_writes(scene.queue.device_address + USED_FLAGS_OFFSET, b"\1\0")
    return scene


@breaks("entropy_bytes", "entropy-01.01")
def gives_no_random_byte() -> Scene:
    scene = Scene(device_type=DeviceType.ENTROPY)
    scene.offer(0, 16)
    scene.use(0, 0)
    return scene


# --- what is wrong: notifications ----------------------------------------------------------------------


@breaks("interrupt_sent", "core-09.03")
def loses_an_interrupt() -> Scene:
    scene = Scene()
    scene.offer(16)
    scene.offer(16)
    scene.use(0, 0)
    scene.monitor.interrupted(1)
    scene.use(1, 0)
    scene.wait()
    return scene


@breaks("interrupt_sent", "core-09.05")
def loses_an_interrupt_at_the_event_index() -> Scene:
    scene = Scene([Feature.EVENT_IDX])
    scene.offer(16)
    scene.use(0, 0)
    scene.wait()
    return scene


@breaks("interrupt_sent", "core-09.03")
def loses_an_interrupt_of_a_packed_ring() -> Scene:
    scene = Scene(PACKED)
    scene.offer(16)
    scene.descriptor(0, 0, 0, USED)
    scene.wait()
    return scene


@breaks("interrupt_suppressed", "core-09.02")
def interrupts_though_it_is_suppressed() -> Scene:
    scene = Scene()
    scene.suppress()
    scene.offer(16)
    scene.use(0, 0)
    scene.monitor.interrupted(1)
    return scene


@breaks("failure_notified", "core-01.03")
def fails_in_silence() -> Scene:
    scene = Scene()
    status = STARTED | DeviceStatus.DRIVER_OK | DeviceStatus.DEVICE_NEEDS_RESET
    scene.read("device_status", status)
    scene.wait()
    return scene


# --- what is wrong: registers --------------------------------------------------------------------------


def _offers(*features: int) -> Scene:
    scene = Scene(features)
    scene.read("device_status", STARTED)
    return scene


@breaks("offered_features", "core-15.01")
def offers_no_version_1() -> Scene:
    scene = Scene()
    scene.reset()
    scene.mask = 0
    scene.set_up()
    scene.read("device_status", STARTED)
    return scene


@breaks("offered_features", "core-02.01")
def offers_a_feature_by_itself() -> Scene:
    scene = Scene([18], device_type=DeviceType.NET)
    scene.read("device_status", STARTED)
    return scene


@breaks("offered_features", "core-02.04")
def offers_a_feature_that_there_is_not() -> Scene:
    return _offers(31)


@breaks("refused_features", "core-02.03")
def accepts_what_it_does_not_offer() -> Scene:
    scene = Scene()
    scene.write("driver_feature_select", 0)
    scene.write("driver_feature", 1 << 9)
    scene.read("device_status", STARTED)
    return scene


@breaks("status_after_reset", "core-03.01")
def forgets_that_it_was_reset() -> Scene:
    scene = Scene()
    scene.reset()
    scene.read("device_status", DeviceStatus.ACKNOWLEDGE)
    return scene


@breaks("queue_after_reset", "pci-05.08")
def keeps_a_queue_enabled() -> Scene:
    scene = Scene()
    scene.reset()
    scene.read("queue_enable", 1)
    return scene


@breaks("queue_after_reset", "mmio-01.05")
def keeps_a_queue_ready() -> Scene:
    scene = Scene(mmio=True)
    scene.reset()
    scene.read("queue_enable", 1)
    return scene


@breaks("queue_size", "pci-05.15")
def has_a_queue_of_twelve() -> Scene:
    scene = Scene()
    scene.read("queue_size", 12)
    return scene


def _changes_configuration(mmio: bool) -> Scene:
    scene = Scene(mmio=mmio)
    for value in (5, 6):
        scene.read("config_generation", 3)
        scene.monitor.config_read(0, 4, value)
        scene.read("config_generation", 3)
    return scene


@breaks("config_generation", "pci-05.06")
def changes_configuration_in_silence() -> Scene:
    return _changes_configuration(False)


@breaks("config_generation", "mmio-01.06")
def changes_configuration_in_silence_on_a_bus() -> Scene:
    return _changes_configuration(True)


@breaks("interrupt_status", "mmio-01.04")
def shows_an_event_that_there_was_not() -> Scene:
    scene = Scene(mmio=True)
    scene.read("interrupt_status", 1)
    return scene


@pytest.mark.parametrize(
    ("rule", "clause", "scene"), BROKEN, ids=[scene.__name__ for _rule, _clause, scene in BROKEN]
)
def test_a_broken_rule_is_named_with_its_clause(rule: str, clause: str, scene: Break) -> None:
    made = scene()
    assert made.found == [(rule, clause)]
    assert str(made.first).startswith(f"{clause} ({clause_of(clause).keyword}), dut")
    assert made.findings.looked[rule] > 0


def test_every_rule_is_seen_broken_by_each_of_its_clauses() -> None:
    shown = {(rule, clause) for rule, clause, _scene in BROKEN}
    assert {(rule.name, clause) for rule in RULES.values() for clause in rule.clauses} == shown


def test_what_was_found_once_is_not_found_again() -> None:
    scene = writes_beside_a_buffer()
    scene.device_writes(0x1_8000, bytes(4))
    assert len(scene.findings.found) == 1
