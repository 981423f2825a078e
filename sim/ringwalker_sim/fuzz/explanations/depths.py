"""What never fills up, or is always so."""

from ..explained import Explanation
from .names import CHAINS, LANE, PACKED, RING, RUNS, SPLIT

__all__ = ["DEPTHS", "STATES"]

STATES = (
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
        (f"{CHAINS}.check.walked",), "A chain is refused when it has more than 32 descriptors.", 6, 7
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

DEPTHS = (
    Explanation(("core.walker.concerned_0",), "There is one lane, and every queue is of it.", value=1),
    Explanation((f"{LANE}.read_arbiter.between",), "A read has one beat, and the next one follows.", value=1),
    Explanation(
        (f"{RING}.*.ordered_reads.owners.level", f"{RING}.*.index_reads.owners.level"),
        "A reader has 4 tags; what remembers whose its reads are has room for more.",
        3,
        3,
    ),
    Explanation(
        (f"{RING}.*.ordered_reads.i__ready", f"{RING}.*.index_reads.i__ready", f"{RUNS}.places.i__ready"),
        "So there is always room.",
        value=1,
    ),
    Explanation(
        (f"{CHAINS}.lines.waiting.level",), "What came with heads is taken as fast as heads are.", 3, 3
    ),
    Explanation(
        (f"{CHAINS}.lines.i__ready",), "So there is always room; there would be for every chain.", value=1
    ),
    Explanation(
        (f"{CHAINS}.pending.fifo.w_rdy",), "There is one place more than there can be chains.", value=1
    ),
    Explanation(
        (f"{PACKED}.event.room", f"{SPLIT}.event.read__data__ready"),
        "A write of where the driver is to ring again has left before the next one is known.",
        value=1,
    ),
    Explanation(
        (f"{PACKED}.poll.alive",), "A ring of 32 entries is read in three reads, and no more at once.", 2, 4
    ),
    Explanation(
        tuple(f"{PACKED}.scan.{name}__span" for name in ("chain", "write__data", "look__data")),
        "A chain that goes on has fewer than 32 descriptors so far.",
        5,
        5,
    ),
    Explanation((f"{CHAINS}.before__*able_segments",), "The same of its segments.", 5, 5),
    Explanation(
        (f"{LANE}.drops__payload__count", f"{LANE}.segments.walker.left"),
        "What is dropped is a part of a chain.",
        5,
        5,
    ),
    Explanation(
        (f"{PACKED}.scan.held.count",), "What came with heads is taken before 32 descriptors are held.", 5, 5
    ),
    Explanation((f"{PACKED}.scan.room",), "So there is always room.", value=1),
    Explanation(
        (f"{SPLIT}.notification.waiting.order.level",),
        "The first of four queues does not wait: it is looked at.",
        2,
        2,
    ),
    Explanation((f"{SPLIT}.notification.waiting.order.w_rdy",), "So there is always room.", value=1),
    Explanation(
        (f"{LANE}.scatter.credits",),
        "The used ring takes chains that are done before eight of them have been written.",
        3,
        3,
    ),
    Explanation(
        (f"{LANE}.scatter.owners.level",),
        "A chain comes when the segments of the one before have been given out: three are ahead.",
        2,
        2,
    ),
    Explanation((f"{LANE}.scatter.owners.i__ready",), "So there is always room.", value=1),
    Explanation(
        (f"{RUNS}.packer.buffer.spare__start",),
        "Only what begins a table can begin inside of a dword, and that never waits here.",
        0,
        1,
    ),
    Explanation(
        (f"{LANE}.payload_reader.mask_4",),
        "Answers of the other seven slots were spoiled in this way, and by chance none of this one.",
        1,
        1,
    ),
    Explanation(
        (f"{PACKED}.scan.found.i__payload__first", f"{PACKED}.scan.found.fifo.storage*"),
        "Every head of a packed ring begins a group.",
        63,
        63,
        way="fall",
    ),
    Explanation(
        tuple(f"{PACKED}.notification.{name}__since" for name in ("look", "o__payload$*", "i__payload$*")),
        "Drivers here offer a ring anew when it has been used; so no more was used since the last look.",
        6,
        14,
    ),
    *(
        Explanation(
            (f"{PACKED}.used.{name}",),
            "Used descriptors wait 256 cycles for others, in which 2,048 bytes are written.",
            low,
            low + 8,
        )
        for name, low in (("others", 11), ("collector.read__data", 75))
    ),
    Explanation(
        (f"{PACKED}.scan.unpack.done",), "Of the 16 descriptors of a read, 0 to 15 have been unpacked.", 4, 4
    ),
)
