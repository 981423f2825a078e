"""The rules that the monitor holds a device to, each with the clauses that it is about."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..conform.clauses import Clause, clauses, mmio_clauses
from ..errors import EXIT_FAILED, RingwalkerError

__all__ = ["RULES", "Finding", "Findings", "ProtocolError", "Rule", "clause_of"]


def clause_of(number: str) -> Clause:
    """The statement with an id, of the suite or of the memory-mapped transport."""
    return clauses().get(number) or mmio_clauses()[number]


@dataclass(frozen=True)
class Rule:
    """What is checked. ``clauses`` are ids of the suite's tables; a finding names one of them."""

    name: str
    clauses: tuple[str, ...]
    checks: str
    when: str
    """At which accesses it is looked at."""


_INDEX = "the device shows used buffers"
_WRITE = "the device writes memory"
_READ = "the device reads memory"

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "offered_features",
            ("core-15.01", "core-02.01", "core-02.04"),
            "VERSION_1 is offered, no feature without those that it requires, and none that is not known.",
            "the driver has read both words of the offered features",
        ),
        Rule(
            "refused_features",
            ("core-02.03",),
            "FEATURES_OK does not stay for features that are not offered.",
            "the driver reads the status",
        ),
        Rule(
            "status_after_reset",
            ("core-03.01",),
            "The status stays 0 from the end of a reset until the driver writes it.",
            "the driver reads the status",
        ),
        Rule(
            "queue_after_reset",
            ("pci-05.08", "mmio-01.05"),
            "A queue is off after a reset.",
            "the driver reads queue_enable or queue_ready",
        ),
        Rule(
            "queue_size",
            ("pci-05.15",),
            "The size of a queue is a power of two, or 0, if packed rings are not negotiated.",
            "the driver reads queue_size",
        ),
        Rule(
            "config_generation",
            ("pci-05.06", "mmio-01.06"),
            "A byte of device configuration that has changed comes with another config_generation.",
            "the driver reads config_generation after device configuration",
        ),
        Rule(
            "failure_notified",
            ("core-01.03",),
            "A device that sets DEVICE_NEEDS_RESET sends a configuration change notification.",
            "the driver reads the status",
        ),
        Rule(
            "interrupt_status",
            ("mmio-01.04",),
            "The queue bit of the interrupt status is set only when a buffer was used.",
            "the driver reads interrupt_status",
        ),
        Rule(
            "memory_after_reset",
            ("core-03.02",),
            "A device that was reset leaves memory alone.",
            "the device reads or writes memory",
        ),
        Rule(
            "used_before_driver_ok",
            ("core-01.01",),
            "No buffer is written and none is used before DRIVER_OK.",
            _WRITE,
        ),
        Rule(
            "queue_off",
            ("core-05.01", "mmio-01.07"),
            "The rings of a queue that was reset, or that is not ready, are left alone.",
            "the device reads or writes memory",
        ),
        Rule(
            "write_granted",
            ("core-07.01", "core-13.01"),
            "Nothing is written but device-writable buffers that are available, and the device's area.",
            _WRITE,
        ),
        Rule(
            "read_granted",
            ("core-07.02", "core-13.02"),
            "Only rings, tables and device-readable buffers that are available are read.",
            _READ,
        ),
        Rule(
            "rings_not_written",
            ("core-07.04",),
            "Descriptors, indirect tables and the available ring are not written.",
            _WRITE,
        ),
        Rule(
            "entry_before_index",
            ("core-10.01",),
            "All 8 bytes of a used entry are written before the used index shows it.",
            _INDEX,
        ),
        Rule(
            "buffer_available",
            ("core-10.01", "core-13.03"),
            "A buffer that is used was available, and is used once; the index goes on by no more.",
            _INDEX,
        ),
        Rule(
            "used_length",
            ("core-10.02", "core-14.01"),
            "So many bytes as the used length says exist, and were written before the buffer is used.",
            _INDEX,
        ),
        Rule(
            "late_data",
            ("core-10.02", "core-13.04"),
            "Nothing is written into a buffer behind its used index.",
            _WRITE,
        ),
        Rule("in_order", ("core-15.05",), "With IN_ORDER buffers are used in their order.", _INDEX),
        Rule(
            "used_flags",
            ("core-11.01", "core-11.03"),
            "The flags of the used ring are 0 or 1, and 0 with EVENT_IDX.",
            _WRITE,
        ),
        Rule(
            "interrupt_sent",
            ("core-09.03", "core-09.05"),
            "A used buffer notification that is not suppressed comes within the patience of the monitor.",
            "so many cycles after a used index",
        ),
        Rule(
            "interrupt_suppressed",
            ("core-09.02",),
            "No used buffer notification comes while the flags have suppressed it since before the last use.",
            "an interrupt arrives",
        ),
        Rule(
            "entropy_bytes",
            ("entropy-01.01",),
            "An entropy device puts at least one byte into a buffer.",
            _INDEX,
        ),
    )
}
"""All rules by name."""


@dataclass(frozen=True)
class Finding:
    """A rule that ``device`` has broken: ``clause`` is its id, ``text`` has the values, ``cycle`` the time.

    ``queue`` is the number of the queue, None where it is about the whole device.
    """

    rule: str
    clause: str
    text: str
    cycle: int
    device: str = "device"
    queue: int | None = None

    @property
    def binding(self) -> bool:
        """Whether the clause is a MUST."""
        return clause_of(self.clause).binding

    def __str__(self) -> str:
        clause = clause_of(self.clause)
        where = self.device if self.queue is None else f"{self.device} queue {self.queue}"
        return (
            f"{self.clause} ({clause.keyword}), {where}, cycle {self.cycle}: {self.text}. Rule: {clause.says}"
        )


class ProtocolError(RingwalkerError):
    """The device breaks a clause that binds it; the message is that of the first :class:`Finding`."""

    exit_code = EXIT_FAILED

    def __init__(self, finding: Finding, further: int = 0):
        super().__init__(f"{finding}" + (f" ({further} more)" if further else ""))
        self.finding = finding


class Findings:
    """What a monitor has found: ``found`` in order, and in ``looked`` how often each rule was looked at.

    ``on_finding`` is called with each.
    """

    def __init__(self, on_finding: Callable[[Finding], None] = lambda _finding: None):
        self.found: list[Finding] = []
        self.looked: Counter[str] = Counter()
        self.on_finding = on_finding

    @property
    def binding(self) -> list[Finding]:
        """Those of a MUST."""
        return [finding for finding in self.found if finding.binding]

    def add(self, finding: Finding) -> None:
        """Take a finding. One of the same rule, clause, device and queue as an earlier one is not."""
        assert finding.clause in RULES[finding.rule].clauses, finding
        same = (finding.rule, finding.clause, finding.device, finding.queue)
        if all((item.rule, item.clause, item.device, item.queue) != same for item in self.found):
            self.found.append(finding)
            self.on_finding(finding)

    def check(self) -> None:
        """Errors: :class:`ProtocolError` when a clause that binds was broken."""
        if self.binding:
            raise ProtocolError(self.binding[0], len(self.binding) - 1)
