"""The edge with the options of ``[pci]``, from configuration requests to what it sends."""

import tempfile
from pathlib import Path

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.pci.capabilities import expansion_rom, layout
from ringwalker.pci.edge import UNCLAIMED_CYCLES, UNEXPECTED_CYCLES, PciEdge
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR, IsrBit
from ringwalker.spec.pci import Command, MsiControl, MsixControl, Status
from ringwalker.spec.pci_extended import CorrectableError, UncorrectableError
from ringwalker.spec.pcie import DeviceControl, DeviceControl2, PcieDeviceStatus
from ringwalker.spec.tlp import CompletionStatus, ErrorMessage, RequestKind
from ringwalker_sim.testing.edge_bench import EdgeBench
from ringwalker_sim.testing.inprocess import simulated
from ringwalker_sim.testing.option_rom import write_option_rom

_FOLDER = tempfile.TemporaryDirectory()
ROM = write_option_rom(Path(_FOLDER.name))
CONFIG = DeviceConfig(data_width=64, fields=False, pci=PciOptions(msi=2, tags=10, aer=True, rom=str(ROM)))
SPACE = layout(CONFIG)
BASES = {MSIX_BAR: 0xE000_0000, FACE_BAR: 0x9000_0000}
MESSAGE, DATA = 0x1_FEE0_1000, 0x40
TARGET = 0x0100
REPORTS = (
    DeviceControl.CORRECTABLE_ERROR_ENABLE
    | DeviceControl.NON_FATAL_ERROR_ENABLE
    | DeviceControl.FATAL_ERROR_ENABLE
    | DeviceControl.UNSUPPORTED_REQUEST_ENABLE
)


class Edge(EdgeBench):
    """The edge of a device with options. BARs have their addresses, memory is enabled."""

    @classmethod
    def component(cls):
        return PciEdge(CONFIG)

    async def config(self, structure: str, register: str, value: int | None = None) -> int:
        """Read a register of configuration space, or write it."""
        row = SPACE[structure].table[register]
        offset = SPACE[structure].offset + row.offset
        lane, more = offset % 4, {"target_id": TARGET}
        if value is None:
            self.send(RequestKind.CONFIG_READ_0, offset - lane, **more)
            answer = (await self.get("completer_completion"))["data"]
            return answer >> 8 * lane & ((1 << row.width) - 1)
        more["first_be"] = ((1 << row.size) - 1) << lane
        self.send(RequestKind.CONFIG_WRITE_0, offset - lane, value << 8 * lane, **more)
        await self.get("completer_completion")
        return value

    async def begin(self) -> None:
        for index, base in BASES.items():
            await self.config("header", f"bar{index}", base)
        await self.config("header", "command", Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE)

    async def isr(self, bits: int, raised: int = 0) -> None:
        """The ISR is ``bits``."""
        self.drive("core.isr", bits)
        self.drive("core.interrupt", int(bits != 0))
        self.drive("core.isr_raised", raised)
        await self.cycles()
        self.drive("core.isr_raised", 0)

    async def enable_msi(self) -> None:
        await self.config("msi", "address_low", MESSAGE & 0xFFFF_FFFF)
        await self.config("msi", "address_high", MESSAGE >> 32)
        await self.config("msi", "data", DATA)
        await self.config("msi", "control", MsiControl.ENABLE | 1 << 4)

    async def sent(self) -> list[tuple[int, int]]:
        """Addresses and data of what was sent since the last look."""
        await self.cycles(20)
        return [(beat["header_address"], beat["data"]) for beat in self.got("requester_request")]


@simulated(Edge)
async def test_msi_takes_the_place_of_intx(bench):
    await bench.begin()
    await bench.isr(IsrBit.QUEUE, IsrBit.QUEUE)
    assert bench.value("intx")
    assert await bench.config("header", "status") & Status.INTERRUPT_STATUS
    assert await bench.sent() == []
    await bench.enable_msi()
    assert not bench.value("intx")
    assert not await bench.config("header", "status") & Status.INTERRUPT_STATUS
    assert await bench.sent() == [(MESSAGE, DATA)]
    await bench.isr(IsrBit.QUEUE | IsrBit.CONFIG, IsrBit.CONFIG)
    (beat,) = (await bench.sent(),)
    assert beat == [(MESSAGE, DATA + 1)]


@simulated(Edge)
async def test_a_message_has_the_requester_id_and_holds_up_the_end_of_a_reset(bench):
    await bench.begin()
    await bench.enable_msi()
    bench.stall("requester_request")
    await bench.isr(IsrBit.QUEUE, IsrBit.QUEUE)
    for _ in range(10):
        assert not bench.value("core.state.outbound_idle")
        await bench.cycles()
    bench.stall("requester_request", probability=0)
    assert (await bench.get("requester_request"))["header_requester_id"] == TARGET
    await bench.cycles(3)
    assert bench.value("core.state.outbound_idle")


@simulated(Edge)
async def test_masked_messages_are_pending(bench):
    await bench.begin()
    await bench.enable_msi()
    await bench.config("msi", "mask", 0b10)
    await bench.isr(IsrBit.CONFIG, IsrBit.CONFIG)
    assert await bench.config("msi", "pending") == 0b10
    assert await bench.sent() == []
    await bench.config("msi", "mask", 0)
    assert await bench.sent() == [(MESSAGE, DATA + 1)]
    assert await bench.config("msi", "pending") == 0


@simulated(Edge)
async def test_msi_is_quiet_while_msix_is_enabled(bench):
    await bench.begin()
    await bench.enable_msi()
    await bench.config("msix", "control", MsixControl.ENABLE)
    await bench.isr(IsrBit.CONFIG, IsrBit.CONFIG)
    assert await bench.sent() == []
    assert not bench.value("intx")


@simulated(Edge)
async def test_the_expansion_rom_is_read_while_it_and_memory_are_enabled(bench):
    await bench.begin()
    base, size = 0xA000_0000, expansion_rom(CONFIG)[0].size
    content = ROM.read_bytes()

    async def first() -> int | None:
        bench.send(RequestKind.MEMORY_READ, base)
        answer = await bench.get("completer_completion")
        return answer["data"] if answer["header_status"] == CompletionStatus.SUCCESS.value else None

    await bench.config("header", "expansion_rom", 0xFFFF_FFFE)
    assert await bench.config("header", "expansion_rom") == -size & 0xFFFF_FFFF
    await bench.config("header", "expansion_rom", base)
    assert await first() is None
    await bench.config("header", "expansion_rom", base | 1)
    assert await first() == int.from_bytes(content[:4], "little")
    bench.send(RequestKind.MEMORY_WRITE, base, 0)
    bench.send(RequestKind.MEMORY_READ, base, first_be=0xF, last_be=0xF, length=len(content) // 4)
    read = b""
    while len(read) < len(content):
        beat = await bench.get("completer_completion")
        read += beat["data"].to_bytes(8, "little")[: 4 * beat["dwords"].bit_count()]
    assert read == content
    assert bench.accesses == [], "the core sees nothing of it"
    await bench.config("header", "command", Command.BUS_MASTER_ENABLE)
    assert await first() is None


@simulated(Edge)
async def test_a_request_that_is_refused_is_logged_with_its_header_and_reported(bench):
    await bench.begin()
    await bench.config("pcie", "device_control", int(REPORTS))
    bench.send(RequestKind.MEMORY_READ, 0xBAD_0000)
    await bench.get("completer_completion")
    assert await bench.config("aer", "uncorrectable_status") == 0, "advisory errors are masked after power-up"
    assert await bench.config("aer", "correctable_status") == CorrectableError.ADVISORY_NON_FATAL
    assert bench.got("requester_request") == []
    await bench.config("aer", "correctable_mask", 0)
    bench.send(RequestKind.MEMORY_READ, 0xDEAD_0000)
    await bench.get("completer_completion")
    error = UncorrectableError.UNSUPPORTED_REQUEST
    assert await bench.config("aer", "uncorrectable_status") == error
    assert await bench.config("aer", "correctable_status") == CorrectableError.ADVISORY_NON_FATAL
    assert await bench.config("aer", "control") == error.bit_length() - 1
    log = [await bench.config("aer", f"header_log_{n}") for n in range(4)]
    assert log[0] == 1
    assert log[1] >> 16 == 0x0008
    assert log[1] & 0xFF == 0x0F
    assert log[2:] == [0xDEAD_0000, 0]
    (beat,) = bench.got("requester_request")
    assert beat["header_last_be"] << 4 | beat["header_first_be"] == ErrorMessage.CORRECTABLE.value
    await bench.config("aer", "uncorrectable_status", error)
    assert await bench.config("aer", "uncorrectable_status") == 0


@simulated(Edge)
async def test_a_write_that_is_refused_is_reported_to_the_root_complex(bench):
    await bench.begin()
    await bench.config("pcie", "device_control", int(REPORTS))
    bench.send(RequestKind.MEMORY_WRITE, 0xDEAD_0000, 5)
    beat = await bench.get("requester_request")
    assert beat["header_kind"] == RequestKind.MESSAGE.value
    assert beat["header_last_be"] << 4 | beat["header_first_be"] == ErrorMessage.NON_FATAL.value
    assert (beat["header_requester_id"], beat["header_length"], beat["dwords"]) == (TARGET, 0, 0)
    assert await bench.config("pcie", "device_status") & PcieDeviceStatus.NON_FATAL_ERROR
    assert await bench.config("aer", "header_log_2") == 0xDEAD_0000
    await bench.config("aer", "uncorrectable_severity", UncorrectableError.UNSUPPORTED_REQUEST)
    bench.send(RequestKind.MEMORY_WRITE, 0xDEAD_0000, 5)
    beat = await bench.get("requester_request")
    assert beat["header_last_be"] << 4 | beat["header_first_be"] == ErrorMessage.FATAL.value
    assert await bench.config("pcie", "device_status") & PcieDeviceStatus.FATAL_ERROR


@simulated(Edge)
async def test_unexpected_completions_are_logged_whether_their_tag_is_nobodys_or_not_waited_for(bench):
    await bench.begin()
    await bench.config("aer", "correctable_mask", 0)
    for cycles, name in ((UNEXPECTED_CYCLES, None), (UNCLAIMED_CYCLES, "core.errors.unclaimed")):
        for tag in (0x11, 0x22, 0x33):
            bench.put("requester_completion", {"header_tag": tag, "first": 1, "last": 1})
        await bench.until(lambda: bench.value("requester_completion.payload")["header_tag"] == 0x22)
        await bench.cycles(cycles)
        for port in filter(None, ("core.errors.unexpected", name)):
            bench.drive(port, 1)
        await bench.cycles()
        for port in filter(None, ("core.errors.unexpected", name)):
            bench.drive(port, 0)
        await bench.cycles(3)
        assert await bench.config("aer", "header_log_2") >> 8 & 0xFF == 0x22
        await bench.config("aer", "uncorrectable_status", UncorrectableError.UNEXPECTED_COMPLETION)


@simulated(Edge)
async def test_a_completion_without_the_upper_bits_of_tags_of_ten_is_unexpected(bench):
    await bench.begin()
    await bench.config("aer", "correctable_mask", 0)
    await bench.config("pcie", "device_control_2", DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE)
    assert bench.value("core.state.extended_tags")
    read = {"header_kind": RequestKind.MEMORY_READ.value, "header_length": 1, "first": 1, "last": 1}
    bench.put("core.reads", read | {"header_tag": 0x22})
    assert (await bench.get("requester_request"))["header_tag"] == 0x122
    for tag in (0x122, 0x022, 0x322):
        bench.put("requester_completion", {"header_tag": tag, "first": 1, "last": 1})
    await bench.cycles(10)
    assert [beat["header_tag"] for beat in bench.got("core.completions")] == [0x22]
    status = await bench.config("aer", "uncorrectable_status")
    assert status == UncorrectableError.UNEXPECTED_COMPLETION
    # Bits 9 and 8 of the tag are bits 23 and 19 of the first dword; the first of the two is logged.
    assert await bench.config("aer", "header_log_0") & (1 << 23 | 1 << 19) == 0
    assert await bench.config("aer", "header_log_2") >> 8 & 0xFF == 0x22
    await bench.config("aer", "uncorrectable_status", status)
    bench.put("requester_completion", {"header_tag": 0x233, "first": 1, "last": 1})
    await bench.cycles(10)
    assert await bench.config("aer", "header_log_0") & (1 << 23 | 1 << 19) == 1 << 23
    assert await bench.config("aer", "header_log_2") >> 8 & 0xFF == 0x33


@simulated(Edge)
async def test_a_request_with_a_tag_of_ten_bits_is_answered_with_it(bench):
    await bench.begin()
    for tag in (0x3A5, 0x15A, 0x0FF):
        for address in (BASES[FACE_BAR], 0xDEAD_0000):
            bench.send(RequestKind.MEMORY_READ, address, tag=tag)
            assert (await bench.get("completer_completion"))["header_tag"] == tag


@simulated(Edge)
async def test_a_function_level_reset_leaves_what_is_logged(bench):
    await bench.begin()
    bench.drive("core.errors.timed_out", 1)
    await bench.cycles()
    bench.drive("core.errors.timed_out", 0)
    await bench.config("aer", "uncorrectable_mask", UncorrectableError.POISONED)
    await bench.config("pcie", "device_control", DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)
    assert await bench.config("aer", "uncorrectable_status") == UncorrectableError.COMPLETION_TIMEOUT
    assert await bench.config("aer", "uncorrectable_mask") == UncorrectableError.POISONED
    assert await bench.config("aer", "control") == 14
