"""What a target is: a port with a device, the medium behind it, and its time."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from ..check import Check, Way
from ..medium import Medium
from ..subject import Timing
from ..suite import Device, Outcome, run_checks

__all__ = ["REAL_TIME", "OpenTarget", "Target"]

REAL_TIME = Timing(patience=2_000_000, quiet=20_000, poll=100, lag=200)
"""For ports whose cycle is a microsecond of real time: QEMU and vfio-user."""


@dataclass
class Target:
    """A ``port`` whose virtio function ``number`` is tested. ``medium`` is None where none can be reached.

    ``own``: it was made for the checks, so that opening it again gives a device in its first state.
    """

    port: Any
    medium: Medium | None = None
    timing: Timing = field(default_factory=Timing)
    number: int = 0
    own: bool = True

    async def device(self, seed: int = 1) -> Device:
        """The device under test. Errors: ``ParameterError`` when there is none."""
        found = {"medium": self.medium, "timing": self.timing, "seed": seed}
        return await Device.find(self.port, self.number, **found)

    def run(
        self,
        chosen: Iterable[Check],
        progress: Callable[[Outcome], None] = lambda _outcome: None,
        ways: Sequence[Way] = tuple(Way),
        seed: int = 1,
    ) -> list[Outcome]:
        """Run checks on the device, as :func:`..suite.run_checks`, from outside the port's loop."""

        async def work() -> list[Outcome]:
            return await run_checks(await self.device(seed), chosen, progress, ways)

        return self.port.run(work())


OpenTarget = Callable[[], AbstractContextManager[Target]]
"""Opens a target; it may be called again once the last one is closed."""
