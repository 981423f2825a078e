"""An entropy device in plain Python. Ref: virtio 1.4, 5.4."""

from typing import Any

from ringwalker.spec.ids import DeviceType

from ..engine.noise import NoiseSource
from .function import FunctionModel, Request, Schedule

__all__ = ["RngModel"]


class RngModel(FunctionModel):
    """Fills every buffer with bytes of a :class:`~..engine.noise.NoiseSource`; ``given`` collects them."""

    device_type = DeviceType.ENTROPY

    def __init__(self, schedule: Schedule, *, seed: int = 0, **common: Any):
        super().__init__(schedule, queues=1, seed=seed, **common)
        self._source = NoiseSource(seed)
        self.given = bytearray()

    def take(self, queue: int, request: Request) -> None:
        """Take a buffer to fill."""
        self.schedule(self.latency, lambda: self._fill(request))

    def _fill(self, request: Request) -> None:
        if request.live:
            content = self._source.take(request.room)
            self.given += content
            request.finish(content)
