"""The whole console on the native engine: bytes both ways, the terminal's size, resets."""

import random
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from ringwalker.function.console.function import RECEIVE_BYTES
from ringwalker.spec.console import (
    CONSOLE_CONFIG,
    CONSOLE_RECEIVE_QUEUE,
    CONSOLE_TRANSMIT_QUEUE,
    ConsoleFeature,
)
from ringwalker.spec.fields import FIELDS_BASE, ConsoleField
from ringwalker.spec.modern import DEVICE_BASE, FACE_BAR
from ringwalker.transport.field_list import field_list
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.engine.native.served import ServedEngine
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.guest.virtqueue import Virtqueue
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_CONSOLE as CONFIG

FEATURES = 1 << ConsoleFeature.SIZE | 1 << ConsoleFeature.EMERG_WRITE
BOTH = (CONSOLE_RECEIVE_QUEUE, CONSOLE_TRANSMIT_QUEUE)


class RawConsole:
    """The device on ``port`` by hand: ``received`` has what was typed, ``answers`` the lengths of its pieces.

    ``sent`` counts transmit buffers that came back, ``changed`` configuration changes.
    """

    def __init__(self, port: Any):
        self.port = port
        self.received = b""
        self.answers: list[int] = []
        self.sent = self.changed = 0
        self.progress = port.event()
        self.transport: VirtioPciTransport
        self.queues: list[Virtqueue] = []

    @classmethod
    async def bind(cls, port: Any, interrupt: str = "msix") -> "RawConsole":
        self = cls(port)
        (pci,) = await enumerate_pci(port)
        self.transport = await VirtioPciTransport.bind(pci, interrupt)
        await self.start()
        return self

    async def start(self) -> None:
        assert await self.transport.negotiate(FEATURES) & FEATURES == FEATURES
        self.transport.on_change(self._on_change)
        callbacks = (self._on_receive, self._on_sent)
        self.queues = [await self.transport.find_vq(index, callbacks[index]) for index in BOTH]
        await self.transport.driver_ok()

    async def leave(self, reset: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Reset or unbind the device, and take all buffers back."""
        await reset()
        for vq in self.queues:
            for item in await vq.shutdown():
                item.free()
            await self.transport.del_vq(vq)

    async def offer(self, *lengths: int) -> None:
        """Offer receive buffers."""
        for length in lengths:
            item = self.port.memory.allocate(length, 1)
            assert self.queues[CONSOLE_RECEIVE_QUEUE].add_buf([(item.address, length)], 0, 1, item) == 0
        await self.queues[CONSOLE_RECEIVE_QUEUE].kick()

    async def send(self, *pieces: bytes) -> None:
        """Send bytes, a chain each, when there is room."""
        vq = self.queues[CONSOLE_TRANSMIT_QUEUE]
        for piece in pieces:
            item = self.port.memory.allocate(len(piece), 1)
            item.array[:] = np.frombuffer(piece, np.uint8)
            while vq.add_buf([(item.address, len(piece))], 1, 0, item) != 0:
                await vq.kick()
                await self.wait()
        await vq.kick()

    async def wait(self, cycles: int = 200_000) -> None:
        self.progress.clear()
        assert await self.progress.wait(cycles), "nothing has come back"

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.wait()

    def _on_receive(self, vq: Virtqueue) -> bool:
        while used := vq.get_buf():
            item, written = used
            self.answers.append(written)
            self.received += item.array[:written].tobytes()
            item.free()
        self.progress.set()
        return True

    def _on_sent(self, vq: Virtqueue) -> bool:
        while used := vq.get_buf():
            item, written = used
            assert written == 0
            item.free()
            self.sent += 1
        self.progress.set()
        return True

    def _on_change(self) -> None:
        self.changed += 1
        self.progress.set()


Body = Callable[[Any, RawConsole], Coroutine[Any, Any, None]]


def run(body: Body, interrupt: str = "msix", **host: Any) -> None:
    """``body(port, console)`` as the guest; no buffer may stay behind, and no access go astray."""
    with open_engine("native", CONFIG, GuestMemory(4 << 20), host=host) as port:

        async def main() -> None:
            console = await RawConsole.bind(port, interrupt)
            await body(port, console)
            await console.leave(console.transport.unbind)

        port.run(main())
        assert port.memory.allocated == 0
        assert port.engine.stats()["read_faults"] == port.engine.stats()["write_faults"] == 0


def pieces(count: int) -> list[bytes]:
    return [random.randbytes(random.choice([1, 2, 7, 8, 9, 63, 200])) for _ in range(count)]


@pytest.mark.parametrize("interrupt", ["msix", pytest.param("intx", marks=pytest.mark.slow)])
def test_bytes_go_both_ways_through_stalls(interrupt: str) -> None:
    shown, typed = pieces(150), random.randbytes(4000)

    async def body(port: Any, console: RawConsole) -> None:
        screen: list[bytes] = []
        port.engine.ports.uart.on_bytes = screen.append
        port.engine.ports.uart.send(typed)
        port.start(console.send(*shown))
        while len(console.received) < len(typed):
            await console.offer(*(random.choice([1, 3, 8, 100, 300]) for _ in range(20)))
            count = len(console.answers)
            await console.until(lambda count=count: len(console.answers) >= count + 10)
            # Those that are left come back before more are offered.
            await console.until(
                lambda count=count: len(console.answers) == count + 20 or len(console.received) == len(typed)
            )
        await console.until(lambda: console.sent == len(shown))
        await port.sleep(300)
        assert console.received == typed
        assert all(console.answers)
        assert b"".join(screen) == b"".join(shown)
        assert len(screen) < len(b"".join(shown)) / 4, "not an event for each byte"
        stats = port.engine.stats()
        assert (stats["uart_tx_bytes"], stats["uart_rx_bytes"]) == (len(b"".join(shown)), len(typed))
        assert stats["uart_lost"] == 0

    run(body, interrupt, stalls=0.3, latency_jitter=200)


def test_the_terminal_echoes() -> None:
    async def body(port: Any, console: RawConsole) -> None:
        port.engine.ports.uart.loopback(True)
        await console.offer(*[100] * 8)
        await console.send(b"hello, ", b"world")
        await console.until(lambda: len(console.received) == 12)
        assert console.received == b"hello, world"
        assert port.engine.ports.uart.receive() == b""

    run(body)


def test_a_resize_is_notified() -> None:
    async def size(console: RawConsole) -> tuple[int, int]:
        read = console.transport.get
        return await read(CONSOLE_CONFIG.cols), await read(CONSOLE_CONFIG.rows)

    async def body(port: Any, console: RawConsole) -> None:
        assert await size(console) == (CONFIG.settings.cols, CONFIG.settings.rows)
        generation = await console.transport.read_common("config_generation")
        for number, wanted in enumerate(((132, 50), (132, 24), (1, 65535)), 1):
            port.engine.ports.uart.set_terminal(*wanted)
            await console.until(lambda number=number: console.changed == number)
            assert await size(console) == wanted
            assert await console.transport.read_common("config_generation") == generation + number
            field = FIELDS_BASE + field_list(CONFIG).find(ConsoleField.SIZE).offset
            shown = await console.transport.pci.bar_read(FACE_BAR, field, 4)
            assert shown == wanted[1] << 16 | wanted[0]
        with pytest.raises(ValueError, match="rows is 65536"):
            port.engine.ports.uart.set_terminal(80, 65536)

    run(body)


def test_an_emergency_write_needs_no_driver() -> None:
    with open_engine("native", CONFIG, GuestMemory(1 << 20)) as port:

        async def main() -> None:
            (pci,) = await enumerate_pci(port)
            for byte in b"panic":
                await pci.bar_write(FACE_BAR, DEVICE_BASE + CONSOLE_CONFIG.emerg_wr.offset, 4, byte)
            field = FIELDS_BASE + field_list(CONFIG).find(ConsoleField.EMERGENCY_WRITE).offset
            await pci.bar_write(FACE_BAR, field, 1, ord("!"))
            assert await pci.bar_read(FACE_BAR, field, 4) == 0
            await port.sleep(50)

        port.run(main())
        assert port.engine.ports.uart.receive() == b"panic!"


def test_receive_waits_and_transmit_goes_on() -> None:
    async def body(port: Any, console: RawConsole) -> None:
        await console.offer(*[16] * 40)
        shown = pieces(200)
        await console.send(*shown)
        await console.until(lambda: console.sent == len(shown))
        assert console.answers == []
        port.engine.ports.uart.send(b"now")
        await console.until(lambda: console.received == b"now")
        # And the other way: a terminal that takes nothing holds up nobody who types.
        assert port.engine.ports.uart.receive() == b"".join(shown)

    run(body)


def test_typing_goes_on_while_the_terminal_takes_nothing() -> None:
    async def body(port: Any, console: RawConsole) -> None:
        await console.offer(*[16] * 10)
        await console.send(bytes(4000))
        port.engine.ports.uart.send(b"typed meanwhile")
        await console.until(lambda: console.received == b"typed meanwhile")
        assert console.sent == 0

    run(body, stalls={"uart_tx": 0.99})


def test_a_reset_in_flight_ends() -> None:
    async def body(port: Any, console: RawConsole) -> None:
        for turn in range(6):
            await console.offer(*[16] * 20)
            await console.send(*pieces(20))
            port.engine.ports.uart.send(random.randbytes(100))
            await port.sleep(random.randrange(2000))
            before = port.now()
            await console.leave(console.transport.reset)
            assert port.now() - before < 20_000
            untouched = port.memory.array.copy()
            await port.sleep(3000)
            assert (port.memory.array == untouched).all(), f"turn {turn}: memory was written after the reset"
            await console.start()
        # It works as on the first day; what was typed before waits in the device.
        port.engine.ports.uart.receive()
        console.received = b""
        await console.offer(*[200] * 10)
        port.engine.ports.uart.send(b"end")
        await console.until(lambda: console.received.endswith(b"end"))

    run(body, stalls={"uart_tx": 0.999, "uart_rx": 0.5})


@pytest.mark.parametrize("queue", BOTH)
def test_one_queue_is_reset_while_the_other_works(queue: int) -> None:
    async def body(port: Any, console: RawConsole) -> None:
        other = CONSOLE_TRANSMIT_QUEUE if queue == CONSOLE_RECEIVE_QUEUE else CONSOLE_RECEIVE_QUEUE
        typed = shown = b""
        for _ in range(8):
            if other == CONSOLE_TRANSMIT_QUEUE:
                await console.offer(*[32] * 10)
                shown += (more := random.randbytes(400))
                await console.send(more)
            else:
                await console.send(*pieces(10))
                await console.offer(*[300] * 4)
                typed += (more := random.randbytes(150))
                port.engine.ports.uart.send(more)
            await port.sleep(random.randrange(600))
            before = port.now()
            for item in await console.queues[queue].shutdown():
                item.free()
            assert port.now() - before < 20_000
        if other == CONSOLE_TRANSMIT_QUEUE:
            await console.until(lambda: console.sent == 8)
            await port.sleep(500)
            assert port.engine.ports.uart.receive() == shown
        else:
            await console.until(lambda: len(console.received) == len(typed))
            assert console.received == typed

    # A transmit queue that is reset has a terminal that takes next to nothing.
    run(body, stalls={"uart_tx": 0.3 if queue == CONSOLE_RECEIVE_QUEUE else 0.999, "uart_rx": 0.5})


def test_it_is_quiet_while_it_waits() -> None:
    with ServedEngine(CONFIG) as engine:
        engine.ports.uart.send(bytes(RECEIVE_BYTES + 10))
        engine.run_until_quiet(10_000)
        assert engine.quiet()
        assert engine.now < 1000
        assert engine.stats()["uart_rx_bytes"] == RECEIVE_BYTES
