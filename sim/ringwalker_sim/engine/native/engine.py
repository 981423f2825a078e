"""The native engine: a Verilated device and a root complex in C++, called through ctypes.

The clock loop never enters Python; it returns when something happened or a number of cycles has passed.
"""

import ctypes
import os
import struct
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from amaranth.lib import wiring

from ringwalker.outputs import OutputError, writing
from ringwalker.pci.endpoint import EdgeConfig
from ringwalker.spec.tlp import RequestKind
from ringwalker.streams import StorageOp
from ringwalker.verilog import PortInfo

from ...captures.captures import NO_CAPTURES, Captures, capture_files, finish_captures
from ...disk_image import DiskImage
from ...errors import EXIT_FAILED, RingwalkerError
from ...host import Fault, HostParameters
from ...memory import Access, GuestMemory, Watch
from .abi import (
    EVENT_FORMAT,
    FAULT_GONE,
    FAULT_WRITE,
    PAGE_BYTES,
    STATS,
    CEvent,
    CStats,
    EventKind,
    Outcome,
)
from .library import load
from .models import library_for
from .parameters import all_ones, c_parameters
from .peripheral import Peripherals, peripheral_classes
from .probes import recording_of

__all__ = ["EngineError", "NativeEngine", "NativeEvent", "ProtocolError", "all_ones"]

_CHUNK = 100_000
"""Cycles at most before Python can handle a signal of the operating system."""

_ROOM = 256
"""Events taken from the library at once."""

_EVENT_BYTES = ctypes.sizeof(CEvent)
_KINDS = {int(kind): kind for kind in EventKind}
_RESET_CYCLES = 8
_NO_MEMORY = "there is not enough memory for the model of the device"


class EngineError(RingwalkerError):
    """The engine cannot do what was asked."""

    exit_code = EXIT_FAILED


class ProtocolError(RingwalkerError, AssertionError):
    """The device broke a rule of PCI Express or of a stream; the message has the cycle and the rule."""

    exit_code = EXIT_FAILED


class NativeEvent(NamedTuple):
    """Something that happened at ``cycle``; for ``status``, ``a`` and ``b`` see :class:`EventKind`."""

    kind: EventKind
    status: int
    cycle: int
    a: int
    b: int


def _writable(path: str | Path | None) -> bytes | None:
    """The name of a file that can be written, as C takes it."""
    if path is None:
        return None
    with writing(path), Path(path).open("wb"):
        return os.fsencode(path)


class NativeEngine:
    """The device of ``config``, or any ``component`` with its TLP streams, with RAM ``memory`` and ``disk``.

    A component may also be given as what ``to_verilog(component, TOP)`` made of it. ``ports`` has what is
    behind the device's ports, such as ``ports.storage``, the disk. Ports that nothing here knows keep their
    initial values, and streams among them carry nothing.

    ``host`` describes the root complex, ``seed`` all its random choices. ``waves`` names an FST file to
    write. ``strict`` raises :class:`ProtocolError` when the device breaks a rule; otherwise ``violations``
    collects them. ``faults`` collects the device's accesses to what is not mapped, or gone. ``progress``
    gets a line of text now and then while the model is built.

    The model is change-driven (:mod:`.changes`) for a device without waves; ``plain`` says otherwise (None:
    as :func:`.models.plain_by_default`). ``library`` is a library to use as it is, and ``compare`` lets a
    change-driven model be compared with the plain one in every cycle, which is slow. With ``at_once`` the
    plain model is used until there is the other (:mod:`.successor`). With ``timeline`` the device has probes,
    and what happens is recorded (``recording``). ``captures`` names files for what passes the MAC and the
    link. Use the engine as a context manager, so that waves end readable.

    Errors: :class:`~ringwalker_sim.toolchain.ToolError` when the model cannot be built;
    ``OutputError`` when the waves cannot be written. That their disk has become full nobody says: see
    :func:`~ringwalker_sim.waves.fst_join.require_whole`.
    """

    def __init__(
        self,
        config: EdgeConfig,
        memory: GuestMemory,
        *,
        disk: DiskImage | None = None,
        host: HostParameters | None = None,
        waves: str | Path | None = None,
        seed: int = 1,
        component: wiring.Component | tuple[str, list[PortInfo]] | None = None,
        strict: bool = True,
        sanitize: bool = False,
        plain: bool | None = None,
        library: Path | None = None,
        compare: bool = False,
        at_once: bool = False,
        timeline: bool = False,
        captures: Captures = NO_CAPTURES,
        progress: Callable[[str], None] | None = None,
    ):
        self.config = config
        self.memory = memory
        self.host = host or HostParameters()
        self.strict = strict
        self.violations: list[str] = []
        self.faults: list[Access] = []
        options = {"sanitize": sanitize, "at_once": at_once, "probes": timeline, "progress": progress}
        path, ports, self._successor = library_for(
            config, component, library, plain=plain, waves=waves is not None, **options
        )
        classes = peripheral_classes({port.name for port in ports})
        self.library = load(path, classes.values())
        """The functions of the C++ half."""
        parameters = c_parameters(self.host, config.clock_mhz, seed, compare)
        handle = self.library.rw_open(ctypes.byref(parameters), _writable(waves))
        if not handle:
            raise OutputError(f"{waves}: cannot be written") if waves else EngineError(_NO_MEMORY)
        self._handle: int | None = handle
        self._finalizer = weakref.finalize(self, self.library.rw_close, handle)
        self._buffer = (CEvent * _ROOM)()
        self._raw_events = memoryview(self._buffer).cast("B")
        self.now = 0
        """Cycles since the start; changes in :meth:`run`, :meth:`wait` and :meth:`reset` only."""
        self._answers: dict[int, tuple[Outcome, int]] = {}
        self._backlog: list[NativeEvent] = []
        self._watches: list[Watch] = []
        self._watch_version = -1
        self._kept: dict[int, np.ndarray] = {}
        self.map(memory.base, memory.array)
        self.disk = disk
        self.recording = recording_of(self) if timeline else None
        """What has happened, if a ``timeline`` is wanted."""
        self.captures = capture_files(self, captures)
        self.ports = Peripherals({name: made(self) for name, made in classes.items()})
        self.reset()

    # --- life ---------------------------------------------------------------------------------------------

    def reset(self, cycles: int = _RESET_CYCLES) -> None:
        """Reset the device; what was in flight is dropped, and waiting requests end with ``RESET``."""
        self.library.rw_reset(self.handle(), cycles)
        self.now = self.library.rw_now(self._handle)

    def close(self) -> None:
        """End the simulation: waves, timeline and captures are complete. May be called again."""
        if self.recording is not None and self._handle is not None:
            self.recording.end()
        if self._handle is not None:
            finish_captures(self, [])
        self._handle = None
        if self._successor is not None:
            self._successor.stop()
        self._finalizer()
        for peripheral in self.ports:
            peripheral.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    def handle(self) -> int:
        """The host in the library. Errors: :class:`EngineError` after :meth:`close`."""
        if self._handle is None:
            raise EngineError("the engine is closed")
        return self._handle

    # --- time and events ----------------------------------------------------------------------------------

    def run(self, max_cycles: int) -> list[NativeEvent]:
        """Let time pass until something happens or ``max_cycles`` have passed; what happened, in order.

        Errors: :class:`ProtocolError`. Watches are reported to before this returns.
        """
        events, self._backlog = self._backlog, []
        end = self.now + max_cycles
        while not events and (left := end - self.now) > 0:
            events = self._run_chunk(min(left, _CHUNK))
        return events

    def _run_chunk(self, cycles: int, run: Callable[..., int] | None = None) -> list[NativeEvent]:
        handle = self.handle()
        if self.memory.watch_version != self._watch_version:
            self._set_watches()
        if self._successor is not None:
            self._successor.take_over(self.library, handle)
        count = (run or self.library.rw_run)(handle, cycles, self._buffer, _ROOM)
        self.now = self.library.rw_now(handle)
        if self.recording is not None:
            self.recording.collect()
        for file in self.captures:
            file.collect()
        if not count:
            return []
        raw = self._raw_events[: count * _EVENT_BYTES]
        events = []
        for kind, status, cycle, a, b in struct.iter_unpack(EVENT_FORMAT, raw):
            if kind == EventKind.ERROR:
                self._collect_violations()
            elif kind == EventKind.FAULT:
                self.faults.append(Access(cycle, a, b, bool(status & FAULT_WRITE), bool(status & FAULT_GONE)))
            elif kind == EventKind.DISK_FAILURE:
                self.ports.storage.failed(StorageOp(status), a, b)
            elif kind == EventKind.WATCH:
                self._watches[status >> 1].report(Access(cycle, a, b, bool(status & 1)))
            else:
                events.append(NativeEvent(_KINDS[kind], status, cycle, a, b))
        if self.strict and self.violations:
            self._backlog += events
            raise ProtocolError("; ".join(self.violations[:5]))
        return events

    def _collect_violations(self) -> None:
        while (text := self.library.rw_violation(self._handle)) is not None:
            self.violations.append(text.decode())

    def _set_watches(self) -> None:
        self._watch_version = self.memory.watch_version
        self._watches = list(self.memory.watches)
        self.library.rw_clear_watches(self._handle)
        for number, item in enumerate(self._watches):
            self.library.rw_watch(
                self._handle, number, item.address, item.length, int(item.reads), int(item.writes)
            )

    def accompany(self, companion: int) -> None:
        """Let a companion (``src/companion.h``) in another library work until it ends."""
        self.library.rw_accompany(self.handle(), companion)
        self.now = self.library.rw_now(self._handle)

    # --- requests of the CPU ------------------------------------------------------------------------------

    def reaches(self, bdf: int) -> bool:
        """Whether configuration requests for ``bdf`` go down the link to the device."""
        return bdf >> 3 == self.host.device >> 3

    def submit(
        self, kind: RequestKind, address: int, length: int, data: bytes | None = None, bdf: int | None = None
    ) -> int:
        """Queue a request of ``length`` bytes; the ticket that its COMPLETION event carries in ``a``.

        ``data`` is what a write writes. Posted writes have no event. Errors: ``ValueError`` for an access
        that one TLP cannot make.
        """
        memory = kind is RequestKind.MEMORY_READ or kind is RequestKind.MEMORY_WRITE
        limit = PAGE_BYTES if memory else 4
        if length < 1 or address < 0 or address // limit != (address + length - 1) // limit:
            raise ValueError(f"{kind.name} of {length} bytes at {address:#x} crosses {limit} bytes")
        if data is not None and len(data) != length:
            raise ValueError(f"{kind.name} of {length} bytes with {len(data)} bytes of data")
        if memory and data is not None and (address % 4 + length + 3) // 4 * 4 > self.host.max_payload:
            raise ValueError(f"write of {length} bytes; max_payload is {self.host.max_payload}")
        target = 0
        if kind is RequestKind.CONFIG_READ_0 or kind is RequestKind.CONFIG_WRITE_0:
            target = self.host.device if bdf is None else bdf
        return self.library.rw_submit(self.handle(), kind.value, address, length, target, data)

    def wait(self, ticket: int) -> tuple[Outcome, int]:
        """Run until request ``ticket`` is answered; events of others are kept for :meth:`run`."""
        while True:
            for index, event in enumerate(self._backlog):
                if event.kind is EventKind.COMPLETION and event.a == ticket:
                    del self._backlog[index]
                    return Outcome(event.status), event.b
            self._backlog += self._run_chunk(_CHUNK)

    def _read(self, kind: RequestKind, address: int, size: int, bdf: int | None = None) -> int:
        outcome, value = self.wait(self.submit(kind, address, size, bdf=bdf))
        return value if outcome is Outcome.SUCCESS else all_ones(size)

    def config_read(self, offset: int, size: int, bdf: int | None = None) -> int:
        """``size`` bytes (1, 2, 4) of configuration space; all ones when nothing answers."""
        if bdf is not None and not self.reaches(bdf):
            return all_ones(size)
        return self._read(RequestKind.CONFIG_READ_0, offset, size, bdf)

    def config_write(self, offset: int, size: int, value: int, bdf: int | None = None) -> Outcome | None:
        """Write configuration space; how it ended; None where there is no device."""
        if bdf is not None and not self.reaches(bdf):
            return None
        data = value.to_bytes(size, "little")
        return self.wait(self.submit(RequestKind.CONFIG_WRITE_0, offset, size, data, bdf))[0]

    def memory_read(self, address: int, size: int) -> int:
        """``size`` bytes (1 to 8) of memory space of the device; all ones when it refuses."""
        if size > 8:
            raise ValueError(f"{size} bytes are no integer; use memory_read_bytes")
        return self._read(RequestKind.MEMORY_READ, address, size)

    def memory_read_bytes(self, address: int, length: int) -> bytes:
        """``length`` bytes in one request. Errors: :class:`EngineError` when the device refuses."""
        ticket = self.submit(RequestKind.MEMORY_READ, address, length)
        outcome, value = self.wait(ticket)
        if outcome is not Outcome.SUCCESS:
            raise EngineError(f"a read of {length} bytes at {address:#x} ended with {outcome.name}")
        if length <= 8:
            return value.to_bytes(length, "little")
        out = ctypes.create_string_buffer(length)
        if not self.library.rw_fetch(self.handle(), ticket, out, length):
            raise EngineError(f"the answer to request {ticket} is gone")
        return out.raw

    def memory_write(self, address: int, value: int, size: int) -> None:
        """A posted write: it is queued, and keeps its place before later reads."""
        self.submit(RequestKind.MEMORY_WRITE, address, size, value.to_bytes(size, "little"))

    def memory_write_bytes(self, address: int, data: bytes) -> None:
        """A posted write of any length up to ``max_payload``, in one request."""
        self.submit(RequestKind.MEMORY_WRITE, address, len(data), data)

    def io_read(self, address: int, size: int) -> int:
        """``size`` bytes (1, 2, 4) of I/O space; all ones when the device refuses."""
        return self._read(RequestKind.IO_READ, address, size)

    def io_write(self, address: int, value: int, size: int) -> Outcome:
        """Write I/O space; how it ended."""
        data = value.to_bytes(size, "little")
        return self.wait(self.submit(RequestKind.IO_WRITE, address, size, data))[0]

    # --- what the device can reach ------------------------------------------------------------------------

    def map(self, address: int, array: np.ndarray, writable: bool = True) -> None:
        """Let the device reach the bytes of ``array`` at ``address``. Errors: ``ValueError`` on overlap."""
        if not self.library.rw_map(self.handle(), address, len(array), array.ctypes.data, int(writable)):
            raise ValueError(f"{len(array)} bytes at {address:#x} overlap what is mapped")
        self._kept[address] = array

    def unmap(self, address: int) -> None:
        """Take away what was mapped at ``address``. Errors: ``ValueError`` if there is nothing."""
        if not self.library.rw_unmap(self.handle(), address):
            raise ValueError(f"nothing is mapped at {address:#x}")
        del self._kept[address]

    def inject(self, fault: Fault, nth: int = 0, delay: int = 0) -> None:
        """Let the ``nth`` read from now (0 is the next) fail; ``delay`` cycles count for ``LATE``."""
        self.library.rw_inject(self.handle(), int(fault), nth, delay)

    def trace(self, on: bool) -> None:
        """Switch the writing of waves on or off; it is on from the start."""
        self.library.rw_trace(self.handle(), int(on))

    # --- counters -----------------------------------------------------------------------------------------

    def raw_stats(self) -> CStats:
        """All counters as they are now, in a structure of its own: cheaper than :meth:`stats`."""
        values = CStats()
        self.library.rw_stats(self.handle(), ctypes.byref(values))
        return values

    def stats(self) -> dict[str, int]:
        """All counters by name (see ``abi.STATS``): packets and bytes each way, faults, storage commands."""
        values = self.raw_stats()
        return {name: getattr(values, name) for name in STATS}

    def tlps(self) -> dict[str, int]:
        """Packets by direction and kind: ``up_`` from the device, ``down_`` to it."""
        others = ("bytes", "payload")
        return {
            name: value
            for name, value in self.stats().items()
            if name.startswith(("up_", "down_")) and not name.endswith(others)
        }
