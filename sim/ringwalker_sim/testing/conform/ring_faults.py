"""Faults of notifications, and of order and sizes of rings, for the golden model: a check finds each."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED, PackedDescriptor
from ringwalker.spec.ring import (
    AVAIL_F_NO_INTERRUPT,
    DESC_BYTES,
    USED_FLAGS_OFFSET,
    USED_RING_OFFSET,
    UsedElement,
)

from ...conform.check import Way
from ...golden.rings import TakenChain
from .fault import Fault, around, nothing
from .ring_patch import drops, of_method, rings

__all__ = ["RING_FAULTS"]

_LEARNT = 8
"""Chains that the checks of a disk begin with."""


def _some(number: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """All calls but each ``number``-th."""
    count = 0

    def call(method: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return method(*arguments) if count % number else None

    return call


# --- notifications -----------------------------------------------------------------------------------------


def _lost_interrupts(port: Any) -> None:
    around(port.rings, "notify", _some(3))


def _event_always(_port: Any, ring: Any) -> None:
    ring.event_idx = True


def _flags_count_with_events(_port: Any, ring: Any) -> None:
    def wants(method: Callable[[], bool]) -> bool:
        return method() and not ring.read_avail_flags() & AVAIL_F_NO_INTERRUPT

    around(ring, "wants_interrupt", wants)


def _late_event(_port: Any, ring: Any) -> None:
    def wants(method: Callable[[], bool]) -> bool:
        return method() and ring._used % ring.queue.size != 0

    around(ring, "wants_interrupt", wants)


def _used_flags(value: int) -> Callable[[Any], None]:
    def change(_port: Any, ring: Any) -> None:
        def chains(method: Callable[[], Iterator[TakenChain]]) -> Iterator[TakenChain]:
            yield from method()
            ring.dma.write_number(ring.queue.device + USED_FLAGS_OFFSET, value, 2)

        around(ring, "chains", chains)

    return rings(change)


def _fails_without_buffers(port: Any) -> None:
    def visit(method: Callable[[int], None], index: int) -> None:
        if port.rings.queues[index].enable and not port.rings._ring(index).waiting():
            port.model.fail()
        method(index)

    around(port.rings, "_visit", visit)


def _takes_too_many(_port: Any, ring: Any) -> None:
    def chains(method: Callable[[], Iterator[TakenChain]]) -> Iterator[TakenChain]:
        if ring.taken == _LEARNT and not ring.waiting():
            head = ring.read_avail_entry(ring.last_avail)
            ring.last_avail, ring.taken = ring.last_avail + 1, ring.taken + 1
            yield ring.walk_chain(head)
        else:
            yield from method()

    around(ring, "chains", chains)


def _with_data(port: Any, lost: bool) -> None:
    port.model.features |= 1 << Feature.NOTIFICATION_DATA | 1 << Feature.NOTIF_CONFIG_DATA
    features = Feature.NOTIFICATION_DATA, Feature.NOTIF_CONFIG_DATA

    def doorbell(method: Callable[[int], None], index: int) -> None:
        if not lost or not any(port.model.driver_features >> feature & 1 for feature in features):
            method(index)

    around(port.rings, "doorbell", doorbell)


def _without_data(port: Any) -> None:
    _with_data(port, True)


def _other_queues_fail(port: Any) -> None:
    def doorbell(method: Callable[[int], None], index: int) -> None:
        if index:
            port.model.fail()
        method(index)

    around(port.rings, "doorbell", doorbell)


# --- order --------------------------------------------------------------------------------------------------


def _index_first(port: Any) -> None:
    """A buffer is used before its data is there."""

    def take(method: Callable[..., None], queue: int, request: Any) -> None:
        write = request.finish

        def finish(data: Any = b"", tail: bytes = b"") -> None:
            port.rings.complete(request, len(bytes(data)) + len(tail))
            port.rings._open[request] = None
            around(
                port.rings, "complete", lambda keep, other, length: other is request or keep(other, length)
            )
            port.schedule(20, lambda: (write(data, tail), port.rings._open.pop(request, None)))

        request.finish = finish
        method(queue, request)

    around(port.model, "take", take)


def _element_last(port: Any, ring: Any) -> None:
    """The used index is written before the element."""

    def use(method: Callable[..., None], batch: Any) -> None:
        at = ring.queue.device + USED_RING_OFFSET
        elements = port.memory.struct_view(at, UsedElement, ring.queue.size)
        place = ring.used % ring.queue.size
        method(batch)
        element = elements[place].copy()
        elements[place]["id"] = 0xFFFF
        port.schedule(30, lambda: elements.__setitem__(place, element))

    around(ring, "use", use)


def _row(port: Any, ring: Any, place: int) -> Any:
    """The descriptor at a place of a packed ring, an array of one."""
    at = ring.queue.desc + place % ring.queue.size * DESC_BYTES
    return port.memory.struct_view(at, PackedDescriptor)


def _ahead(port: Any, ring: Any) -> None:
    """The next descriptor but one is looked at, too."""

    def chains(method: Callable[[], Iterator[TakenChain]]) -> Iterator[TakenChain]:
        yield from method()
        row = _row(port, ring, ring._next + 2)[0]
        if int(row["flags"]) & DESC_F_AVAIL and not int(row["flags"]) & DESC_F_USED:
            row["flags"] = DESC_F_AVAIL | DESC_F_USED

    around(ring, "chains", chains)


def _uses_anything(port: Any, ring: Any) -> None:
    """A descriptor is used with every notification, available or not."""

    def chains(method: Callable[[], Iterator[TakenChain]]) -> Iterator[TakenChain]:
        found = list(method())
        if not found:
            both = DESC_F_AVAIL | DESC_F_USED
            _row(port, ring, ring._next)["flags"] = both if ring.wrap(ring._next) else 0
        yield from found

    around(ring, "chains", chains)


def _changes_later(port: Any, ring: Any) -> None:
    def use(method: Callable[..., None], batch: Any) -> None:
        row = _row(port, ring, ring._used)
        method(batch)
        if ring.taken > _LEARNT:
            port.schedule(300, lambda: row["len"].__iadd__(1))

    around(ring, "use", use)


def _gaps(method: Callable[..., None], batch: Any) -> None:
    for chain, _written in batch:
        chain.span -= chain.span > 2
    method(batch)


def _twice(port: Any) -> None:
    def use(method: Callable[..., None], index: int, batch: Any) -> None:
        method(index, batch)
        if port.rings.taken(index) > _LEARNT:
            port.schedule(300, lambda: method(index, batch))

    around(port.rings, "_use", use)


def _no_order(port: Any) -> None:
    around(port.rings, "uses_in_order", lambda _method: False)


def _one_size(port: Any) -> None:
    def write(method: Callable[..., None], index: int, name: str, value: int) -> None:
        if name != "size":
            method(index, name, value)

    around(port.rings, "register_write", write)


def _few_at_once(_port: Any, ring: Any) -> None:
    around(ring, "chains", lambda method: islice(method(), 100))


def _lost_queue(port: Any) -> None:
    around(port.rings, "doorbell", lambda method, index: method(index) if index != 2 else None)


def _wraps_early(port: Any) -> None:
    port.rings.written_index = lambda index: index & 0x7FFF


_EVENT, _ORDER, _PACKED = "core-09.05", "core-15.05", Way.PACKED

RING_FAULTS = [
    Fault("a lost interrupt", "interrupt_after_use", "core-09.03", _lost_interrupts),
    Fault(
        "an interrupt despite suppression",
        "interrupts_suppressed_by_flags",
        "core-09.02",
        of_method("wants_interrupt", lambda _method: True),
    ),
    Fault(
        "an event index that always counts", "event_index_without_feature", "core-09.01", rings(_event_always)
    ),
    Fault("flags that always count", "flags_with_event_index", "core-09.04", rings(_flags_count_with_events)),
    Fault(
        "an interrupt beside the event index",
        "interrupt_at_event_index",
        "core-09.06",
        of_method("wants_interrupt", lambda _method: True),
    ),
    Fault("a lost event", "interrupt_at_event_index_of_batches", _EVENT, _lost_interrupts),
    Fault(
        "an event lost at the wrap", "event_index_goes_round_the_ring", _EVENT, rings(_late_event), _PACKED
    ),
    Fault("reserved flags", "notified_when_wanted", "core-11.01", _used_flags(2)),
    Fault("flags with an event index", "notified_at_event_index", "core-11.03", _used_flags(1)),
    Fault("a spurious notification is fatal", "spurious_notifications", "core-11.05", _fails_without_buffers),
    Fault("a buffer too early", "notified_before_all_is_available", "core-11.05", rings(_takes_too_many)),
    Fault("notifications with data are lost", "notifications_with_data", "core-10.01", _without_data),
    Fault("old data is lost", "notifications_with_old_data", "core-10.01", _without_data),
    Fault("a queue has no name", "queue_named_by_device", "core-10.01", _without_data),
    Fault("an empty queue is fatal", "queues_without_buffers", "core-11.05", _other_queues_fail),
    Fault("tables out of order", "tables_in_order", _ORDER, _no_order),
    Fault("used index before its data", "used_buffer_is_complete", "core-10.02", _index_first),
    Fault("used index before its element", "used_buffer_is_complete", "core-10.01", rings(_element_last)),
    Fault(
        "a wrong used length",
        "used_length_is_written",
        "core-10.02",
        lambda port: setattr(port.rings, "mangle", lambda head, written: (head, written + 1)),
    ),
    Fault("a descriptor out of turn", "first_descriptor_comes_first", "core-12.01", rings(_ahead), _PACKED),
    Fault(
        "a descriptor that is not available",
        "unavailable_descriptors_are_left_alone",
        "core-13.03",
        rings(_uses_anything),
        _PACKED,
    ),
    Fault("a used descriptor changes", "used_descriptors_stay", "core-13.04", rings(_changes_later), _PACKED),
    Fault(
        "a gap of used descriptors",
        "used_descriptors_follow_each_other",
        "core-12.02",
        of_method("use", _gaps),
        _PACKED,
    ),
    Fault("used out of order with IN_ORDER", "buffers_are_used_in_order", _ORDER, _no_order),
    Fault("packed out of order", "buffers_are_used_in_order", _ORDER, _no_order, _PACKED),
    Fault("used twice", "nothing_is_used_twice", "core-10.01", _twice),
    Fault("one size of queues", "queue_sizes", "core-07.01", _one_size),
    Fault("a full ring loses buffers", "full_ring", "core-10.01", rings(_few_at_once)),
    Fault("a lost queue", "many_queues", "core-10.01", _lost_queue),
    Fault(
        "a lost buffer",
        "mixture",
        "core-14.01",
        drops(lambda request: request.chain.pieces == 4),
        _PACKED,
    ),
    Fault(
        "a lost random event",
        "mixture_with_event_index",
        "core-09.03",
        lambda port: setattr(port.rings, "notify", nothing),
    ),
    Fault("a random order", "mixture_in_order", _ORDER, _no_order),
    Fault("a random order with events", "mixture_in_order_with_event_index", _ORDER, _no_order),
    Fault("random notifications with data", "mixture_with_notification_data", "core-10.01", _without_data),
]
"""For each check of rings at least one, in a disk."""
