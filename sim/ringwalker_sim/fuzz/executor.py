"""Runs cases on a device in the native engine."""

import ctypes
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from ringwalker.spec.legacy import LEGACY_BAR
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR, CapabilityType
from ringwalker.spec.pci import HEADER, MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY, CapabilityId, Command
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker.spec.registers import Register

from ..engine.native.engine import NativeEngine
from ..engine.native.mac import MacPeripheral
from ..engine.native.port import NativePort
from ..engine.native.uart import UartPeripheral
from ..guest.pci import enumerate_pci
from ..guest.transport.virtio_pci_structures import VirtioStructures
from ..host import HostParameters, Split
from ..memory import GuestMemory
from .case import Case
from .layout import CFinding, CSettings
from .native import fuzz_library
from .operations import OPERATION_BYTES, Kind, Operation, Recovery, reset, settle, to_binary, write
from .outcome import Finding, Outcome
from .spaces import CONFIG_SPACES, Space
from .target import BASES, FAR, FAR_LEGACY, MEMORY_BYTES, Ready, target

__all__ = ["CASE_CYCLES", "HOST", "RESET_CYCLES", "Executor"]

CASE_CYCLES = 400_000
"""A case has come to its end after so many."""

RESET_CYCLES = 4000
"""A reset has ended after so many, with the latency of this host (docs: four latencies and 2,000 cycles)."""

_FUNCTION_RESET_CYCLES = 300
"""So long nothing is done behind a function level reset."""

_SETTLE_CYCLES = 3000
_FINDINGS = 8
_NO_BAR = 6
_VECTOR_ADDRESS, _VECTOR_DATA = 0xFEE0_0000, 0x20
_CONFIG, _MEMORY, _IO, _ABSENT = range(4)
_UNSETTLING = {*CONFIG_SPACES, Space.MSIX, Space.MEMORY, Space.IO}
"""Spaces whose writes leave something behind that a device reset does not cure."""
_CAPABILITIES = {
    Space.PCIE: CapabilityId.PCI_EXPRESS,
    Space.MSIX_CAPABILITY: CapabilityId.MSIX,
    Space.MSI: CapabilityId.MSI,
}
_STRUCTURES = {
    Space.COMMON: CapabilityType.COMMON,
    Space.ISR: CapabilityType.ISR,
    Space.DEVICE: CapabilityType.DEVICE,
    Space.NOTIFY: CapabilityType.NOTIFY,
}


HOST = HostParameters(
    latency=20,
    latency_jitter=12,
    split=Split.RANDOM,
    completion_timeout=20_000,
    msi_window=(0x7A00_0000_0000_0000, 0x7A00_0000_0000_0FFF),
)
"""Close memory, which answers in any order and in any pieces. Messages are writes as others are."""


class Executor:
    """The device ``device``, a key of :data:`.target.DEVICES`, in an engine; use it as a context manager.

    ``host`` is what it is linked to, and ``seed`` that of the host's choices. ``waves`` names an FST file,
    with the plain model. ``library`` is a model's library to use as it is, ``progress`` gets lines while one
    is built. ``most_cycles`` are those of a case.
    Errors: :class:`~ringwalker_sim.toolchain.ToolError`, ``ValueError`` for another device.
    """

    def __init__(
        self,
        device: str,
        *,
        host: HostParameters = HOST,
        seed: int = 1,
        waves: Path | None = None,
        library: Path | None = None,
        most_cycles: int = CASE_CYCLES,
        progress: Callable[[str], None] | None = None,
    ):
        self.target = target(device)
        self.memory = GuestMemory(MEMORY_BYTES)
        self.engine = NativeEngine(
            self.target.config,
            self.memory,
            host=host,
            seed=seed,
            waves=waves,
            library=library,
            strict=False,
            progress=progress,
        )
        for base in (*BASES[1:], *FAR, *FAR_LEGACY):
            self.engine.map(base, self.memory.array)
        for peripheral in self.engine.ports:
            if isinstance(peripheral, MacPeripheral | UartPeripheral):
                peripheral.loopback(True)
        port = NativePort(self.engine)
        (self._pci,) = port.run(enumerate_pci(port))
        settings = self._settings(port, most_cycles)
        self._library = fuzz_library()
        host = self.engine.library.rw_companion_host(self.engine.handle())
        self._runner = self._library.rwf_open(host, ctypes.byref(settings))
        self._finalizer = weakref.finalize(self, self._library.rwf_close, self._runner)
        self._companion = self._library.rwf_companion(self._runner)
        self._found = (CFinding * _FINDINGS)()
        self._enumeration = to_binary(self._enumerating())
        self._recoveries = {
            (kind, unsettled): self._recovery(kind, unsettled)
            for kind in Recovery
            for unsettled in (False, True)
        }
        self._prefixes: dict[str, bytes] = {}
        self._restart = self._recoveries[Recovery.HARDWARE, True]
        self._ready_for: str | None = None
        """The set-up that the device is ready by."""

    # --- what a device is like ------------------------------------------------------------------------------

    def _settings(self, port: NativePort, most_cycles: int) -> CSettings:
        config, pci = self.target.config, self._pci
        values = CSettings(
            memory_array=self.memory.array.ctypes.data,
            memory_bytes=MEMORY_BYTES,
            target_id=pci.bdf,
            legacy=int(self.target.legacy),
            max_payload=self.engine.host.max_payload,
            queues=config.queues,
            queue_size=config.queue_size,
            vectors=config.vectors,
            most_cycles=most_cycles,
        )

        def place(space: Space, way: int, bar: int = _NO_BAR, offset: int = 0, size: int = 0) -> None:
            for field, value in (("way", way), ("bar", bar), ("offset", offset), ("size", size)):
                setattr(values, f"space{space.value}_{field}", value)

        for space in Space:
            place(space, _ABSENT)
        for index, bar in pci.bars.items():
            for field, value in (("address", bar.address), ("size", bar.size), ("io", int(bar.io))):
                setattr(values, f"bar{index}_{field}", value)
        place(Space.CONFIG, _CONFIG, size=4096)
        place(Space.MEMORY, _MEMORY, size=(1 << 64) - 1)
        place(Space.IO, _IO, size=1 << 32)
        for space, kind in _CAPABILITIES.items():
            for capability in pci.find_capabilities(kind):
                place(space, _CONFIG, offset=capability.offset, size=0x40)
        place(Space.MSIX, _MEMORY, MSIX_BAR, 0, MSIX_ENTRY_BYTES * config.vectors)
        if FACE_BAR in pci.bars:
            structures = VirtioStructures(pci)
            port.run(structures.find())
            for space, kind in _STRUCTURES.items():
                if kind in structures.places:
                    found = structures.places[kind]
                    place(space, _MEMORY, found.bar, found.offset, found.size)
                    values.notify_multiplier = found.multiplier or values.notify_multiplier
        if config.has_legacy:
            bar = pci.bars[LEGACY_BAR]
            place(Space.LEGACY, _IO if bar.io else _MEMORY, LEGACY_BAR, 0, bar.size)
        return values

    def _enumerating(self) -> list[Operation]:
        """Configuration space and the MSI-X table as the set-ups take them for granted."""
        pci = self._pci
        enable = Command.BUS_MASTER_ENABLE | Command.MEMORY_ENABLE | Command.IO_ENABLE
        operations = [_set(Space.CONFIG, HEADER.command, 0)]
        for index, bar in pci.bars.items():
            operations.append(_set(Space.CONFIG, HEADER[f"bar{index}"], bar.address & 0xFFFF_FFFF))
            if bar.is_64:
                operations.append(_set(Space.CONFIG, HEADER[f"bar{index + 1}"], bar.address >> 32))
        operations.append(_set(Space.CONFIG, HEADER.command, enable))
        operations.append(_set(Space.PCIE, PCIE_CAPABILITY.device_control, _device_control(self.engine.host)))
        for vector in range(self.target.config.vectors):
            for name, value in (
                ("address_low", _VECTOR_ADDRESS + 4 * vector),
                ("address_high", 0),
                ("data", _VECTOR_DATA + vector),
                ("vector_control", 0),
            ):
                offset = MSIX_ENTRY_BYTES * vector + MSIX_TABLE_ENTRY[name].offset
                operations.append(write(Space.MSIX, offset, 4, value))
        return operations

    def _recovery(self, kind: Recovery, unsettled: bool) -> bytes:
        status = reset(Recovery.STATUS, RESET_CYCLES, Space.LEGACY if self.target.legacy else Space.COMMON)
        first = {
            Recovery.STATUS: [],
            Recovery.FUNCTION: [reset(kind, _FUNCTION_RESET_CYCLES, Space.CONFIG)],
            Recovery.HARDWARE: [reset(kind, 0, Space.CONFIG)],
        }[kind]
        unsettled = unsettled or kind is not Recovery.STATUS
        return (
            to_binary(first)
            + (self._enumeration if unsettled else b"")
            + to_binary([status, settle(_SETTLE_CYCLES)])
        )

    # --- cases ----------------------------------------------------------------------------------------------

    def ready(self, setup: str) -> Ready:
        """What a set-up does and leaves behind."""
        return self.target.setup(setup)

    def run(self, case: Case, following: str | None = None) -> Outcome:
        """Run one case, and behind its reset the set-up ``following``, by itself that of the case.
        Errors: ``ValueError`` for a case of another device, or for a set-up that there is not."""
        if case.device != self.target.key:
            raise ValueError(f"a case for {case.device} cannot run on {self.target.key}")
        setup = following or case.setup
        return self._run(case, self._prefix(case.setup), self._prefix(setup), setup)

    def run_batch(self, cases: Sequence[Case]) -> list[Outcome]:
        """Run one case after the other. Errors: as for :meth:`run`."""
        following = [case.setup for case in [*cases[1:], *cases[-1:]]]
        return [self.run(case, setup) for case, setup in zip(cases, following, strict=True)]

    def _prefix(self, setup: str) -> bytes:
        if setup not in self._prefixes:
            self._prefixes[setup] = to_binary(self.ready(setup).operations)
        return self._prefixes[setup]

    def _run(self, case: Case, before: bytes, after: bytes, following: str) -> Outcome:
        """Run a case. The good requests of the set-up behind it, that of the case that follows, show that its
        reset has cured everything."""
        first = b"" if self._ready_for == case.setup else self._restart + before
        body = b"".join([operation.pack() for operation in case.operations])
        unsettled = any(map(_unsettles, case.operations))
        raw = first + body + self._recoveries[case.recovery, unsettled] + after
        begin = len(first) // OPERATION_BYTES
        start = self.engine.now
        library, runner = self._library, self._runner
        library.rwf_begin(runner, raw, len(raw) // OPERATION_BYTES, begin, begin + len(case.operations))
        self.engine.accompany(self._companion)
        count = library.rwf_findings(runner, self._found, _FINDINGS)
        self._ready_for = None if count else following
        return Outcome(tuple(_finding(row, begin) for row in self._found[:count]), self.engine.now - start)

    def close(self) -> None:
        """End the simulation; waves are complete."""
        self._finalizer()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()


def _set(space: Space, register: Register, value: int) -> Operation:
    return write(space, register.offset, register.size, value)


def _device_control(host: HostParameters) -> int:
    """The sizes of requests that both sides allow; errors are not reported by messages."""
    payload, read_request = (size.bit_length() - 8 for size in (host.max_payload, host.max_read_request))
    return DeviceControl.EXTENDED_TAG_ENABLE | payload << 5 | read_request << 12


def _unsettles(operation: Operation) -> bool:
    """Whether a device reset may not cure what it does."""
    if operation.kind is Kind.TLP:
        return True
    return operation.kind is Kind.WRITE and operation.space in _UNSETTLING


def _finding(row: CFinding, begin: int) -> Finding:
    return Finding(row.rule.decode(), row.text.decode(), row.cycle, row.operation - begin)
