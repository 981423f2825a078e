"""Status, resets and interrupts."""

from typing import Any

from amaranth.hdl import Mux, Signal, Value

from ringwalker.config import DeviceConfig
from ringwalker.spec.modern import NO_VECTOR, PAGE, DeviceStatus

from ..mutants.change import Change
from .bench import Bench
from .property import statement

__all__ = ["PROPERTIES"]


def _taken(one: Any) -> Any:
    return one.valid & one.ready


def _has(status: Any, flag: DeviceStatus) -> Any:
    return (status & int(flag)) != 0


def _status(b: Bench, cls: Any) -> Any:
    """A status machine that ends no reset that was not asked for."""
    it = b.block(cls())
    b.assume(~it.reset_done | it.reset_request)
    return it


@statement(
    "transport.device_status",
    "DeviceStatusMachine",
    "all",
    2,
    Change(
        "a write replaces the byte",
        "            bits\n            | Mux(self.write",
        "            Mux(self.write",
    ),
)
def status_bits_stay_until_reset(b: Bench, cls: Any) -> None:
    """A status bit that is set stays until a reset is over, whatever the driver writes."""
    it = _status(b, cls)
    bits = b.inside("bits")
    b.prove(b.past(it.reset_done) | ((b.past(bits) & ~bits) == 0))


@statement(
    "transport.device_status",
    "DeviceStatusMachine",
    "all",
    2,
    Change("DRIVER_OK needs nothing", "self._may_start(features_ok) & asks", "asks"),
)
def driver_ok_needs_features_ok(b: Bench, cls: Any) -> None:
    """DRIVER_OK is never set without FEATURES_OK."""
    _status(b, cls)
    bits = b.inside("bits")
    b.prove(~_has(bits, DeviceStatus.DRIVER_OK) | _has(bits, DeviceStatus.FEATURES_OK))


@statement(
    "transport.device_status",
    "DeviceStatusMachine",
    "all",
    2,
    Change(
        "FEATURES_OK sticks always",
        "asks(DeviceStatus.FEATURES_OK) & self.features_acceptable",
        "asks(DeviceStatus.FEATURES_OK)",
    ),
)
def features_ok_needs_acceptable_features(b: Bench, cls: Any) -> None:
    """FEATURES_OK is set only by a write in a cycle in which the features are acceptable."""
    it = _status(b, cls)
    rises = it.features_ok & ~b.past(it.features_ok)
    b.prove(~rises | b.past(it.write & it.features_acceptable))


@statement(
    "transport.device_status",
    "DeviceStatusMachine",
    "all",
    2,
    Change("the byte itself is read", "Mux(resetting, int(DeviceStatus.DEVICE_NEEDS_RESET), shown)", "shown"),
    mutant_depth=4,
)
def status_reads_0_only_after_reset(b: Bench, cls: Any) -> None:
    """While a reset is in progress the status does not read 0, and in the cycle after it was over it does."""
    it = _status(b, cls)
    b.prove(~it.reset_request | (it.status != 0))
    b.prove(~b.past(it.reset_done & ~it.reset & ~it.suspended) | it.suspended | (it.status == 0))
    b.prove(~b.past(it.reset_done) | (b.inside("bits") == 0))


@statement(
    "transport.device_status",
    "DeviceStatusMachine",
    "all",
    2,
    Change("a device that failed goes on", "\n                & ~has(DeviceStatus.DEVICE_NEEDS_RESET)", ""),
    mutant_depth=5,
)
def a_device_that_needs_reset_stands_still(b: Bench, cls: Any) -> None:
    """`driver_ok` is down while the device needs a reset, is being reset, or is suspended."""
    it = _status(b, cls)
    stands = _has(b.inside("bits"), DeviceStatus.DEVICE_NEEDS_RESET) | it.reset_request | it.suspended
    b.prove(~it.driver_ok | ~stands)
    b.prove(~it.driver_ok | _has(it.status, DeviceStatus.DRIVER_OK))


_SHORT = (
    Change("", "DRAIN_CYCLES = 1000", "DRAIN_CYCLES = 6"),
    Change("", "STOP_CYCLES = 1900", "STOP_CYCLES = 8"),
)


def _sequencer(b: Bench, cls: Any) -> Any:
    """A sequencer of two queues, whose requests last until they are done."""
    it = b.block(cls(DeviceConfig(function="blk", queues=2)))
    b.assume(~b.past(it.device_request & ~it.device_done) | it.device_request)
    b.assume(~b.past(it.device_done) | ~it.device_request)
    b.assume(~b.past(it.queue_request & ~(it.queue_done | it.device_done)) | it.queue_request)
    b.assume(~b.past(it.queue_done) | ~it.queue_request)
    b.assume(it.queue_index < 2)
    return it


@statement(
    "transport.reset_sequencer",
    "ResetSequencer",
    "2 queues; 8 cycles in the place of `STOP_CYCLES`, 6 in that of `DRAIN_CYCLES`",
    58,
    Change("it waits for answers for ever", "self.answered | (age == STOP_CYCLES)", "self.answered"),
    reduced=_SHORT,
    mutant_depth=66,
)
def a_reset_ends(b: Bench, cls: Any) -> None:
    """A device reset is done within 56 cycles if nothing waits to leave, even if the host never answers."""
    it = _sequencer(b, cls)
    b.assume(it.departed & it.settled)
    waited = Signal(8)
    b.m.d.sync += waited.eq(Mux(it.device_request & ~it.device_done, waited + 1, 0))
    b.prove(waited < 56)
    # What makes it inductive: rows that are rewritten or restored are those of queues.
    index, last = b.inside("index"), b.inside("last")
    b.prove((last <= 1) & (~it.table_write.en | (index <= last)) & (~it.restore.en | (index <= 1)))
    b.prove(b.in_a_state())
    b.prove(~it.hold | ~b.inside("restores") | (index == 0))
    b.prove(~b.state("DRAIN") | ~b.inside("restores"))


@statement(
    "transport.reset_sequencer",
    "ResetSequencer",
    "2 queues; 8 cycles in the place of `STOP_CYCLES`, 6 in that of `DRAIN_CYCLES`",
    3,
    Change("what has not left is forgotten", "self.departed & (self.answered", "(self.answered"),
    reduced=_SHORT,
    mutant_depth=26,
)
def nothing_is_forgotten_on_its_way(b: Bench, cls: Any) -> None:
    """`flush` comes only after eight cycles in which nothing was on its way to the link."""
    it = _sequencer(b, cls)
    calm = Signal(4)
    b.m.d.sync += calm.eq(Mux(it.departed, Mux(calm == 8, 8, calm + 1), 0))
    b.prove(~it.flush | (b.past(calm) >= 7))
    # What makes it inductive: it counts no more than was calm.
    b.prove((calm <= 8) & (~(it.stop & ~it.flush) | (b.inside("count") <= calm)))
    b.prove((b.past(calm) == 8) | ~b.past(it.departed) | (calm == (b.past(calm) + 1)[:4]))


def _interrupts(b: Bench, cls: Any) -> Any:
    it = b.block(cls())
    b.input_holds(it.interrupts)
    return it


@statement(
    "transport.interrupt_router",
    "InterruptRouter",
    "all",
    2,
    Change(
        "a change that comes while one is sent is lost",
        "with m.If(self.config_change):",
        "with m.If(self.config_change & ~send_change):",
    ),
    mutant_depth=6,
)
def configuration_changes_are_not_lost(b: Bench, cls: Any) -> None:
    """A configuration change is remembered until one that begins after it is sent, or all is cleared."""
    it = _interrupts(b, cls)
    owed, recent = Signal(), b.past(it.config_change & ~it.clear)
    b.m.d.sync += owed.eq(((owed & ~it.set_config) | recent) & ~it.clear)
    b.prove(~owed | b.inside("changed") | it.set_config)
    b.prove(~recent | b.inside("changed"))


@statement(
    "transport.interrupt_router",
    "InterruptRouter",
    "all",
    2,
    Change("hold has no effect", "due.eq(changed & ~self.hold)", "due.eq(changed)"),
    mutant_depth=4,
)
def held_changes_are_silent(b: Bench, cls: Any) -> None:
    """While `hold` is up no configuration change is sent, to a vector or to the ISR."""
    it = _interrupts(b, cls)
    b.prove(~b.past(it.hold) | ~it.set_config)
    rises = it.vectors.valid & b.past(~it.vectors.valid | it.vectors.ready)
    b.prove(~rises | ~b.past(it.hold) | b.past(_taken(it.interrupts)))


@statement(
    "transport.interrupt_router",
    "InterruptRouter",
    "all",
    2,
    Change(
        "NO_VECTOR is sent for used buffers",
        "self.msix_enable & (interrupts.payload != NO_VECTOR)",
        "self.msix_enable",
    ),
    mutant_depth=4,
)
def no_vector_is_silent(b: Bench, cls: Any) -> None:
    """The vector that stands for none is never sent, and no other is that was not asked for."""
    it = _interrupts(b, cls)
    b.prove(~it.vectors.valid | (it.vectors.payload != NO_VECTOR))
    rises = it.vectors.valid & b.past(~it.vectors.valid | it.vectors.ready)
    asked = b.past(_taken(it.interrupts)) & (it.vectors.payload == b.past(it.interrupts.payload))
    changed = it.set_config & (it.vectors.payload == b.past(it.config_vector))
    b.prove(~rises | (b.past(it.msix_enable) & (asked | changed)))


@statement(
    "transport.interrupt_router",
    "InterruptRouter",
    "all",
    2,
    Change(
        "changes always go first",
        "interrupts.ready.eq(free & (~due | yields))",
        "interrupts.ready.eq(free & ~due)",
    ),
    mutant_depth=8,
)
def used_buffers_are_not_starved(b: Bench, cls: Any) -> None:
    """A used buffer notification waits for two configuration changes at most, the one before it included."""
    it = _interrupts(b, cls)
    sent = Signal(2)
    waits = it.interrupts.valid & ~it.interrupts.ready
    b.m.d.sync += sent.eq(Mux(waits & ~sent.all(), sent + it.set_config, 0))
    b.prove(sent + it.set_config <= 2)
    b.prove((sent + it.set_config < 2) | b.inside("yields"))
    b.prove((sent + it.set_config < 1) | ~b.past(waits) | b.inside("yields"))
    b.prove(~it.set_config | b.inside("yields"))
    b.prove((sent < 2) | ~it.set_config)


@statement(
    "transport.isr",
    "Isr",
    "all",
    2,
    Change(
        "a set in the cycle of a read is lost",
        "bits.eq(kept | arriving)",
        "bits.eq((bits | arriving) & ~(bits & ~kept))",
    ),
    mutant_depth=4,
)
def isr_bits_are_not_lost(b: Bench, cls: Any) -> None:
    """An ISR bit that is set stays until a read or a reset. One that is set in the cycle of a read stays."""
    it = b.block(cls())
    requests = it.registers.requests
    sets = b.past(Mux(it.clear, 0, Value.cast(it.set_queue) | (it.set_config << 1)))
    reads = b.past(_taken(requests) & ~requests.payload.write)
    b.prove((sets & ~it.bits) == 0)
    b.prove(reads | b.past(it.clear) | ((b.past(it.bits) & ~it.bits) == 0))


@statement(
    "transport.notify",
    "Notify",
    "3 queues",
    2,
    Change("any queue is rung", "\n                & (queue < self.config.queues)", ""),
    mutant_depth=4,
)
def doorbells_are_of_queues_that_exist(b: Bench, cls: Any) -> None:
    """A doorbell is rung only for a queue that exists, by a write at its place, while that is enabled."""
    it = b.block(cls(DeviceConfig(function="blk", queues=3)))
    requests, doorbells = it.registers.requests, it.doorbells
    b.prove(~doorbells.valid | (doorbells.payload.queue < 3))
    rises = doorbells.valid & b.past(~doorbells.valid | doorbells.ready)
    write = _taken(requests) & requests.payload.write & it.enable
    place = b.past((requests.payload.offset % PAGE)[2:])
    b.prove(~rises | (b.past(write) & (place == doorbells.payload.queue)))


PROPERTIES = (
    status_bits_stay_until_reset,
    driver_ok_needs_features_ok,
    features_ok_needs_acceptable_features,
    status_reads_0_only_after_reset,
    a_device_that_needs_reset_stands_still,
    a_reset_ends,
    nothing_is_forgotten_on_its_way,
    configuration_changes_are_not_lost,
    held_changes_are_silent,
    no_vector_is_silent,
    used_buffers_are_not_starved,
    isr_bits_are_not_lost,
    doorbells_are_of_queues_that_exist,
)
