"""What the suite finds in devices that are known, and what each does in place of what the statement says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..check import Way
from ..suite import FAILED, Outcome

__all__ = ["FINDINGS", "Finding", "judge"]

_EVERY = ("virtio-blk-pci", "virtio-net-pci", "virtio-serial-pci", "virtio-rng-pci")


@dataclass(frozen=True)
class Finding:
    """``check`` fails on ``devices`` by ``ways``, as far as a device has these, and says that ``clause`` is
    broken. ``why`` says what the device does.
    """

    check: str
    clause: str
    why: str
    devices: Sequence[str] = _EVERY
    ways: Sequence[Way] = tuple(Way)


def judge(
    device: str, outcomes: Iterable[Outcome], findings: Iterable[Finding] | None = None
) -> tuple[list[str], list[str]]:
    """Failures of ``device`` that are not in ``findings``, and entries for it that have not shown, as lines.

    Only checks and ways among the outcomes are expected to show.
    """
    known = FINDINGS if findings is None else tuple(findings)
    outcomes = list(outcomes)
    expected = {
        (finding.check, way, finding.clause)
        for finding in known
        if device in finding.devices
        for way in finding.ways
    }
    unexplained = [
        f"{device}: {item.id} by {item.way}: {item.clause}: {item.text}"
        for item in outcomes
        if item.verdict == FAILED and (item.check.name, item.way, item.clause) not in expected
    ]
    missing = [
        f"{device}: {item.id} by {item.way}: {clause} is {item.verdict}"
        for item in outcomes
        for check, way, clause in sorted(expected)
        if (check, way) == (item.check.name, item.way) and (item.verdict, item.clause) != (FAILED, clause)
    ]
    return unexplained, missing


FINDINGS: tuple[Finding, ...] = (
    Finding(
        "nothing_is_used_before_driver_ok",
        "core-01.01",
        "A notification is enough: QEMU takes buffers of a queue that has addresses, whatever the status is.",
        ("virtio-blk-pci", "virtio-serial-pci"),
    ),
    Finding(
        "features_not_offered_are_refused",
        "core-02.03",
        "QEMU leaves out the bits that it has not offered and accepts the rest.",
        ways=(Way.SPLIT,),
    ),
    Finding(
        "queues_that_are_not_there_have_no_size",
        "pci-05.14",
        "A select beyond QEMU's 1024 queues is ignored, so the registers go on to show the queue before.",
        ways=(Way.SPLIT,),
    ),
    Finding(
        "chain_before_indirect_table",
        "core-08.02",
        "QEMU looks for the flag INDIRECT in the first descriptor of a chain only. In a later one it takes "
        "the table for a buffer.",
        ("virtio-blk-pci", "virtio-rng-pci"),
        (Way.SPLIT, Way.LEGACY),
    ),
    Finding(
        "interrupt_at_event_index",
        "core-09.06",
        "At the start of a packed queue, and each time that its ring begins again, QEMU forgets what it has "
        "notified of, and notifies of the next used buffer, whichever was asked for.",
        ("virtio-blk-pci", "virtio-rng-pci"),
        (Way.PACKED,),
    ),
    Finding(
        "writethrough_without_flush",
        "blk-01.03",
        "QEMU leaves the cache mode as it is when CONFIG_WCE is negotiated, with FLUSH or without.",
        ("virtio-blk-pci",),
        (Way.SPLIT,),
    ),
    Finding(
        "reads_outside_the_disk",
        "core-10.02",
        "QEMU counts all writable bytes as used when a read fails, though it writes the status only.",
        ("virtio-blk-pci",),
    ),
    Finding(
        "requests_of_odd_length",
        "core-10.02",
        "QEMU counts all writable bytes as used when a read fails, though it writes the status only.",
        ("virtio-blk-pci",),
    ),
    Finding(
        "packets_of_all_sizes_are_received",
        "net-04.01",
        "QEMU writes num_buffers with MRG_RXBUF only. Without it the field keeps what the driver had there.",
        ("virtio-net-pci",),
        (Way.SPLIT, Way.PACKED),
    ),
    Finding(
        "a_change_before_driver_ok_has_a_generation",
        "pci-05.06",
        "QEMU counts the generation with the notification of a change, and has none before DRIVER_OK.",
        ("virtio-blk-pci", "virtio-net-pci"),
        (Way.SPLIT,),
    ),
    Finding(
        "many_changes_do_not_hide_one_another",
        "pci-05.06",
        "QEMU counts changes whether they were read or not, in eight bits: 256 of them look like none.",
        ("virtio-blk-pci",),
        (Way.SPLIT,),
    ),
    Finding(
        "the_header_has_its_registers",
        "legacy-04.01",
        "As by the modern face: a select beyond QEMU's 1024 queues is ignored.",
        ways=(Way.LEGACY,),
    ),
    Finding(
        "queues_work_before_driver_ok",
        "legacy-02.02",
        "QEMU's network card and source of entropy wait for DRIVER_OK, whichever the face.",
        ("virtio-net-pci", "virtio-rng-pci"),
        (Way.LEGACY,),
    ),
)
"""All that is known, in the order of the page."""
