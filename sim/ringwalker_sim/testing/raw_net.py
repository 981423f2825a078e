"""A guest's side of the network device for tests: queues and buffers by hand, one frame a chain."""

from typing import Any

import numpy as np

from ringwalker.spec.net import (
    NET_CONTROL_QUEUE,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetFeature,
    NetHeader,
)

from ..guest.pci import enumerate_pci
from ..guest.transport.virtio_pci import VirtioPciTransport
from ..guest.virtqueue import Virtqueue

__all__ = ["HEADER", "RECEIVED_HEADER", "RawNet"]

HEADER = bytes(NetHeader.const({}).as_value().shape().width // 8)
RECEIVED_HEADER = NetHeader.const({"num_buffers": 1}).as_value().value.to_bytes(len(HEADER), "little")
"""What the device puts in front of a frame."""

FEATURES = sum(
    1 << bit
    for bit in (
        NetFeature.MAC,
        NetFeature.STATUS,
        NetFeature.MTU,
        NetFeature.CTRL_VQ,
        NetFeature.CTRL_RX,
        NetFeature.CTRL_MAC_ADDR,
    )
)


class RawNet:
    """The device on ``port``, made with :meth:`bind`; then :meth:`send`, :meth:`offer` and :meth:`control`.

    ``received`` has the frames, ``answers`` the used lengths of receive chains, both in order; ``sent``
    counts transmit chains that came back. ``changed`` counts configuration changes.
    """

    def __init__(self, port: Any):
        self.port = port
        self.received: list[bytes] = []
        self.answers: list[int] = []
        self.sent = 0
        self.changed = 0
        self.progress = port.event()
        self.transport: VirtioPciTransport
        self.queues: list[Virtqueue] = []

    @classmethod
    async def bind(cls, port: Any, interrupt: str = "msix") -> "RawNet":
        """Find the function and set it up; no receive buffers are offered yet."""
        self = cls(port)
        (pci,) = await enumerate_pci(port)
        self.transport = await VirtioPciTransport.bind(pci, interrupt)
        await self.start()
        return self

    async def start(self) -> None:
        """After a reset: negotiate, make the queues, let the device begin."""
        transport = self.transport
        assert await transport.negotiate(FEATURES) & FEATURES == FEATURES
        transport.on_change(self._on_change)
        callbacks = {NET_RECEIVE_QUEUE: self._on_receive, NET_TRANSMIT_QUEUE: self._on_sent}
        self.queues = []
        for index in range(3):
            self.queues.append(await transport.find_vq(index, callbacks.get(index, self._on_control)))
        await transport.driver_ok()

    async def reset(self) -> None:
        """Reset the device; the buffers are taken back."""
        await self.transport.reset()
        for vq in self.queues:
            for token in await vq.shutdown():
                for item in token:
                    item.free()
            await self.transport.del_vq(vq)

    async def unbind(self) -> None:
        """Reset the device and give everything back."""
        await self.transport.unbind()
        for vq in self.queues:
            for token in await vq.shutdown():
                for item in token:
                    item.free()
            await self.transport.del_vq(vq)

    # --- buffers -------------------------------------------------------------------------------------------

    def buffer(self, content: bytes | int) -> Any:
        """Guest memory with ``content``, or so many bytes of it."""
        length = content if isinstance(content, int) else len(content)
        item = self.port.memory.allocate(length, 1)
        if not isinstance(content, int):
            item.array[:] = np.frombuffer(content, dtype=np.uint8)
        return item

    def add(self, queue: int, readable: list[bytes], writable: list[int]) -> bool:
        """Add a chain of such pieces; False when there is no room. The device is not notified."""
        items = [self.buffer(piece) for piece in (*readable, *writable)]
        sg = [(item.address, len(item)) for item in items]
        if self.queues[queue].add_buf(sg, len(readable), len(writable), items) == 0:
            return True
        for item in items:
            item.free()
        return False

    async def offer(self, count: int, length: int = 2048) -> None:
        """Offer ``count`` receive buffers."""
        for _ in range(count):
            assert self.add(NET_RECEIVE_QUEUE, [], [length])
        await self.queues[NET_RECEIVE_QUEUE].kick()

    async def send(self, *frames: bytes) -> None:
        """Send frames, each with a header of its own, when there is room."""
        vq = self.queues[NET_TRANSMIT_QUEUE]
        for frame in frames:
            while not self.add(NET_TRANSMIT_QUEUE, [HEADER, frame], []):
                await vq.kick()
                await self.wait()
        await vq.kick()

    async def control(self, command: bytes, room: int = 1) -> bytes | None:
        """Carry out a control command; the bytes of the answer."""
        vq = self.queues[NET_CONTROL_QUEUE]
        assert self.add(NET_CONTROL_QUEUE, [command], [room])
        await vq.kick()
        while (used := vq.get_buf()) is None:
            await self.wait()
        items, written = used
        answer = items[-1].array[:written].tobytes()
        for item in items:
            item.free()
        return answer

    async def wait(self, cycles: int = 200_000) -> None:
        """Until some chain comes back."""
        self.progress.clear()
        assert await self.progress.wait(cycles), "nothing has come back"

    async def until(self, condition: Any) -> None:
        """Until ``condition()`` holds; it is looked at whenever something comes back."""
        while not condition():
            await self.wait()

    # --- callbacks -----------------------------------------------------------------------------------------

    def _on_receive(self, vq: Virtqueue) -> bool:
        while used := vq.get_buf():
            (item,), written = used
            self.answers.append(written)
            if written:
                content = item.array[:written].tobytes()
                assert content[: len(HEADER)] == RECEIVED_HEADER
                self.received.append(content[len(HEADER) :])
            item.free()
        self.progress.set()
        return True

    def _on_sent(self, vq: Virtqueue) -> bool:
        while used := vq.get_buf():
            items, written = used
            assert written == 0
            for item in items:
                item.free()
            self.sent += 1
        self.progress.set()
        return True

    def _on_control(self, _vq: Virtqueue) -> bool:
        self.progress.set()
        return True

    def _on_change(self) -> None:
        self.changed += 1
        self.progress.set()
