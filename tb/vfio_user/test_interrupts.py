"""When eventfds are written: masks, levels, and what DEVICE_SET_IRQS may ask."""

import errno
import os
from collections.abc import Iterator, Sequence

import pytest

from ringwalker_sim.vfio_user.bodies import IrqSet
from ringwalker_sim.vfio_user.interrupts import Interrupts, Intx, Vectors
from ringwalker_sim.vfio_user.protocol import IrqIndex, IrqSetFlag

NONE, BOOL, EVENTFD = IrqSetFlag.DATA_NONE, IrqSetFlag.DATA_BOOL, IrqSetFlag.DATA_EVENTFD
MASK, UNMASK, TRIGGER = IrqSetFlag.ACTION_MASK, IrqSetFlag.ACTION_UNMASK, IrqSetFlag.ACTION_TRIGGER
INTX, MSI, MSIX = IrqIndex.INTX, IrqIndex.MSI, IrqIndex.MSIX


class Bench:
    """Interrupts of four vectors and so many messages of MSI, how they were programmed in the device, and the
    other ends of eventfds.
    """

    def __init__(self, messages: int = 0):
        self.programmed: list[tuple[int, list[bool]]] = []
        self.intx = Intx()
        self.msix = Vectors(4, self.program)
        self.msi = Vectors(messages, self.program)
        self.interrupts = Interrupts(self.intx, self.msix, self.msi)
        self.fds: list[int] = []

    def program(self, first: int, armed: Sequence[bool]) -> None:
        self.programmed.append((first, list(armed)))

    def fd(self) -> int:
        """A descriptor to give away; its other end is ``fds[-1]``."""
        fd = os.eventfd(0)
        os.set_blocking(fd, False)
        self.fds.append(os.dup(fd))
        return fd

    def set(self, index, flags, start=0, count=0, data=b"", fds=()):
        self.interrupts.set(IrqSet(flags, index, start, count, data), list(fds))

    def level(self, level: bool) -> None:
        self.intx.line = level
        self.intx.set_level(level)

    def counts(self) -> list[int]:
        """How often each eventfd was written since the last look."""
        result = []
        for fd in self.fds:
            try:
                result.append(os.eventfd_read(fd))
            except BlockingIOError:
                result.append(0)
        return result


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(getattr(request, "param", 0))
    yield bench
    bench.interrupts.disarm()
    for fd in bench.fds:
        os.close(fd)


def test_kinds_of_interrupt(bench: Bench) -> None:
    assert bench.interrupts.info(INTX) == (7, 1)
    assert bench.interrupts.info(MSIX) == (9, 4)
    assert bench.interrupts.info(MSI) == (0, 0)


@pytest.mark.parametrize("bench", [1, 2], indirect=True)
def test_messages_of_msi_are_a_kind_of_their_own(bench: Bench) -> None:
    count = len(bench.msi)
    assert bench.interrupts.info(MSI) == (9, count)
    bench.set(MSI, TRIGGER | EVENTFD, 0, count, fds=[bench.fd() for _ in range(count)])
    assert bench.programmed == [(0, [True] * count)]
    bench.msi.fire(count - 1)
    bench.msix.fire(count - 1)
    bench.msi.fire(count)
    assert bench.counts() == [0] * (count - 1) + [1]
    assert (bench.msi.fired, bench.msix.fired) == (1, 0)
    bench.set(MSI, TRIGGER | NONE, 0, 1)
    assert bench.counts()[0] == 1
    bench.set(MSI, TRIGGER | NONE)
    assert bench.programmed[-1] == (0, [False] * count)
    bench.msi.fire(0)
    assert bench.counts() == [0] * count


def test_intx_is_silent_after_firing_until_it_is_unmasked(bench: Bench) -> None:
    bench.set(INTX, TRIGGER | EVENTFD, 0, 1, fds=[bench.fd()])
    bench.level(True)
    assert bench.counts() == [1]
    bench.level(False)
    bench.level(True)
    assert bench.counts() == [0]
    bench.set(INTX, UNMASK | NONE, 0, 1)
    assert bench.counts() == [1], "the level is still high"
    bench.level(False)
    bench.set(INTX, UNMASK | NONE, 0, 1)
    assert bench.counts() == [0]
    bench.level(True)
    assert bench.counts() == [1]


def test_intx_fires_only_if_the_line_is_high_when_its_turn_has_come(bench: Bench) -> None:
    bench.set(INTX, TRIGGER | EVENTFD, 0, 1, fds=[bench.fd()])
    bench.intx.line = True
    assert bench.counts() == [0], "what happened before it is not carried out yet"
    bench.intx.line = False
    bench.intx.set_level(True)
    bench.set(INTX, UNMASK | NONE, 0, 1)
    assert bench.counts() == [0], "the guest has seen to it already"


def test_intx_masks(bench: Bench) -> None:
    bench.set(INTX, TRIGGER | EVENTFD, 0, 1, fds=[bench.fd()])
    bench.set(INTX, MASK | BOOL, 0, 1, b"\0")
    bench.level(True)
    assert bench.counts() == [1]
    bench.level(False)
    bench.set(INTX, UNMASK | NONE, 0, 1)
    bench.set(INTX, MASK | BOOL, 0, 1, b"\1")
    bench.level(True)
    assert bench.counts() == [0]
    bench.set(INTX, UNMASK | BOOL, 0, 1, b"\0")
    assert bench.counts() == [0]
    bench.set(INTX, UNMASK | BOOL, 0, 1, b"\1")
    assert bench.counts() == [1]


def test_intx_that_is_high_when_it_is_armed_fires_and_nothing_does_after_disarming(bench: Bench) -> None:
    bench.level(True)
    bench.set(INTX, TRIGGER | EVENTFD, 0, 1, fds=[bench.fd()])
    assert bench.counts() == [1]
    bench.set(INTX, TRIGGER | NONE)
    bench.set(INTX, UNMASK | NONE, 0, 1)
    assert bench.counts() == [0]


def test_msix_as_qemu_turns_it_on(bench: Bench) -> None:
    bench.set(MSIX, TRIGGER | EVENTFD, 0, 1)
    bench.set(MSIX, TRIGGER | NONE)
    bench.set(MSIX, TRIGGER | EVENTFD, 0, 1, fds=[bench.fd()])
    bench.set(MSIX, TRIGGER | NONE)
    bench.set(MSIX, TRIGGER | EVENTFD, 0, 3, fds=[bench.fd(), bench.fd(), bench.fd()])
    assert bench.programmed == [
        (0, [False]),
        (0, [True]),
        (0, [False] * 4),
        (0, [True] * 3),
    ]
    for vector in (0, 2, 3, 4, 0xFFFF_FFFF, 2):
        bench.msix.fire(vector)
    assert bench.counts() == [0, 1, 0, 2]
    assert bench.msix.fired == 3
    bench.msix.apply()
    assert bench.programmed[-1] == (0, [True, True, True, False])


def test_vectors_are_fired_by_request(bench: Bench) -> None:
    bench.set(MSIX, TRIGGER | EVENTFD, 1, 2, fds=[bench.fd(), bench.fd()])
    bench.set(MSIX, TRIGGER | NONE, 0, 4)
    assert bench.counts() == [1, 1]
    bench.set(MSIX, TRIGGER | BOOL, 1, 2, b"\0\1")
    assert bench.counts() == [0, 1]
    bench.set(INTX, TRIGGER | EVENTFD, 0, 1, fds=[bench.fd()])
    bench.set(INTX, TRIGGER | NONE, 0, 1)
    assert bench.counts()[2] == 1


@pytest.mark.parametrize(
    ("index", "flags", "start", "count", "fds"),
    [
        (MSIX, TRIGGER | EVENTFD, 3, 2, 2),
        (MSIX, TRIGGER | EVENTFD, 0, 3, 2),
        (MSIX, TRIGGER | EVENTFD | NONE, 0, 1, 1),
        (MSIX, TRIGGER | UNMASK | NONE, 0, 1, 1),
        (MSIX, NONE, 0, 1, 0),
        (MSIX, MASK | NONE, 0, 1, 0),
        (INTX, UNMASK | EVENTFD, 0, 1, 1),
        (INTX, UNMASK | NONE, 0, 0, 0),
        (INTX, TRIGGER | EVENTFD, 0, 2, 2),
        (MSI, TRIGGER | EVENTFD, 0, 1, 1),
    ],
)
def test_what_makes_no_sense_is_refused_and_costs_no_descriptor(
    bench: Bench, index: int, flags: int, start: int, count: int, fds: int
) -> None:
    given = [bench.fd() for _ in range(fds)]
    with pytest.raises(OSError, match=r".") as caught:
        bench.set(index, flags, start, count, fds=given)
    assert caught.value.errno in (errno.EINVAL, errno.ENOTSUP)
    for fd in given:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    assert bench.programmed == []


def test_an_eventfd_that_is_full_or_broken_hurts_nobody(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    fd = bench.fd()
    os.eventfd_write(fd, 2**64 - 2)
    bench.set(MSIX, TRIGGER | EVENTFD, 0, 2, fds=[fd, os.open(os.devnull, os.O_RDONLY)])
    bench.msix.fire(0)
    assert bench.msix.fired == 1
    bench.msix.fire(1)
    assert bench.msix.fired == 1
    assert any("interrupt was lost" in message for message in caplog.messages)
