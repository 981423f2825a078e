"""Configuration space of the function: the registers, their side effects, and what they give the edge."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out, connect, flipped

from ..component import Component
from ..interfaces import RegisterPort
from ..spec.pci import Command, ExpansionRom, MsiControl, MsixControl, PmControlStatus, PowerState, Status
from ..spec.pci_extended import CorrectableError, UncorrectableError
from ..spec.pcie import DeviceControl, DeviceControl2, PcieDeviceStatus
from .capabilities import encode_bytes, expansion_rom, layout
from .config_window import ConfigWindow
from .endpoint import EdgeConfig
from .ports import ConfigPort, ConfigRequest, ErrorRegisters, FunctionState, MsiState

__all__ = ["ConfigSpace"]


def _bits(value: Any, flag: int) -> Any:
    """The field of ``value`` that the contiguous ones of ``flag`` name."""
    low = (flag & -flag).bit_length() - 1
    return value[low : int(flag).bit_length()]


class ConfigSpace(Component):
    """Answers configuration requests and keeps the state of the function.

    - Registers beyond the last extended capability, or beyond 256 bytes if there is none, read 0.
    - The bus, device and function of each write become ``state.requester_id``.
    - In D3hot memory, I/O and bus mastering are off in ``state``, whatever the command register says. A write
      of a power state other than D0 and D3hot leaves it as it was. Coming back to D0 resets nothing.
    - Maximum payload and read request size are bounded by ``config`` in ``state``. The register reads as it
      was written.
    - A write of Initiate Function Level Reset is answered, then all registers get their reset values, but for
      those of the link, which PCIe keeps, and the requester ID.
    - Errors are logged as role-based error reporting asks: an error that the requester learns of by a
      completion, an unexpected completion and poisoned data are advisory, thus correctable errors. Error
      messages are sent only with advanced error reporting, which then decides what is logged.

    Latency: 2 cycles from a request to its response, and one request at a time; more for the window.
    ``state`` has changed when the response to the write is valid.

    Ref: PCI 3.0, 6.2; PCI PM 1.2, 3.2; PCIe 3.1, 2.2.9, 6.2, 6.2.3.2.4.5, 6.2.7, 6.6.2, 7.8; virtio 1.4,
    4.1.4.9
    """

    config: In(ConfigPort())
    """Configuration requests."""
    window: Out(RegisterPort())
    """Accesses through the virtio PCI access capability; see :class:`ConfigWindow`. A device without the
    modern face has no such capability, and makes none."""
    state: Out(FunctionState())
    """What the registers say, from registers."""
    msi: Out(MsiState())
    """What the registers of MSI say, from registers; all 0 without MSI."""
    msi_pending: In(2)
    """Level: messages of MSI that wait."""
    errors: Out(ErrorRegisters())
    """Advanced error reporting, if there is any."""
    ten_bit_tags: Out(1)
    """Software has enabled 10-bit tags, if there are any."""
    timeout: Out(4)
    """The completion time-out that software chose, as device control 2 codes it."""
    timeout_disable: Out(1)
    """Software has switched the completion time-out off."""
    intx_asserted: In(1)
    """Level: the interrupt status bit."""
    transactions_pending: In(1)
    """Level: the bit of this name."""
    completion_unsupported: In(1)
    """Pulse: a completion came with status Unsupported Request."""
    completion_aborted: In(1)
    """Pulse: a completion came with status Completer Abort."""
    unexpected_completion: In(1)
    """Pulse: a completion came that was not asked for."""
    poisoned: In(1)
    """Pulse: a completion came with poisoned data."""
    unsupported_request: In(1)
    """Pulse: a request was refused that is not posted."""
    unsupported_posted: In(1)
    """Pulse: a posted request was refused."""
    poisoned_request: In(1)
    """Pulse: a write came with poisoned data."""
    idle: Out(1)
    """No request is in flight."""

    def __init__(self, config: EdgeConfig):
        self._device = config
        self._layout = layout(config)
        self._registers: dict[int, Any] = {}
        super().__init__()

    def _field(self, structure: str, register: str) -> Any:
        """The signal of a register of a capability (or ``"header"``)."""
        dword, shift, width = self._layout[structure].locate(register)
        return self._registers[dword][shift : shift + width]

    def _set_bits(self) -> dict[int, Value]:
        """By dword, the error bits that are set in this cycle."""
        parity_response = (self._field("header", "command") & int(Command.PARITY_ERROR_RESPONSE)).any()
        unsupported, posted = self.unsupported_request, self.unsupported_posted
        poisoned = self.poisoned
        received = poisoned | self.poisoned_request
        status = {
            Status.RECEIVED_MASTER_ABORT: self.completion_unsupported,
            Status.RECEIVED_TARGET_ABORT: self.completion_aborted,
            Status.DETECTED_PARITY_ERROR: received,
            Status.MASTER_DATA_PARITY_ERROR: poisoned & parity_response,
        }
        device_status = {
            PcieDeviceStatus.UNSUPPORTED_REQUEST: unsupported | posted,
            PcieDeviceStatus.CORRECTABLE_ERROR: unsupported | received | self.unexpected_completion,
            PcieDeviceStatus.NON_FATAL_ERROR: posted,
        }
        rows = [("header", "status", status), ("pcie", "device_status", device_status)]
        if self._device.pci.aer:
            errors = self.errors
            status[Status.SIGNALED_SYSTEM_ERROR] = errors.signaled
            device_status |= {
                PcieDeviceStatus.CORRECTABLE_ERROR: errors.correctable_error,
                PcieDeviceStatus.NON_FATAL_ERROR: errors.non_fatal_error,
                PcieDeviceStatus.FATAL_ERROR: errors.fatal_error,
            }
            uncorrectable = {flag: (errors.uncorrectable & int(flag)).any() for flag in UncorrectableError}
            rows.append(("aer", "uncorrectable_status", uncorrectable))
            advisory = {CorrectableError.ADVISORY_NON_FATAL: errors.advisory}
            rows.append(("aer", "correctable_status", advisory))
        result: dict[int, Any] = {}
        for structure, register, flags in rows:
            dword, shift, _width = self._layout[structure].locate(register)
            value: Any = Const(0, 32)
            for flag, condition in flags.items():
                value = value | Mux(condition, int(flag) << shift, 0)
            result[dword] = value
        return result

    def _live_bits(self) -> dict[int, Value]:
        """By dword, the bits that show a level."""
        result: dict[int, Any] = {}
        for structure, register, flag, level in (
            ("header", "status", Status.INTERRUPT_STATUS, self.intx_asserted),
            ("pcie", "device_status", PcieDeviceStatus.TRANSACTIONS_PENDING, self.transactions_pending),
        ):
            dword, shift, _width = self._layout[structure].locate(register)
            result[dword] = Mux(level, int(flag) << shift, 0)
        if self._device.pci.msi:
            dword, _shift, _width = self._layout["msi"].locate("pending")
            result[dword] = self.msi_pending
        if self._device.pci.aer:
            first, _shift, _width = self._layout["aer"].locate("control")
            result[first] = self.errors.first
            for n in range(4):
                dword, _shift, _width = self._layout["aer"].locate(f"header_log_{n}")
                result[dword] = self.errors.log[96 - 32 * n : 128 - 32 * n]
        return result

    def _update(self, m: Any, request: Any, write: Any) -> None:
        """Carry out a write of the registers, and the events."""
        lanes: Any = Cat(byte.replicate(8) for byte in request.strobe)
        events = self._set_bits()
        power_dword, power_shift, _width = self._layout["pm"].locate("control_status")
        power_bits = int(PmControlStatus.POWER_STATE) << power_shift
        power = _bits(request.data, power_bits)
        power_legal = (power == PowerState.D0) | (power == PowerState.D3HOT)
        for number, register in self._registers.items():
            dword = self._layout.dwords[number]
            selected = write & (request.register == number)
            writable = lanes & dword.writable
            if number == power_dword:
                writable = writable & Mux(power_legal, 0xFFFFFFFF, ~power_bits & 0xFFFFFFFF)
            cleared = lanes & dword.w1c & request.data
            written = (register & ~writable & ~cleared) | (request.data & writable)
            m.d.sync += register.eq(Mux(selected, written, register) | events.get(number, 0))
            with m.If(self.state.reset):
                m.d.sync += register.eq((register & dword.kept) | (dword.reset & ~dword.kept & 0xFFFFFFFF))

    def _read(self, m: Any, request: Any, value: Any) -> None:
        """``value`` becomes the register that ``request`` names."""
        live = self._live_bits()
        with m.Switch(request.register):
            for number, dword in enumerate(self._layout.dwords):
                if number in self._registers or number in live or dword.reset:
                    with m.Case(number):
                        m.d.sync += value.eq(self._registers.get(number, dword.reset) | live.get(number, 0))
            with m.Default():
                m.d.sync += value.eq(0)

    def _bounded(self, m: Any, register: str, flag: int, limit: int, output: Any) -> None:
        """``output`` is 128 << the coded size, at most ``limit`` bytes."""
        code = _bits(self._field("pcie", register), flag)
        highest = encode_bytes(limit)
        m.d.comb += output.eq(limit)
        with m.Switch(code):
            for n in range(highest):
                with m.Case(n):
                    m.d.comb += output.eq(128 << n)

    def _drive_state(self, m: Any) -> None:
        state = self.state
        for bar in self._layout.bars:
            m.d.comb += getattr(state, f"bar{bar.index}").eq(
                self._field("header", f"bar{bar.index}") & bar.writable
            )
            if bar.is_64:
                upper = f"bar{bar.index + 1}"
                m.d.comb += getattr(state, upper).eq(self._field("header", upper))
        for bar in expansion_rom(self._device):
            register = self._field("header", "expansion_rom")
            m.d.comb += [
                getattr(state, f"bar{bar.index}").eq(register & bar.writable),
                state.rom_enable.eq(_bits(register, ExpansionRom.ENABLE)),
            ]
        command = self._field("header", "command")
        control = self._field("msix", "control")
        power = _bits(self._field("pm", "control_status"), PmControlStatus.POWER_STATE)
        awake = power == PowerState.D0
        device_control = self._field("pcie", "device_control")
        extended_tags, options = _bits(device_control, DeviceControl.EXTENDED_TAG_ENABLE), self._device.pci
        if options.tags == 10:
            control_2 = self._field("pcie", "device_control_2")
            m.d.comb += self.ten_bit_tags.eq(_bits(control_2, DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE))
            extended_tags = extended_tags | self.ten_bit_tags
        m.d.comb += [
            state.io_enable.eq(_bits(command, Command.IO_ENABLE) & awake),
            state.memory_enable.eq(_bits(command, Command.MEMORY_ENABLE) & awake),
            state.bus_master_enable.eq(_bits(command, Command.BUS_MASTER_ENABLE) & awake),
            state.intx_disable.eq(_bits(command, Command.INTX_DISABLE)),
            state.extended_tags.eq(extended_tags),
            state.msix_enable.eq(_bits(control, MsixControl.ENABLE)),
            state.msix_function_mask.eq(_bits(control, MsixControl.FUNCTION_MASK)),
        ]
        device_control_2 = self._field("pcie", "device_control_2") if options.timeout_ranges else Const(0, 16)
        m.d.comb += [
            self.timeout.eq(_bits(device_control_2, DeviceControl2.TIMEOUT)),
            self.timeout_disable.eq(_bits(device_control_2, DeviceControl2.TIMEOUT_DISABLE)),
        ]
        if self._device.pci.msi:
            self._drive_msi(m)
        if self._device.pci.aer:
            self._drive_errors(m, command, device_control)
        sizes = (
            (DeviceControl.MAX_PAYLOAD_SIZE, self._device.max_payload, state.max_payload),
            (DeviceControl.MAX_READ_REQUEST_SIZE, self._device.max_read_request, state.max_read_request),
        )
        for flag, limit, output in sizes:
            self._bounded(m, "device_control", flag, limit, output)

    def _window_states(self, m: Any, window: ConfigWindow, request: Any, response: Any) -> None:
        """The access to a BAR that ``request`` stands for."""
        access = window.accesses.p
        m.d.comb += [
            *(
                getattr(access, name).eq(self._field("virtio_pci", name))
                for name in ("bar", "offset", "size")
            ),
            *(getattr(access, name).eq(getattr(request, name)) for name in ("write", "strobe", "data")),
        ]
        with m.State("REQUEST_WINDOW"):
            m.d.comb += window.accesses.valid.eq(1)
            with m.If(window.accesses.ready):
                m.next = "WAIT_WINDOW"
        with m.State("WAIT_WINDOW"):
            m.d.comb += window.results.ready.eq(1)
            m.d.sync += response.eq(window.results.p.data)
            with m.If(window.results.valid):
                m.next = "ANSWER"

    def _drive_errors(self, m: Any, command: Any, device_control: Any) -> None:
        errors = self.errors
        advisory = CorrectableError.ADVISORY_NON_FATAL
        m.d.comb += [
            *(
                getattr(errors, name).eq(self._field("aer", f"uncorrectable_{name}"))
                for name in ("status", "mask", "severity")
            ),
            errors.advisory_mask.eq(_bits(self._field("aer", "correctable_mask"), advisory)),
            errors.control.eq(device_control),
            errors.serr.eq(_bits(command, Command.SERR_ENABLE)),
        ]

    def _drive_msi(self, m: Any) -> None:
        control = self._field("msi", "control")
        m.d.comb += [
            self.msi.enable.eq(_bits(control, MsiControl.ENABLE)),
            self.msi.two.eq(_bits(control, MsiControl.MESSAGES_ENABLED).any() & (self._device.pci.msi == 2)),
            self.msi.address.eq(Cat(self._field("msi", "address_low"), self._field("msi", "address_high"))),
            self.msi.data.eq(self._field("msi", "data")),
            self.msi.mask.eq(self._field("msi", "mask")),
        ]

    def elaborate(self, platform):
        m: Any = Module()
        window = None
        if self._device.has_modern:
            m.submodules.window = window = ConfigWindow(self._layout.bars)
            connect(m, window.registers, flipped(self.window))
        self._registers = {
            n: Signal(32, init=dword.reset, name=f"register_{4 * n:02x}")
            for n, dword in enumerate(self._layout.dwords)
            if dword.writable or dword.w1c
        }
        self._drive_state(m)
        request: Any = Signal(ConfigRequest)
        response = Signal(32)
        write, resets = Signal(), Signal()
        control, shift, _width = self._layout["pcie"].locate("device_control")
        initiate = shift + int(DeviceControl.INITIATE_FUNCTION_LEVEL_RESET).bit_length() - 1
        requester_id = Signal(16)
        self._update(m, request, write)
        m.d.comb += [
            self.state.requester_id.eq(requester_id),
            self.config.responses.p.data.eq(response),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("WAIT_REQUEST"))
            with m.State("WAIT_REQUEST"):
                m.d.comb += self.config.requests.ready.eq(1)
                with m.If(self.config.requests.valid):
                    m.d.sync += request.eq(self.config.requests.payload)
                    m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += write.eq(request.write)
                self._read(m, request, response)
                with m.If(request.write):
                    m.d.sync += requester_id.eq(request.target_id)
                m.d.sync += resets.eq(
                    request.write
                    & (request.register == control)
                    & request.strobe[initiate // 8]
                    & request.data[initiate]
                )
                m.next = "ANSWER"
                if window is not None:
                    with m.If(request.register == self._layout["virtio_pci"].locate("window")[0]):
                        m.next = "REQUEST_WINDOW"
            if window is not None:
                self._window_states(m, window, request, response)
            with m.State("ANSWER"):
                m.d.comb += self.config.responses.valid.eq(1)
                with m.If(self.config.responses.ready):
                    m.d.comb += self.state.reset.eq(resets)
                    m.next = "WAIT_REQUEST"
        return m
