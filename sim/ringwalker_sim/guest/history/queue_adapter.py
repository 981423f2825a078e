"""A queue of today's drivers on the ``virtqueue_ops`` of a stage."""

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import BindError

__all__ = ["QueueAdapter"]


class QueueAdapter:
    """What a driver needs of a queue, by nothing but the operations ``ops`` on the stage's ``vq``.

    ``kick`` names the operation that shows the device what was added; ``size`` is in descriptors.
    """

    def __init__(self, vq: Any, ops: Any, index: int, size: int, kick: str = "kick"):
        self.vq = vq
        self.index = index
        self.size = size
        self._ops = ops
        self._kick: Callable[[Any], Any] = getattr(ops, kick)
        self._added: dict[int, int] = {}

    @property
    def num_free(self) -> int:
        """Descriptors that are not in use; the stages do not tell, so they are counted here."""
        return self.size - sum(self._added.values())

    @property
    def outstanding(self) -> int:
        """Buffers added and not yet got back."""
        return len(self._added)

    def descriptors(self, pieces: int) -> int:
        """How many descriptors a buffer of so many pieces takes."""
        return pieces

    def add_buf(self, sg: Sequence[tuple[int, int]], out_num: int, in_num: int, data: Any) -> int:
        """Offer a buffer."""
        result = self._ops.add_buf(self.vq, sg, out_num, in_num, data)
        if result == 0:
            self._added[id(data)] = len(sg)
        return result

    async def kick(self) -> None:
        """Show the device what was added."""
        await self._kick(self.vq)

    def get_buf(self) -> tuple[Any, int] | None:
        """The next used buffer."""
        used = self._ops.get_buf(self.vq)
        if used is not None:
            self._added.pop(id(used[0]), None)
        return used

    def restart(self) -> bool:
        """Allow callbacks again."""
        return self._ops.restart(self.vq)

    async def shutdown(self) -> list[Any]:
        """Take all buffers back."""
        tokens = await self._ops.shutdown(self.vq)
        for data in tokens:
            self._added.pop(id(data), None)
        return tokens

    async def detach(self, _data: Any) -> bool:
        """There is none at these stages: it went after May 2007."""
        raise BindError("this stage has shutdown of a whole queue, and no way to detach a single buffer")
