"""The guest of a testbench: finds the virtio device there, drives it, and holds it to the specification."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from ringwalker.spec.features import Feature

from ..conform.medium import Medium
from ..conform.subject import Timing
from ..conform.suite import Device, Outcome, run_checks, select
from ..errors import ParameterError, RingwalkerError
from ..function.simulation import built_in_functions, device_type_of, simulation_of
from ..guest.bus import VirtioDevice
from ..guest.errors import BindError
from ..guest.machine import Machine, VirtioPciDriver, identity_of
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.port import Port
from ..guest.ring_queue import RING_FEATURES
from ..guest.transport.mmio import MmioTransport
from ..guest.transport.virtio_pci_structures import VirtioStructures
from ..memory import GuestMemory
from .bus import Bus, ObservedRegisters
from .dma import GuestDma
from .monitor import Monitor
from .observed import ObservedPort
from .report import report_of
from .rules import Finding, Findings

__all__ = ["Guest"]

log = logging.getLogger("ringwalker.vip")


class Guest:
    """A guest with RAM, drivers and a monitor for the devices of a testbench.

    :meth:`behind` and :meth:`on_bus` make one. ``memory`` is its RAM (:class:`~..memory.GuestMemory`, whose
    ``array`` is numpy), ``findings`` what the devices have broken. ``patience`` (cycles) is how long a
    notification may take. ``stop``: the first finding of a MUST ends what the test waits for with
    :class:`.rules.ProtocolError`; otherwise :meth:`check` and :meth:`close` raise it.
    """

    def __init__(self, port: Port, *, patience: int = 20_000, stop: bool = True, bus: Bus | None = None):
        self.patience = patience
        self.memory = port.memory
        self.findings = Findings(self._found)
        self.port = ObservedPort(port, self.findings, stop)
        self.machine = Machine(self.port)
        self.monitors: list[Monitor] = []
        self._bus = bus
        self._functions: list[PciDevice] = []

    def _found(self, finding: Finding) -> None:
        log.log(logging.ERROR if finding.binding else logging.WARNING, "%s", finding)
        self.port.wake(finding)

    # --- three lines ---------------------------------------------------------------------------------------

    @classmethod
    def behind(
        cls,
        rc: Any,
        *,
        memory_bytes: int = 16 << 20,
        clock_mhz: float = 250,
        patience: int = 20_000,
        stop: bool = True,
    ) -> Self:
        """A guest behind ``rc``, a RootComplex of cocotbext-pcie with any devices under it.

        Its RAM is put where ``rc`` has room for ``memory_bytes``, a power of two. ``clock_mhz`` is the
        clock of the device, in which time-outs count. ``await rc.enumerate()`` comes before :meth:`probe`.
        """
        from .root_complex import BehindRootComplex

        memory = GuestMemory(memory_bytes, BehindRootComplex.place(rc, memory_bytes))
        port = BehindRootComplex(rc, memory, clock_mhz)
        guest = cls(port, patience=patience, stop=stop)

        def watch(requester: int, address: int, length: int, write: bool) -> None:
            for pci, monitor in guest.port.watched:
                if pci.bdf == requester:
                    (monitor.memory_written if write else monitor.memory_read)(address, length)

        port.watch = watch
        return guest

    @classmethod
    def on_bus(
        cls,
        bus: Bus,
        *,
        memory: Any = 16 << 20,
        base: int = 0,
        patience: int = 20_000,
        stop: bool = True,
    ) -> Self:
        """A guest whose device is on a memory-mapped ``bus``, such as :class:`.axi.AxiMmio`.

        ``memory`` is the size of its RAM in bytes, or a buffer (a numpy array, a ``bytearray``, ...) that
        becomes its RAM, from bus address ``base`` on.
        """
        ram = GuestMemory(memory, base) if isinstance(memory, int) else GuestMemory.over(memory, base)
        guest = cls(bus.port(ram), patience=patience, stop=stop, bus=bus)
        guest._watch_bus(bus)
        return guest

    def _watch_bus(self, bus: Bus) -> None:
        inner = self.port.inner
        options = {"mmio": True, "patience": self.patience, "granule": bus.granule}
        monitor = Monitor(inner, self.findings, "mmio", **options)
        self.monitors.append(monitor)
        bus.connect(GuestDma(self.memory, monitor, inner.now))

    async def probe(
        self,
        number: int = 0,
        *,
        rings: str = "split",
        ring_features: int = 0,
        interrupt: str = "msix",
        vendors: Sequence[int] = (),
        drivers: Mapping[int, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Find virtio device ``number`` and give its driver's object: a ``BlkDevice``, ``NetDevice``,
        ``ConsoleDevice`` or ``RngDevice``.

        ``rings`` is ``"split"`` or ``"packed"``, and ``ring_features`` a mask of further features of rings
        (INDIRECT_DESC, EVENT_IDX, IN_ORDER) that are used where the device offers them. ``interrupt`` of a
        PCI function is ``"msix"`` or ``"msi"``. ``vendors`` are PCI vendors beside 0x1AF4 and 0x5000 whose
        functions are virtio devices. ``drivers`` has the driver for a device type of your own, a
        ``driver(port, **options)``; ``options`` go to the driver.

        Errors: :class:`~..guest.errors.BindError` when there is no such device or nothing drives it;
        :class:`.rules.ProtocolError`; those of the driver.
        """
        if rings not in ("split", "packed"):
            raise ParameterError(f"rings is {rings!r}; it must be 'split' or 'packed'")
        if self._bus is None:
            device = await self._probe_pci(number, interrupt, tuple(vendors))
        elif number:
            raise BindError(f"there is one device on the bus, and no number {number}")
        else:
            device = await self._probe_bus(self._bus)
        packed = 1 << Feature.RING_PACKED
        wanted = ring_features & RING_FEATURES & ~packed
        device.config.ring_features = wanted | packed if rings == "packed" else wanted
        make = self._driver_of(device.id.type, drivers or {})
        await self.machine.bus.register_virtio_driver(make(self.port, **options))
        self.port.check()
        return self.machine.driven(device)

    @staticmethod
    def _driver_of(kind: int, drivers: Mapping[int, Any]) -> Any:
        if kind in drivers:
            return drivers[kind]
        for name in built_in_functions():
            if device_type_of(name) == kind:
                return simulation_of(name).driver
        raise BindError(f"there is no driver for device type {kind}; give one with drivers={{{kind}: ...}}")

    async def _probe_bus(self, bus: Bus) -> VirtioDevice:
        monitor = self.monitors[0]
        transport = MmioTransport(self.port, ObservedRegisters(bus, monitor))

        def identity(kind: int) -> Any:
            monitor.device_type = kind
            return identity_of(kind)

        await transport.bind(identity)
        await self.machine.bus.register_virtio_device(transport.device)
        return transport.device

    async def _find_functions(self, vendors: tuple[int, ...], driver: VirtioPciDriver) -> list[PciDevice]:
        found = await enumerate_pci(self.port, assign=len(self.port.mmio32) > 0)
        if not found:
            raise BindError(
                "no PCI function answers: connect it to a port of the root complex, end its reset, and await "
                "rc.enumerate() before guest.probe()"
            )
        virtio = [pci for pci in found if driver.matches(pci)]
        if not virtio:
            names = ", ".join(f"{pci.name} {pci.id.vendor:04x}:{pci.id.device:04x}" for pci in found)
            raise BindError(f"none of the PCI functions is a virtio device: {names}")
        for pci in virtio:
            for bar in pci.bars.values():
                if not bar.address:
                    raise BindError(
                        f"{pci.name}: BAR {bar.index} has no address: await rc.enumerate() before "
                        "guest.probe()"
                    )
        return virtio

    async def _probe_pci(self, number: int, interrupt: str, vendors: tuple[int, ...]) -> VirtioDevice:
        driver = VirtioPciDriver(self.machine.bus, interrupt, vendors)
        if not self._functions:
            self._functions = await self._find_functions(vendors, driver)
        if number >= len(self._functions):
            raise BindError(f"there are {len(self._functions)} virtio devices, and no number {number}")
        pci = self._functions[number]
        if all(watched is not pci for watched, _monitor in self.port.watched):
            await self._watch_function(pci)
        return await driver.probe(pci)

    async def _watch_function(self, pci: PciDevice) -> None:
        structures = VirtioStructures(pci)
        try:
            await structures.find()
        except BindError as error:
            log.warning("%s; it is used by the legacy face, which is not checked", error)
            return
        monitor = Monitor(self.port.inner, self.findings, pci.name, patience=self.patience)
        monitor.device_type = pci.id.type
        self.monitors.append(monitor)
        self.port.watch(pci, structures.places, monitor)

    # --- the end -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Errors: :class:`.rules.ProtocolError` when a device has broken a MUST so far."""
        self.findings.check()

    def report(self) -> str:
        """A table of the rules: how often each was looked at, and what was found."""
        return report_of(self.findings)

    async def settle(self) -> None:
        """Wait until every notification that has to come has come, or is found missing."""
        while any(monitor.waiting for monitor in self.monitors):
            await self.port.inner.sleep(max(1, self.patience // 8))

    async def close(self) -> None:
        """Wait for what has to come yet, remove the drivers, reset the devices.

        Errors: :class:`.rules.ProtocolError` when a device has broken a MUST.
        """
        await self.settle()
        self.check()
        await self._remove()
        self.check()

    async def _remove(self) -> None:
        await self.machine.close()
        for driver in tuple(self.machine.bus.drivers):
            await self.machine.bus.unregister_virtio_driver(driver)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_others: object) -> None:
        if kind is None:
            await self.close()

    # --- the suite -----------------------------------------------------------------------------------------

    async def conform(
        self,
        *patterns: str,
        number: int = 0,
        medium: Medium | None = None,
        timing: Timing | None = None,
        seed: int = 1,
    ) -> list[Outcome]:
        """Run the checks of the conformance suite on PCI function ``number``: those whose name or clause
        matches ``patterns``, or all. Drivers are removed before; the suite has its own.

        ``medium`` is what is behind the device, as far as the testbench can reach it. What the suite does on
        purpose is not judged by the monitor. Errors: :class:`~..errors.ParameterError` on a bus without PCI,
        or for a pattern that matches nothing.
        """
        if self._bus is not None:
            raise ParameterError("the conformance suite tests PCI functions; on this bus the monitor checks")
        chosen = select(patterns)
        with suppress(RingwalkerError):
            await self._remove()
        for monitor in self.monitors:
            monitor.paused = True
        try:
            options = {"medium": medium, "seed": seed} | ({} if timing is None else {"timing": timing})
            device = await Device.find(self.port.inner, number, **options)
            return await run_checks(device, chosen)
        finally:
            for monitor in self.monitors:
                monitor.paused = False
