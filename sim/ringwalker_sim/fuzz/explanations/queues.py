"""Numbers of queues, of their entries, and of segments of chains."""

from ..explained import Explanation
from .names import CHAINS, LANE, PACKED, RING, SPLIT

__all__ = ["QUEUES", "SEGMENTS"]

QUEUES = (
    Explanation(
        ("core.walker.*queue", "core.notify.doorbells__payload__queue"),
        "A queue has a number of 10 bits; the device has 4, and no doorbell of another is passed on.",
        2,
        9,
        unless=(f"{SPLIT}.revisits.i2__payload",),
    ),
    Explanation(
        (
            *("core.walker.*table__index*", f"{RING}.*.notification.looked"),
            *(f"{RING}.*.notification.waiting.*payload", f"{RING}.*.notification.i__payload"),
            *("core.common__index", "core.common.waiting.r_port__data", "core.common.r_data"),
            *("core.sequencer.last", "core.common.read_queue_notify_off", f"{PACKED}.scan.carried_of"),
        ),
        "The same of the number of a row, of a queue that waits, and of the notification of a queue.",
        2,
        15,
    ),
    Explanation(
        ("core.walker.clear__index", "core.walker.restore__index", f"{SPLIT}.revisits.i2__payload__queue"),
        "The same, where it is counted up to 4.",
        3,
        9,
    ),
    Explanation(
        (
            *("core.walker.*row__size", "core.common.row__size", "core.common.table_read__row__size"),
            *(f"{PACKED}.*size", f"{SPLIT}.*size"),
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
        (f"{LANE}.*walker.left", f"{LANE}.*list__count", f"{LANE}.*lists__payload__count"),
        "The same of the segments of a list.",
        6,
        15,
    ),
    Explanation(
        tuple(
            f"{PACKED}.{block}*__offset"
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
        unless=(f"{PACKED}.poll.next__offset",),
    ),
    Explanation(
        (
            f"{CHAINS}.following*__at",
            f"{PACKED}.scan.*__at",
            f"{SPLIT}.speculation.*last",
            *(f"{CHAINS}.first", f"{CHAINS}._signature__data*__at", f"{CHAINS}.lines.i0__payload__first"),
            f"{SPLIT}.entries.reader.*slot",
        ),
        "The head of a chain, and its entry in the available ring, is one of 32.",
        5,
        15,
    ),
    Explanation(
        ("core.common.read_queue_notif_config_data",), "It is 2^15 and the number of the queue.", 2, 14
    ),
    Explanation(
        (f"{CHAINS}.sharing.line$*",), "The line of a head, of which each has four descriptors.", 4, 14
    ),
    Explanation(
        (f"{SPLIT}.entries.reader.ring_left",),
        "At most 32 entries are left up to the end of the ring.",
        6,
        15,
    ),
    Explanation(("core.*row__desc",), "The area begins at a multiple of 16.", 0, 3),
    Explanation(("core.*row__driver",), "The area begins at a multiple of 2.", 0, 0),
    Explanation(
        ("core.*row__device", f"{SPLIT}.used.*__ring", f"{SPLIT}.used.*__address"),
        "The area begins at a multiple of 4.",
        0,
        1,
    ),
    Explanation(("core.*row__reserved",), "A queue is being reset, or not: one bit of a field of 16.", 1, 15),
    Explanation(("core.*row__enable",), "A queue is enabled, or not: one bit of a field of 16.", 1, 15),
)

SEGMENTS = (
    Explanation(
        (
            *(f"{LANE}.link__index", f"{LANE}.read?__index", f"{LANE}.read?__next"),
            *(f"{LANE}.free?__payload", f"{LANE}.segments.*payload", f"{LANE}.segments.*data"),
            *(f"{LANE}.segments.index", f"{LANE}.segments.next", f"{LANE}.*list__first"),
            *(f"{CHAINS}.store__data__tail", f"{CHAINS}.after*tail", f"{CHAINS}.totals*tail"),
        ),
        "A segment has one of 80 numbers.",
        7,
        15,
    ),
)
