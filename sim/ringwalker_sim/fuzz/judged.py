"""What campaigns have found, whose fault it was, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["JUDGED", "Judged", "judgement"]

HARDWARE, HOST, RULE, CASE = "the hardware", "the host", "the rule", "the case"
"""Whose faults there are: of the device, of the host's model, of the oracle, or of what makes cases."""


@dataclass(frozen=True)
class Judged:
    """Findings of one cause, which break ``rule`` if that is still known. ``shown`` has the device, seed and
    number of cases that have shown it; a number of -1 is for all of the device that break ``rule``."""

    where: str
    rule: str
    what: str
    fault: str
    became: str
    shown: tuple[tuple[str, int, int], ...] = ()

    def is_of(self, device: str, seed: int, finding: Mapping[str, Any]) -> bool:
        """Whether a finding of a campaign is one of these."""
        places = ((device, seed, finding["number"]), (device, seed, -1))
        return finding["rule"] == self.rule and any(place in self.shown for place in places)


JUDGED = (
    Judged(
        "all functions",
        "",
        "a read that waits for the end of a tag's quarantine left the device idle, so that its clock could "
        "be stopped for ever",
        HARDWARE,
        "mended: `idle` stays low",
    ),
    Judged(
        "entropy, console",
        "read",
        "a chain was answered while readable bytes of it, which no driver may offer there, were still being "
        "read",
        HARDWARE,
        "mended: the answer waits for them",
    ),
    Judged(
        "all functions, split rings",
        "read",
        "a used buffer notification that was still to be looked at outlived its queue, which had been reset "
        "or freed: two bytes near address 0 were read",
        HARDWARE,
        "mended: such a queue is not looked at",
        (("blk:split:legacy", 17, 1217), ("blk:split:legacy", 17, 3926), ("blk:split:legacy", 17, 364)),
    ),
    Judged(
        "all functions, packed rings",
        "read",
        "the same of a packed ring's event area",
        HARDWARE,
        "mended in the same way",
    ),
    Judged(
        "entropy",
        "expected",
        "at a reset the function had been offered readable bytes of a chain that it had not been given; it "
        "takes none before their chain, so it waited for ever, and only a reset of the clock domain helped",
        HARDWARE,
        "mended: it gets a chain to end them with",
        (("rng:packed:modern", 18, 3940), ("rng:split:transitional", 18, 3933)),
    ),
    Judged(
        "network",
        "expected",
        "frames that waited for buffers at a reset were dropped only while the clock ran for something else, "
        "for `idle` was high meanwhile; until they were gone, new frames were dropped, also those of a MAC "
        "that can be paused",
        HARDWARE,
        "mended: `idle` is low until they are gone, and such a MAC waits",
        (("net:split:legacy", 18, -1),),
    ),
    Judged(
        "all functions",
        "link",
        "the host gave a completion that nobody asked for a tag that was in use by the time it was sent, or "
        "whose request was just leaving the device",
        HOST,
        "mended: the tag is chosen when it is sent, and is the one that was in use last",
        (("console:split:modern", 18, 5889), ("blk:split:modern", 18, 6615)),
    ),
    Judged(
        "block, legacy",
        "read",
        "a driver with a queue in use changed its features; an indirect table was judged by those of before",
        RULE,
        "mended: nothing is judged behind that until a reset",
        (("blk:split:legacy", 18, 14586),),
    ),
    Judged(
        "block, split rings",
        "used",
        "two queues had one ring, and what the device wrote for one was judged as the other's",
        RULE,
        "mended: the used ring of two queues is not judged",
        (("blk:split:legacy", 101, 1429),),
    ),
    Judged(
        "block, packed rings",
        "element",
        "a buffer lay in its ring, and the data in it was judged as used descriptors",
        RULE,
        "mended: a ring in which a buffer lies is not judged",
        (("blk:packed:transitional", 101, 519),),
    ),
    Judged(
        "all functions",
        "expected",
        "a good request waited for an indirect table that a spoiled one had put elsewhere, with buffers of "
        "any length",
        CASE,
        "mended: buffers of other requests are kept short and apart",
    ),
    Judged(
        "block, packed rings",
        "expected",
        "case 639 with seed 17, before the last two changes to what makes cases",
        CASE,
        "not shown again, neither by the hardware and the cases of that day nor by later ones",
        (("blk:packed:transitional", 17, 639),),
    ),
    Judged(
        "block, legacy",
        "link",
        "a changed case set a payload size of PCI Express that is larger than the host takes, and the device "
        "used it",
        CASE,
        "mended: no case sets one",
        (("blk:split:legacy:counted", 18, 365),),
    ),
)
"""All findings so far, the oldest first."""


def judgement(device: str, seed: int, finding: Mapping[str, Any]) -> Judged | None:
    """What is known of a finding of the campaign with ``seed`` on ``device``; None if it is not judged."""
    return next((item for item in JUDGED if item.is_of(device, seed, finding)), None)
