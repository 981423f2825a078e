"""The devices of docs/conformance.md, and what the suite finds of them as JSON can hold it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...testing.devices import TRANSITIONAL
from ...vm.qemu import Qemu
from ..check import Way
from ..session import Session
from ..suite import FAILED, Outcome, all_checks
from ..targets.local import open_local
from ..targets.qemu import QEMU_DEVICES, open_qemu
from ..targets.target import Target
from .outcomes import count

__all__ = ["Examined", "devices", "examine"]


@dataclass(frozen=True)
class Examined:
    """A device: a function on an engine, or ``device`` of QEMU; ``face`` is what faces it has."""

    device: str
    engine: str
    face: str
    open: Callable[[], AbstractContextManager[Target]]

    @property
    def is_qemus(self) -> bool:
        """Whether it is one of QEMU's."""
        return self.engine == "qemu"

    @property
    def title(self) -> str:
        """What the page calls it."""
        return f"{self.device}, {self.face}" if self.is_qemus else f"{self.device}, {self.engine}"


def devices(qemu: Qemu | None, status: Any = None) -> Iterator[Examined]:
    """This project's devices on the native engine and as models, and QEMU's, transitional and modern."""
    for engine in ("native", "model"):
        for function, config in TRANSITIONAL.items():
            opened = partial(open_local, engine, config, status=status)
            yield Examined(function, engine, config.face, opened)
    if qemu is not None:
        for device in QEMU_DEVICES:
            for face, properties in (("transitional", {}), ("modern", {"disable-legacy": True})):
                yield Examined(device, "qemu", face, partial(open_qemu, device, properties, qemu))


def examine(examined: Examined, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Run all checks on a device; the figures of it."""
    chosen = all_checks()
    with Session(examined.open) as session:
        total, done = session.count(chosen), 0

        def step(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            progress(f"{examined.title}: {outcome.check.name}", done, total)

        outcomes = session.run(chosen, progress=step)
        return figures(examined, session.device.ways, outcomes)


def figures(examined: Examined, ways: Sequence[Way], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What is kept of the outcomes of a device that has ``ways``."""
    failures = [
        {"check": item.check.name, "way": str(item.way), "clause": item.clause, "text": item.text}
        for item in outcomes
        if item.verdict == FAILED
    ]
    return {
        "title": examined.title,
        "device": examined.device,
        "engine": examined.engine,
        "face": examined.face,
        "seconds": round(sum(item.seconds for item in outcomes), 1),
        "cycles": sum(item.cycles for item in outcomes),
        "ways": {str(way): count(item for item in outcomes if item.way is way) for way in ways},
        "failures": failures,
    }
