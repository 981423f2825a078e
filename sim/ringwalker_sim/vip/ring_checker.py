"""What the checkers of both formats of rings share: areas, buffers in flight, used lengths, notifications."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType

from ..memory import GuestMemory
from .chains import Chain, Span
from .view import QueueView

__all__ = ["Expectation", "Reporter", "RingChecker"]

Reporter = Callable[[str, str, str], None]
"""Takes the name of a rule, the clause and what is wrong."""

_REMEMBERED = 64
"""Used buffers that are remembered, to say that something was written behind their use."""


@dataclass
class Expectation:
    """A notification that the driver wants. ``wanted()`` is False once the driver has changed its mind."""

    number: int
    """Notifications of the queue before."""
    clause: str
    text: str
    wanted: Callable[[], bool]


@dataclass
class RingChecker(ABC):
    """Follows one queue: ``queue`` as it was set up, its rings in ``memory``, the negotiated ``features``.

    ``look(rule)`` counts that a rule was looked at, ``report(rule, clause, text)`` takes what is wrong, and
    ``expect`` takes the notifications that have to come. ``chains`` are the buffers in flight, by what names
    them, in the order in which they became available. ``packed_clauses``: the buffers are of packed rings.
    """

    queue: QueueView
    memory: GuestMemory
    features: int
    device_type: int
    look: Callable[[str], None]
    report: Reporter
    expect: Callable[[Expectation], None]
    chains: dict[int, Chain] = field(default_factory=dict)
    retired: deque[Chain] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    notifications: int = 0
    uses: int = 0
    """How often the driver was shown used buffers."""
    loud_uses: int = 0
    """Those since the last notification of which a notification may have been wanted."""
    quiet_uses: int = 0
    """Those of which it was suppressed by flags."""
    packed = False

    def has(self, feature: Feature) -> bool:
        """Whether a feature was negotiated."""
        return bool(self.features >> feature & 1)

    # --- what formats do -----------------------------------------------------------------------------------

    @abstractmethod
    def catch_up(self) -> None:
        """Take the buffers that the driver has made available meanwhile."""

    @abstractmethod
    def area_written(self, span: Span, start: int, end: int) -> bool:
        """The bytes from ``start`` to ``end`` of an area were written; whether they show used buffers."""

    @abstractmethod
    def shown(self) -> None:
        """The driver has been shown used buffers; memory has them."""

    @property
    @abstractmethod
    def suppressed(self) -> bool:
        """Whether flags of the driver suppress notifications."""

    def count_use(self) -> None:
        """The driver was shown used buffers."""
        self.uses += 1
        if self.suppressed:
            self.quiet_uses += 1
        else:
            self.loud_uses += 1

    # --- memory --------------------------------------------------------------------------------------------

    def areas(self) -> Iterator[Span]:
        """The areas of the queue."""
        for name, (address, length) in self.queue.areas(self.packed).items():
            yield Span(name, address, length)

    def locate(self, address: int) -> tuple[Span, Chain | None] | None:
        """What of the queue holds a byte: an area, or the span of a buffer in flight."""
        for span in self.areas():
            if span.address <= address < span.end:
                return span, None
        for chain in self.chains.values():
            for span in chain.spans:
                if span.address <= address < span.end:
                    return span, chain
        return None

    def starts(self) -> Iterator[int]:
        """Where the areas and spans begin."""
        for span in self.areas():
            yield span.address
        for chain in self.chains.values():
            for span in chain.spans:
                yield span.address

    def late(self, address: int) -> Chain | None:
        """The buffer used before that holds a byte which is in flight no more."""
        for chain in reversed(self.retired):
            if any(span.kind == "writable" and span.address <= address < span.end for span in chain.spans):
                return chain
        return None

    # --- used buffers --------------------------------------------------------------------------------------

    def use(self, chain: Chain, length: int, where: str, whole: bool = True) -> None:
        """The device says that it has used a buffer and written ``length`` bytes.

        ``whole`` False: it has not said how many, as the buffer is one of a batch.
        """
        clause = "core-14.01" if self.packed else "core-10.02"
        self.look("used_length")
        if length > chain.room:
            text = (
                f"{where} says {length} bytes were written into buffer {chain.head}, which has {chain.room}"
            )
            self.report("used_length", clause, text)
        elif (missing := chain.missing(length)) is not None:
            text = f"{where} says {length} bytes were written into buffer {chain.head}, but byte {missing}"
            self.report("used_length", clause, f"{text} of it was not written before the index")
        if self.device_type == DeviceType.ENTROPY and whole:
            self.look("entropy_bytes")
            if not length and chain.room:
                self.report("entropy_bytes", "entropy-01.01", f"{where} says 0 bytes were written")
        self.chains.pop(chain.head, None)
        self.retired.append(chain)

    def take_back(self, head: int, where: str) -> list[Chain]:
        """The buffers that are used with ``head``: itself, and with IN_ORDER those before it."""
        chain = self.chains.get(head)
        self.look("buffer_available")
        if chain is None:
            known = any(item.head == head for item in self.retired)
            why = "which was used before and is not available again" if known else "which is not available"
            clause = "core-13.03" if self.packed else "core-10.01"
            self.report("buffer_available", clause, f"{where} names buffer {head}, {why}")
            return []
        if not self.has(Feature.IN_ORDER):
            return [chain]
        self.look("in_order")
        waiting = list(self.chains.values())
        return waiting[: waiting.index(chain) + 1]
