"""The explanations of what does not toggle on devices of :data:`~.target.COUNTED`."""

from .explained import Explanation

__all__ = ["EXPLAINED"]

_CHAINS_BY_SLOT = ("core.walker.lane0.descriptors.owners*",)
_LINES = "core.walker.lane0.descriptors.lines"
_ASKED = (f"{_LINES}.lines.in_flight.fifo.storage*", f"{_LINES}.lines.context", f"{_LINES}.i1__payload")
_WAITING = (f"{_LINES}.waiting.fifo.storage*", "core.walker.lane0.descriptors.o__payload")
_POSITIONS = tuple(
    f"core.walker.lane0.ring.packed.{name}"
    for name in ("used.collector.places*", "notification.latest*", "used.collector.here")
)
_SMALL_READS = tuple(
    f"core.walker.lane0.{reader}_reader.slots.bank_{bank}"
    for reader in ("index", "ordered")
    for bank in ("0?[1357]?", "1?[0-7]?")
)
_FINISHED = ("core.walker.lane0.scatter.finished.fifo.storage*", "core.walker.lane0.completed__payload")

EXPLAINED: tuple[Explanation, ...] = (
    Explanation(("core.walker.*completer_id",), "It is the host that answers, and it has one number."),
    Explanation(
        ("core.walker.*requester_id",), "The device has one number, of which this is the lower half.", 0, 7
    ),
    Explanation(("core.walker.*requester_id",), "The device is on bus 1.", 9, 15),
    Explanation(
        ("core.walker.*header__target_id",),
        "Only requests of configurations have a target; the walker has none.",
    ),
    Explanation(
        ("core.walker.*__traffic_class", "core.walker.*__attributes"),
        "The device asks without them, and completions have those of their request.",
    ),
    Explanation(
        ("core.walker.*__queue", "core.notify.doorbells__payload__queue"),
        "A queue has a number of 10 bits; the device has 4, and no doorbell of another is passed on.",
        3,
        9,
    ),
    Explanation(("core.walker.*row__size",), "No queue of this device has more than 32 entries.", 6, 15),
    Explanation(
        ("core.walker.*_table__index", "core.walker.clear__index", "core.walker.restore__index"),
        "The same of the rows of tables by queue.",
        3,
        9,
    ),
    Explanation(
        (
            *("core.walker.*__span", "core.walker.*__limit"),
            *("core.walker.*__readable_segments", "core.walker.*__writable_segments"),
        ),
        "No ring has more than 32 entries, and a chain that is longer is refused.",
        6,
        15,
    ),
    Explanation(("core.walker.*header__tag",), "All reads in flight together have fewer than 32 tags.", 5, 7),
    Explanation(
        ("core.walker.*header__kind",), "The walker sends memory reads and memory writes only.", 1, 3
    ),
    Explanation(("core.walker.*header__address",), "The address of a packet is that of a dword.", 0, 1),
    Explanation(("core.walker.*header__byte_count",), "The device reads at most 512 bytes at once.", 10, 12),
    Explanation(
        ("core.walker.*replies__payload__written", "core.walker.lane0.*__written"),
        "The disk of this device has 2^19 bytes.",
        20,
        31,
    ),
    Explanation(
        ("core.walker.features",),
        "Features that the device does not offer are not accepted.",
        but=(2, 6, 9, 12, 24, 27, 28, 29, 32, 34, 35, 38, 40),
    ),
    Explanation(("core.*row__desc",), "The area begins at a multiple of 16.", 0, 3),
    Explanation(("core.*row__driver",), "The area begins at a multiple of 2.", 0, 0),
    Explanation(("core.*row__device",), "The area begins at a multiple of 4.", 0, 1),
    Explanation(
        ("core.walker.reads__payload__data", "core.walker.lane0.payload_requests.*__data"),
        "A read carries no data.",
    ),
    Explanation(("core.*row__reserved",), "A queue is being reset, or not: one bit of a field of 16.", 1, 15),
    Explanation(
        ("core.walker.*__first_readable", "core.walker.*__first_writable"),
        "There is room for 80 segments of chains.",
        7,
        15,
    ),
    *(
        Explanation(_CHAINS_BY_SLOT, why, low, high)
        for low, high, why in (
            (3, 9, "The number of the queue."),
            (32, 41, "How many of 32 entries the chain takes."),
            (47, 57, "Its place among 32."),
            (64, 73, "The size of the queue."),
        )
    ),
    Explanation(("core.walker.lane0.descriptors.totals",), "The last segment of 80.", 135, 143),
    *(
        Explanation(_FINISHED, why, low, high)
        for low, high, why in (
            (3, 9, "The number of the queue."),
            (32, 41, "How many of 32 entries the chain takes."),
            (62, 73, "What was written, of a disk of 2^19 bytes."),
        )
    ),
    *(
        Explanation(("core.walker.lane0.scatter.headers.fifo.storage*",), why, low, high)
        for low, high, why in (
            (52, 63, "How much data comes, of a disk of 2^19 bytes."),
            (84, 95, "How much has been written."),
        )
    ),
    Explanation((*_ASKED, *_WAITING), "One of 8 chains that are walked at once.", 3, 6),
    Explanation(_POSITIONS, "The place in a ring of no more than 32 entries.", 5, 14),
    Explanation(("core.walker.lane0.scatter.owners.fifo.storage*",), "The number of the queue.", 3, 9),
    Explanation(
        ("core.walker.lane0.scatter.owners.fifo.storage*",),
        "How many of 32 entries the chain takes.",
        32,
        41,
    ),
    Explanation(("core.walker.lane0.dispatch.function.fifo.storage*",), "The number of the queue.", 3, 9),
    Explanation(("core.faces.isr__responses__payload",), "The ISR status has two bits.", 2, 31),
    Explanation(
        _SMALL_READS, "These readers ask for two or four bytes: the first dword of the four of a slot."
    ),
    Explanation(("core.*row__enable",), "A queue is enabled, or not: one bit of a field of 16.", 1, 15),
)
