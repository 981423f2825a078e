"""A native engine for an external host: memory is mapped and unmapped, and time passes only when needed."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from ringwalker.pci.endpoint import EdgeConfig
from ringwalker.verilog import PortInfo

from ...captures.captures import NO_CAPTURES, Captures
from ...disk_image import DiskImage
from ...host import HostParameters
from ...memory import PAGE, GuestMemory
from .abi import Outcome, c_fields
from .engine import EngineError, NativeEngine, NativeEvent, all_ones
from .peer_layout import PEER, WINDOW

__all__ = ["CPeer", "CWindow", "ServedEngine"]


class CWindow(ctypes.Structure):
    """``struct PeerWindow``."""

    _fields_ = c_fields(WINDOW)


class CPeer(ctypes.Structure):
    """``struct PeerSetup``."""

    _fields_ = c_fields(PEER)


class ServedEngine(NativeEngine):
    """A :class:`NativeEngine` without RAM of its own, which never raises for what the device does.

    Memory is mapped as the host gives it (:meth:`map`), or is external (:meth:`map_external`): then the
    device's accesses are events, which the owner answers. Parameters and errors are those of
    :class:`NativeEngine`.
    """

    def __init__(
        self,
        config: EdgeConfig,
        *,
        disk: DiskImage | None = None,
        host: HostParameters | None = None,
        waves: str | Path | None = None,
        seed: int = 1,
        component: wiring.Component | tuple[str, list[PortInfo]] | None = None,
        sanitize: bool = False,
        plain: bool | None = None,
        at_once: bool = False,
        timeline: bool = False,
        captures: Captures = NO_CAPTURES,
        progress: Callable[[str], None] | None = None,
    ):
        memory = GuestMemory(PAGE)
        self.timeouts = 0
        """Reads that the device has not answered in time."""
        super().__init__(
            config,
            memory,
            disk=disk,
            host=host,
            waves=waves,
            seed=seed,
            component=component,
            strict=False,
            sanitize=sanitize,
            plain=plain,
            at_once=at_once,
            timeline=timeline,
            captures=captures,
            progress=progress,
        )
        self.unmap(memory.base)

    # --- time ---------------------------------------------------------------------------------------------

    def run_until_quiet(self, max_cycles: int) -> list[NativeEvent]:
        """Like :meth:`run`, but ends early when the device and its host have nothing left to do."""
        if self._backlog:
            return self.run(0)
        return self._run_chunk(max_cycles, self.library.rw_run_until_quiet)

    def serve(self, max_cycles: int, peer: CPeer) -> list[NativeEvent]:
        """Like :meth:`run_until_quiet`, while C++ carries out the usual messages of ``peer``: accesses of its
        windows, and interrupts. It also ends when a message is Python's, or when ``peer.stop`` is readable.

        Call :meth:`drain` before. When ``peer.read_ticket`` is not 0 afterwards, the next message is that
        read, which must be answered with :meth:`read_bytes`; no event is given before that.
        """

        def run(handle: int, cycles: int, buffer: object, room: int) -> int:
            return self.library.rw_serve(handle, cycles, ctypes.byref(peer), buffer, room)

        events = self._run_chunk(max_cycles, run)
        if not peer.read_ticket:
            return events
        self._backlog += events
        return []

    def drain(self) -> list[NativeEvent]:
        """What has happened so far, in order, without letting any time pass."""
        events, self._backlog = self._backlog, []
        while more := self._run_chunk(0):
            events += more
        return events

    def quiet(self) -> bool:
        """Whether nothing is in flight, as :meth:`run_until_quiet` found it; a request makes it False."""
        return not self._backlog and bool(self.library.rw_quiet(self.handle()))

    # --- requests -----------------------------------------------------------------------------------------

    def read_bytes(self, ticket: int, length: int) -> bytes:
        """The data of the read that was submitted as ``ticket``; all ones when it was refused."""
        outcome, value = self.wait(ticket)
        self.timeouts += outcome is Outcome.TIMEOUT
        if outcome is not Outcome.SUCCESS:
            value = all_ones(length)
        elif length > 8:
            out = ctypes.create_string_buffer(length)
            if self.library.rw_fetch(self.handle(), ticket, out, length):
                return out.raw
            raise EngineError(f"the answer to request {ticket} is gone")
        return value.to_bytes(length, "little")

    # --- what the device can reach ------------------------------------------------------------------------

    def map_external(self, address: int, size: int, writable: bool = True) -> None:
        """Make ``size`` bytes external: accesses become EXTERNAL_READ and EXTERNAL_WRITE events.

        Errors: ``ValueError`` on overlap.
        """
        if not self.library.rw_map_external(self.handle(), address, size, int(writable)):
            raise ValueError(f"{size} bytes at {address:#x} overlap what is mapped")
        self._kept[address] = np.empty(0, dtype=np.uint8)

    def answer_external(self, event: NativeEvent, data: bytes | None) -> None:
        """Answer an EXTERNAL_READ; None refuses it. Errors: ``ValueError`` when it does not wait any more."""
        length = 0 if data is None else len(data)
        if not self.library.rw_external_answer(self.handle(), event.status, data, length):
            raise ValueError(f"no read of {length} bytes waits at {event.a:#x}")

    def external_data(self, event: NativeEvent) -> bytes:
        """The data of an EXTERNAL_WRITE. Every one must be asked for, in the order of the events."""
        out = ctypes.create_string_buffer(event.b)
        if not self.library.rw_external_write(self.handle(), out, event.b):
            raise EngineError(f"the data of the write at {event.a:#x} is gone")
        return out.raw

    # --- waves --------------------------------------------------------------------------------------------

    def next_waves(self, path: str | Path) -> None:
        """Complete the waves written so far and go on in another file. Errors: :class:`EngineError`."""
        if not self.library.rw_trace_next(self.handle(), str(path).encode()):
            raise EngineError(f"{path}: cannot be written")
