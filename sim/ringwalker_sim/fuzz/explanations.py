"""The explanations of what does not toggle on the block device of :data:`~.target.COUNTED`.

They are about what this device is: 4 queues of 32 entries at most, a disk of 2^19 bytes, reads and writes of
512 bytes, 64 bits a beat.
"""

from .explained import Explanation

__all__ = ["EXPLAINED"]

_LANE = "core.walker.lane0"
_RING = f"{_LANE}.ring"
_PACKED = f"{_RING}.packed"
_SPLIT = f"{_RING}.split"
_CHAINS = f"{_LANE}.descriptors"
_RUNS = f"{_CHAINS}.lines.lines.reader"
_SHORT = ("index", "ordered")
"""Readers of indices, flags and events."""
_LINES = ("entry", "descriptor")
"""Readers of rings and tables."""


def _counts(*readers: str) -> tuple[str, ...]:
    """What counts the dwords of a read, in readers of these names."""
    names = ("open__dwords", "completions.position", "completions.waiting.waiting_[013]")
    memories = ("*dwords", "left_before__data", "*data$*")
    return tuple(
        f"{_LANE}.{reader}_reader.{name}"
        for reader in readers
        for name in (*names, *(f"completions.waiting.{memory}" for memory in memories))
    )


def _completions(field: str, *readers: str) -> tuple[str, ...]:
    """A field of the completions that readers of these names get."""
    return tuple(
        f"{_LANE}.{reader}_reader.completions.{name}__header__{field}"
        for reader in readers
        for name in ("beat", "taken")
    )


def _ports(*readers: str) -> tuple[str, ...]:
    """The lengths, in bytes, that readers of these names are asked for."""
    return tuple(f"{_LANE}.{reader}_reader.port__requests__payload__length" for reader in readers)


def _sent(field: str, *readers: str) -> tuple[str, ...]:
    """A field of the requests that readers of these names send."""
    return tuple(f"{_LANE}.{reader}_reader.requests__payload__header__{field}" for reader in readers)


def _left(*readers: str) -> tuple[str, ...]:
    """How many dwords are left of a read when a completion of it has come."""
    return tuple(
        f"{_LANE}.{reader}_reader.completions.waiting.{name}"
        for reader in readers
        for name in ("left_before__data", "*data$*")
    )


_LINK = (
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
    Explanation(("core.walker.*header__tag",), "All reads in flight together have fewer than 32 tags.", 5, 7),
    Explanation(
        ("core.walker.*header__kind",), "The walker sends memory reads and memory writes only.", 1, 3
    ),
    Explanation(
        ("core.walker.completions__payload__header__status", *_completions("status", "*")),
        "Retry is an answer to configuration requests only.",
        1,
        1,
    ),
    Explanation(
        ("core.walker.completions__payload__header__requester_id",),
        "Once it is known that the bus is number 1, that does not change.",
        8,
        8,
        way="fall",
    ),
    Explanation(
        tuple(
            f"{place}__header__{field}"
            for place in ("core.walker.posted__payload", f"{_LANE}.posted_*")
            for field in ("poisoned", "requester_id")
        ),
        "The device poisons nothing, and its number is filled in at the edge.",
    ),
    Explanation(("core.walker.*header__address",), "The address of a packet is that of a dword.", 0, 1),
    Explanation(("core.walker.*header__byte_count",), "The device reads at most 512 bytes at once.", 10, 12),
)

_STATES = (
    Explanation(
        tuple(f"core.walker.{name}_table__row__enable" for name in ("descriptor", "event", "used")),
        "Of a queue that is not enabled nothing is looked up.",
        0,
        0,
        way="fall",
    ),
    Explanation(
        ("core.walker.index_table__row__reserved",), "A queue that is being reset is not visited.", 0, 0
    ),
    Explanation(
        (f"{_CHAINS}.check.walked",), "A chain is refused when it has more than 32 descriptors.", 6, 7
    ),
    Explanation(
        ("core.common.withheld", "core.common.read_device_feature"), "The disk can be written.", 5, 5
    ),
    Explanation(
        ("core.faces.device__requests__ready", "core.faces.isr__requests__ready"),
        "These registers are answered at once.",
        value=1,
    ),
)

_DEPTHS = (
    Explanation(("core.walker.concerned_0",), "There is one lane, and every queue is of it.", value=1),
    Explanation(
        (f"{_LANE}.read_arbiter.between",), "A read has one beat, and the next one follows.", value=1
    ),
    Explanation(
        (f"{_RING}.*.ordered_reads.owners.level", f"{_RING}.*.index_reads.owners.level"),
        "A reader has 4 tags; what remembers whose its reads are has room for more.",
        3,
        3,
    ),
    Explanation(
        (f"{_RING}.*.ordered_reads.i__ready", f"{_RING}.*.index_reads.i__ready", f"{_RUNS}.places.i__ready"),
        "So there is always room.",
        value=1,
    ),
    Explanation(
        (f"{_CHAINS}.lines.waiting.level",), "What came with heads is taken as fast as heads are.", 3, 3
    ),
    Explanation(
        (f"{_CHAINS}.lines.i__ready",), "So there is always room; there would be for every chain.", value=1
    ),
    Explanation(
        (f"{_CHAINS}.pending.fifo.w_rdy",), "There is one place more than there can be chains.", value=1
    ),
    Explanation(
        (f"{_PACKED}.event.room", f"{_SPLIT}.event.read__data__ready"),
        "A write of where the driver is to ring again has left before the next one is known.",
        value=1,
    ),
    Explanation(
        (f"{_PACKED}.poll.alive",), "A ring of 32 entries is read in three reads, and no more at once.", 2, 4
    ),
    Explanation(
        tuple(f"{_PACKED}.scan.{name}__span" for name in ("chain", "write__data", "look__data")),
        "A chain that goes on has fewer than 32 descriptors so far.",
        5,
        5,
    ),
    Explanation((f"{_CHAINS}.before__*able_segments",), "The same of its segments.", 5, 5),
    Explanation(
        (f"{_LANE}.drops__payload__count", f"{_LANE}.segments.walker.left"),
        "What is dropped is a part of a chain.",
        5,
        5,
    ),
    Explanation(
        (f"{_PACKED}.scan.held.count",), "What came with heads is taken before 32 descriptors are held.", 5, 5
    ),
    Explanation((f"{_PACKED}.scan.room",), "So there is always room.", value=1),
    Explanation(
        (f"{_SPLIT}.notification.waiting.order.level",),
        "The first of four queues does not wait: it is looked at.",
        2,
        2,
    ),
    Explanation((f"{_SPLIT}.notification.waiting.order.w_rdy",), "So there is always room.", value=1),
    Explanation(
        (f"{_LANE}.scatter.credits",),
        "The used ring takes chains that are done before eight of them have been written.",
        3,
        3,
    ),
    Explanation(
        (f"{_LANE}.scatter.owners.level",),
        "A chain comes when the segments of the one before have been given out: three are ahead.",
        2,
        2,
    ),
    Explanation((f"{_LANE}.scatter.owners.i__ready",), "So there is always room.", value=1),
    Explanation(
        (f"{_RUNS}.packer.buffer.spare__start",),
        "Only what begins a table can begin inside of a dword, and that never waits here.",
        0,
        1,
    ),
    Explanation(
        (f"{_LANE}.payload_reader.mask_4",),
        "Answers of the other seven slots were spoiled in this way, and by chance none of this one.",
        1,
        1,
    ),
    Explanation(
        (f"{_PACKED}.scan.found.i__payload__first", f"{_PACKED}.scan.found.fifo.storage*"),
        "Every head of a packed ring begins a group.",
        63,
        63,
        way="fall",
    ),
    Explanation(
        tuple(f"{_PACKED}.notification.{name}__since" for name in ("look", "o__payload$*", "i__payload$*")),
        "Drivers here offer a ring anew when it has been used; so no more was used since the last look.",
        6,
        14,
    ),
    *(
        Explanation(
            (f"{_PACKED}.used.{name}",),
            "Used descriptors wait 256 cycles for others, in which 2,048 bytes are written.",
            low,
            low + 8,
        )
        for name, low in (("others", 11), ("collector.read__data", 75))
    ),
    Explanation(
        (f"{_PACKED}.scan.unpack.done",), "Of the 16 descriptors of a read, 0 to 15 have been unpacked.", 4, 4
    ),
)

_QUEUES = (
    Explanation(
        ("core.walker.*queue", "core.notify.doorbells__payload__queue"),
        "A queue has a number of 10 bits; the device has 4, and no doorbell of another is passed on.",
        2,
        9,
        unless=(f"{_SPLIT}.revisits.i2__payload",),
    ),
    Explanation(
        (
            *("core.walker.*table__index*", f"{_RING}.*.notification.looked"),
            *(f"{_RING}.*.notification.waiting.*payload", f"{_RING}.*.notification.i__payload"),
            *("core.common__index", "core.common.waiting.r_port__data", "core.common.r_data"),
            *("core.sequencer.last", "core.common.read_queue_notify_off", f"{_PACKED}.scan.carried_of"),
        ),
        "The same of the number of a row, of a queue that waits, and of the notification of a queue.",
        2,
        15,
    ),
    Explanation(
        ("core.walker.clear__index", "core.walker.restore__index", f"{_SPLIT}.revisits.i2__payload__queue"),
        "The same, where it is counted up to 4.",
        3,
        9,
    ),
    Explanation(
        (
            *("core.walker.*row__size", "core.common.row__size", "core.common.table_read__row__size"),
            *(f"{_PACKED}.*size", f"{_SPLIT}.*size"),
        ),
        "No queue of this device has more than 32 entries.",
        6,
        15,
    ),
    Explanation(
        ("core.walker.*__span", "core.walker.*__limit", "core.walker.*able_segments"),
        "No ring has more than 32 entries, and a chain that is longer is refused.",
        6,
        15,
    ),
    Explanation(
        (f"{_LANE}.*walker.left", f"{_LANE}.*list__count", f"{_LANE}.*lists__payload__count"),
        "The same of the segments of a list.",
        6,
        15,
    ),
    Explanation(
        tuple(
            f"{_PACKED}.{block}*__offset"
            for block in (
                "notification",
                "poll.",
                "scan.",
                "used",
                "reads",
                "results",
                "ends",
                "published",
                "event.end",
            )
        ),
        "The place in a ring of no more than 32 entries.",
        5,
        14,
        unless=(f"{_PACKED}.poll.next__offset",),
    ),
    Explanation(
        (
            f"{_CHAINS}.following*__at",
            f"{_PACKED}.scan.*__at",
            f"{_SPLIT}.speculation.*last",
            *(f"{_CHAINS}.first", f"{_CHAINS}._signature__data*__at", f"{_CHAINS}.lines.i0__payload__first"),
            f"{_SPLIT}.entries.reader.*slot",
        ),
        "The head of a chain, and its entry in the available ring, is one of 32.",
        5,
        15,
    ),
    Explanation(
        ("core.common.read_queue_notif_config_data",), "It is 2^15 and the number of the queue.", 2, 14
    ),
    Explanation(
        (f"{_CHAINS}.sharing.line$*",), "The line of a head, of which each has four descriptors.", 4, 14
    ),
    Explanation(
        (f"{_SPLIT}.entries.reader.ring_left",),
        "At most 32 entries are left up to the end of the ring.",
        6,
        15,
    ),
    Explanation(("core.*row__desc",), "The area begins at a multiple of 16.", 0, 3),
    Explanation(("core.*row__driver",), "The area begins at a multiple of 2.", 0, 0),
    Explanation(
        ("core.*row__device", f"{_SPLIT}.used.*__ring", f"{_SPLIT}.used.*__address"),
        "The area begins at a multiple of 4.",
        0,
        1,
    ),
    Explanation(("core.*row__reserved",), "A queue is being reset, or not: one bit of a field of 16.", 1, 15),
    Explanation(("core.*row__enable",), "A queue is enabled, or not: one bit of a field of 16.", 1, 15),
)

_SEGMENTS = (
    Explanation(
        (
            *(f"{_LANE}.link__index", f"{_LANE}.read?__index", f"{_LANE}.read?__next"),
            *(f"{_LANE}.free?__payload", f"{_LANE}.segments.*payload", f"{_LANE}.segments.*data"),
            *(f"{_LANE}.segments.index", f"{_LANE}.segments.next", f"{_LANE}.*list__first"),
            *(f"{_CHAINS}.store__data__tail", f"{_CHAINS}.after*tail", f"{_CHAINS}.totals*tail"),
        ),
        "A segment has one of 80 numbers.",
        7,
        15,
    ),
)

_WRITTEN = (
    f"{_LANE}.*__written",
    "core.walker.*replies__payload__written",
    "core.*replies__payload__length",
    f"{_LANE}.scatter.replies__payload__length",
)
_UPPER = (f"{_PACKED}.used.*upper", f"{_PACKED}.used.others", f"{_PACKED}.used.writes__payload__data")
_PACKED_READ = (f"{_PACKED}.used.collector.read__data",)
_ELEMENT = (
    *(f"{_SPLIT}.used.collector.*value", f"{_SPLIT}.used.collector.read__data"),
    *(f"{_SPLIT}.used.elements", f"{_SPLIT}.used.writes__payload__data"),
)
_SIZE = "The disk of this device has 2^19 bytes."
_SECTORS = "A block device writes whole sectors, 20 bytes of a serial number or less, and a status."

_USED = (
    *(
        Explanation((*places,), _SIZE, low + 20, low + 31)
        for places, low in ((_WRITTEN, 0), (_UPPER, 0), (_PACKED_READ, 64), (_ELEMENT, 32))
    ),
    *(
        Explanation((*places,), _SECTORS, low + 5, low + 8)
        for places, low in ((_WRITTEN, 0), (_UPPER, 0), (_PACKED_READ, 64), (_ELEMENT, 32))
    ),
    Explanation(_ELEMENT, "A split ring's chain has the number of its head, one of 32.", 5, 15),
)


_LENGTHS = (
    Explanation(("core.walker.*header__length",), "A packet has at most 512 bytes.", 8, 10),
    Explanation(
        (f"{_LANE}.*_reader.port__requests__payload__length", f"{_LANE}.scatter.placements*__length"),
        "The same in bytes.",
        10,
        12,
    ),
    Explanation((f"{_LANE}.scatter.*__dwords", *_counts("payload")), "The same in dwords.", 8, 10),
    Explanation(
        (
            *(f"{_LANE}.payload_reader.span_total", f"{_LANE}.scatter.span_total"),
            *(
                f"{_LANE}.{block}.*{name}"
                for block in ("gather", "scatter")
                for name in (".incoming", ".room")
            ),
        ),
        "The same where a request is cut.",
        10,
        12,
    ),
    Explanation(
        (
            *_ports(*_LINES),
            *(
                f"{_RUNS}.cutter.incoming",
                f"{_RUNS}.cutter.room",
                f"{_RING}.poll_read__requests__payload__length",
            ),
            *(f"{_LANE}.{reader}_reader.span_total" for reader in _LINES),
        ),
        "At most 256 bytes of rings and tables are read at once.",
        9,
        11,
    ),
    Explanation(
        (*_counts(*_LINES), *_sent("length", *_LINES)),
        "The same in dwords, and one more where a table begins inside of a dword.",
        7,
        10,
    ),
    Explanation(_completions("byte_count", *_LINES), "The same of what is still to come of them.", 9, 9),
    Explanation(
        (*_counts(*_SHORT), *_sent("length", *_SHORT)),
        "These readers ask for two or four bytes: a dword.",
        1,
        10,
    ),
    Explanation(_sent("last_be", *_SHORT), "The only dword of a read is the first, so it has no last one."),
    Explanation(
        tuple(
            f"{_LANE}.{reader}_reader.slots.bank_{bank}"
            for reader in _SHORT
            for bank in ("0?[1357]?", "1?[0-7]?")
        ),
        "Of the four dwords of a slot only the first is used.",
    ),
    Explanation(
        tuple(f"{_LANE}.{reader}_reader.port__data__payload__data" for reader in _SHORT),
        "The same of the answer.",
        32,
        63,
    ),
    Explanation(
        (
            f"{_RUNS}.o__payload__count",
            f"{_CHAINS}.lines.lines.o__payload__count",
        ),
        "Descriptors fill all beats of what is joined.",
        0,
        2,
    ),
    Explanation((f"{_RUNS}.packer.splits",), "So a packet never has bytes for a beat of its own at the end."),
    Explanation((f"{_LANE}.*.packer.total",), "Less than two beats are joined to one.", 4, 4),
    Explanation(
        (f"{_LANE}.read_window.window",),
        "The mean latency stays below 4,096 cycles: a read is given up 1,000 cycles after the last answer.",
        12,
        14,
    ),
    Explanation((f"{_LANE}.read_window.total",), "The same of four times the mean.", 14, 15),
    Explanation(
        (f"{_PACKED}.used.writes__payload__header__length",),
        "At most 7 used descriptors are written behind the first.",
        5,
        5,
    ),
    Explanation(
        (f"{_LANE}.scatter.overrun",), "No function of this project writes more than there is room for."
    ),
)

_READERS = (
    Explanation(
        tuple(
            f"{_LANE}.{reader}_reader.{name}"
            for reader in _SHORT
            for name in ("rows*", "row_read__data", "_signature__data", "last_row")
        ),
        "A read of a dword has one row.",
    ),
    Explanation(
        (f"{_LANE}.index_reader.span_single",),
        "And its first dword is always its last.",
        value=1,
    ),
    Explanation((f"{_LANE}.ordered_reader.span_total",), "Four bytes, at most two bytes into a dword.", 3, 3),
    Explanation(
        tuple(
            f"{_LANE}.{reader}_reader.completions.waiting.{name}"
            for reader in _SHORT
            for name in ("expected*", "entry")
        ),
        "Each read of these has a dword, from the first on.",
        0,
        0,
        way="fall",
    ),
    Explanation(
        _left(*_SHORT),
        "After its only completion nothing is left.",
        0,
        0,
    ),
    Explanation(
        _left("entry"),
        "Entries come at once; of descriptors multiples of them are left.",
        0,
        1,
    ),
    Explanation(
        _left(*_LINES),
        "After a completion less than 256 bytes are left.",
        6,
        6,
    ),
    Explanation(
        _left("payload"),
        "After a completion less than 512 bytes are left.",
        7,
        7,
    ),
    Explanation(
        (f"{_LANE}.index_reader.open__dwords",), "Each read of the index has one dword.", 0, 0, value=1
    ),
    Explanation(
        _completions("length", "index", "ordered", "entry", "descriptor"),
        "A completion of these has at most 256 bytes.",
        7,
        7,
    ),
    Explanation(
        _completions("length", "ordered"),
        "Their own are shorter, and those with a wrong tag are so as well.",
        6,
        6,
    ),
    Explanation(_completions("byte_count", "ordered"), "The same.", 9, 9),
    Explanation(
        (f"{_CHAINS}.lines.lines.limit",), "At most 256 bytes of descriptors are read at once.", 9, 12
    ),
    Explanation(
        (*_completions("tag", "index"), *_sent("tag", "index")),
        "Each reader has tags of its own; this one has 0 to 3.",
        2,
        4,
    ),
    Explanation((*_completions("tag", "entry"), *_sent("tag", "entry")), "This one has 4 to 7.", 3, 4),
    Explanation(
        (*_completions("tag", "descriptor"), *_sent("tag", "descriptor")),
        "This one has 8 to 11.",
        2,
        4,
        but=(3,),
    ),
    Explanation(
        (*_completions("tag", "ordered"), *_sent("tag", "ordered"), f"{_LANE}.posted_*__header__tag"),
        "This one has 20 to 23, and writes have none.",
        3,
        3,
    ),
)

_REGISTERS = (
    Explanation(
        ("core.faces.*__offset", "core.common.request*__offset"),
        "Registers are read and written by dwords.",
        0,
        1,
    ),
    Explanation(("core.faces.*__offset",), "A BAR has 2^14 bytes.", 14, 23),
    Explanation(
        ("core.faces.legacy.asked__offset",),
        "The registers of the legacy face are in its first 60 bytes.",
        6,
        23,
    ),
    Explanation(("core.faces.legacy.asked__bar",), "They are in BAR 0."),
    Explanation(("core.faces.*bar", "core.common.request*__bar"), "There are BARs 0, 1 and 4.", 1, 1),
    Explanation(
        ("core.faces.device__responses__payload",),
        "What the configuration of this disk says is constant.",
        but=(1, 2, 3, 4, 9, 10, 18),
    ),
    Explanation(("core.common.config_generation",), "And so does not change."),
    Explanation(("core.common.clk",), "The clock is not counted."),
)

EXPLAINED: tuple[Explanation, ...] = (
    *_LINK,
    *_STATES,
    *_DEPTHS,
    *_QUEUES,
    *_SEGMENTS,
    *_USED,
    *_LENGTHS,
    *_READERS,
    *_REGISTERS,
)
