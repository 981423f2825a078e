"""The guest's port over the native engine: driver coroutines run until all wait, then the clock runs."""

from collections.abc import Callable

from ringwalker.spec.tlp import ErrorMessage, RequestKind

from ...guest.loop import Loop, StuckError
from ...guest.port import Port
from .abi import EventKind, Outcome
from .engine import NativeEngine, all_ones

__all__ = ["NativePort"]


class NativePort(Loop, Port):
    """A :class:`~ringwalker_sim.guest.port.Port` on ``engine``; ``run(coroutine)`` drives it.

    ``hang_cycles`` is how long nothing may happen while something is waited for without a time limit.
    Errors: :class:`StuckError` after that.
    """

    def __init__(self, engine: NativeEngine, hang_cycles: int = 20_000_000):
        super().__init__()
        self.engine = engine
        self.memory = engine.memory
        self.timeline = engine.recording
        self.disk = engine.disk
        self.clock_mhz = engine.config.clock_mhz
        self.hang_cycles = hang_cycles
        self._pending: dict[int, Callable[[tuple[Outcome, int]], None]] = {}
        self._messages: dict[tuple[int, int], Callable[[], None]] = {}
        self._intx: list[Callable[[], None]] = []
        self._last_event = 0
        self._notices = {peripheral.event: peripheral.notice for peripheral in engine.ports}
        self.on_pump: Callable[[int], None] | None = None
        """Gets the status of PUMP events."""
        self.unexpected_messages: list[tuple[int, int]] = []
        self.error_messages: list[ErrorMessage] = []
        """What the device has reported to the root complex, in order."""

    # --- the loop -----------------------------------------------------------------------------------------

    def now(self) -> int:
        """Cycles since the start."""
        return self.engine.now

    def advance(self, deadline: int | None) -> None:
        """Run the clock until something happens or until ``deadline``."""
        start = self.engine.now
        limit = self._last_event + self.hang_cycles if deadline is None else deadline
        if deadline is None and start >= limit:
            raise StuckError(f"nothing has happened for {self.hang_cycles} cycles (now {start})")
        events = self.engine.run(max(0, limit - start))
        if events:
            self._last_event = self.engine.now
        for event in events:
            if event.kind is EventKind.COMPLETION:
                waiter = self._pending.pop(event.a, None)
                if waiter:
                    waiter((Outcome(event.status), event.b))
            elif event.kind is EventKind.MESSAGE:
                callback = self._messages.get((event.a, event.b))
                if callback:
                    callback()
                else:
                    self.unexpected_messages.append((event.a, event.b))
            elif event.kind is EventKind.INTX and event.b:
                for callback in self._intx:
                    callback()
            elif event.kind is EventKind.ERROR_MESSAGE:
                self.error_messages.append(ErrorMessage(event.status))
            elif event.kind is EventKind.PUMP:
                if self.on_pump:
                    self.on_pump(event.status)
            elif event.kind in self._notices:
                self._notices[event.kind]()

    async def _request(
        self, kind: RequestKind, address: int, size: int, data: bytes | None = None, bdf: int | None = None
    ) -> tuple[Outcome, int]:
        future = self.future()
        self._last_event = self.engine.now
        self._pending[self.engine.submit(kind, address, size, data, bdf)] = future.set
        return await future

    async def _read(self, kind: RequestKind, address: int, size: int, bdf: int | None = None) -> int:
        outcome, value = await self._request(kind, address, size, bdf=bdf)
        return value if outcome is Outcome.SUCCESS else all_ones(size)

    # --- the port -----------------------------------------------------------------------------------------

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space; all ones where there is no function."""
        if not self.engine.reaches(bdf):
            return all_ones(size)
        return await self._read(RequestKind.CONFIG_READ_0, offset, size, bdf)

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        if self.engine.reaches(bdf):
            await self._request(RequestKind.CONFIG_WRITE_0, offset, size, value.to_bytes(size, "little"), bdf)

    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space; all ones when the device refuses."""
        return await self._read(RequestKind.MEMORY_READ, address, size)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space: queued, in order with later reads."""
        self._last_event = self.engine.now
        self.engine.submit(RequestKind.MEMORY_WRITE, address, size, value.to_bytes(size, "little"))

    async def io_read(self, address: int, size: int) -> int:
        """Read I/O space; all ones when the device refuses."""
        return await self._read(RequestKind.IO_READ, address, size)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """Write I/O space."""
        await self._request(RequestKind.IO_WRITE, address, size, value.to_bytes(size, "little"))

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data of its own for ``callback``."""
        address, data = self.engine.host.msi_window[0], 0x20 + len(self._messages)
        self._messages[address, data] = callback
        return address, data

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs whenever INTA is asserted."""
        self._intx.append(callback)

    def trace(self, on: bool) -> None:
        """See :meth:`.Port.trace`."""
        self.engine.trace(on)

    def tlps(self) -> dict[str, int]:
        """Packets on the link so far, by direction and kind."""
        return self.engine.tlps()
