"""A queue of today's drivers on the ``virtqueue_ops`` of a stage."""

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import BindError

__all__ = ["QueueAdapter"]


class QueueAdapter:
    """The operations of :class:`Virtqueue` that drivers use, over the operations ``ops`` on the stage's
    ``vq``.

    ``kick`` names the operation that shows the device the added buffers; ``size`` is in descriptors.
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
        """Free descriptors, counted here, as the stages have no operation for it."""
        return self.size - sum(self._added.values())

    @property
    def outstanding(self) -> int:
        """Number of buffers added and not yet returned."""
        return len(self._added)

    def descriptors(self, pieces: int) -> int:
        """Descriptors that a buffer of ``pieces`` pieces occupies."""
        return pieces

    def add_buf(self, sg: Sequence[tuple[int, int]], out_num: int, in_num: int, data: Any) -> int:
        """Add a buffer; 0 or a negative errno."""
        result = self._ops.add_buf(self.vq, sg, out_num, in_num, data)
        if result == 0:
            self._added[id(data)] = len(sg)
        return result

    async def kick(self) -> None:
        """Show the device the added buffers."""
        await self._kick(self.vq)

    def get_buf(self) -> tuple[Any, int] | None:
        """The next used buffer: its token and the bytes written, or None."""
        used = self._ops.get_buf(self.vq)
        if used is not None:
            self._added.pop(id(used[0]), None)
        return used

    def restart(self) -> bool:
        """Enable callbacks again; False when used buffers are waiting."""
        return self._ops.restart(self.vq)

    async def shutdown(self) -> list[Any]:
        """Take all buffers back; their tokens."""
        tokens = await self._ops.shutdown(self.vq)
        for data in tokens:
            self._added.pop(id(data), None)
        return tokens

    async def detach(self, _data: Any) -> bool:
        """Raises :class:`BindError`: only the stage of May 2007 can detach one buffer."""
        raise BindError("this stage has shutdown of a whole queue, but cannot detach a single buffer")
