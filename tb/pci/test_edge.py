"""The edge as a whole: what its streams must not wait for."""

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import bars, layout
from ringwalker.pci.completer import NONPOSTED_REQUESTS
from ringwalker.pci.edge import PciEdge
from ringwalker.spec.modern import FACE_BAR, MSIX_BAR, NOTIFY_BASE
from ringwalker.spec.pci import HEADER, MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY, Command, MsixControl
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.testing.edge_bench import EdgeBench
from ringwalker_sim.testing.inprocess import simulated

CONFIG = DeviceConfig(data_width=64)
BASES = {MSIX_BAR: 0xE000_0000, FACE_BAR: 0x1_0000_0000}
MESSAGE = (0xFEE0_1000, 0x4321)
FACE = {bar.index: bar for bar in bars(CONFIG)}[FACE_BAR]
assert FACE.is_64


class Edge(EdgeBench):
    """The edge of a usual device."""

    @classmethod
    def component(cls):
        return PciEdge(CONFIG)

    async def configure(self) -> None:
        """Give the BARs their addresses, and enable memory, bus mastering, MSI-X, and its first entry."""
        low = BASES[FACE_BAR] & 0xFFFF_FFFF
        msix = layout(CONFIG)["msix"].offset
        command = Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE
        for offset, value in (
            (HEADER[f"bar{MSIX_BAR}"].offset, BASES[MSIX_BAR]),
            (HEADER[f"bar{FACE_BAR}"].offset, low),
            (HEADER[f"bar{FACE_BAR + 1}"].offset, BASES[FACE_BAR] >> 32),
            (HEADER.command.offset, int(command)),
            (msix, MsixControl.ENABLE << 16),
        ):
            self.send(RequestKind.CONFIG_WRITE_0, offset, value, target_id=0x0100)
            await self.get("completer_completion")
        values = {"address_low": MESSAGE[0], "address_high": 0, "data": MESSAGE[1], "vector_control": 0}
        for name, value in values.items():
            self.send(RequestKind.MEMORY_WRITE, BASES[MSIX_BAR] + MSIX_TABLE_ENTRY[name].offset, value)
        await self.until(lambda: not self.pending("completer_request"))
        await self.cycles(20)

    def ring(self, queue: int) -> None:
        """Write a doorbell."""
        self.send(RequestKind.MEMORY_WRITE, BASES[FACE_BAR] + NOTIFY_BASE, queue)

    async def rung(self, *queues: int) -> None:
        """These doorbells reach the core, within a few cycles."""
        expected = [
            {"bar": FACE_BAR, "offset": NOTIFY_BASE, "write": 1, "strobe": 0xF, "data": queue}
            for queue in queues
        ]
        await self.until(lambda: len(self.accesses) == len(expected), "the doorbell", 30 * len(expected))
        assert self.accesses == expected
        self.accesses.clear()


@simulated(Edge)
async def test_a_doorbell_does_not_wait_for_completions(bench):
    await bench.configure()
    bench.stall("completer_completion")
    for number in range(NONPOSTED_REQUESTS):
        bench.send(RequestKind.CONFIG_READ_0, 0, target_id=0x0100)
        bench.ring(number)
    await bench.rung(*range(NONPOSTED_REQUESTS))
    await bench.cycles(2000)
    bench.ring(77)
    await bench.rung(77)
    assert not bench.pending("completer_request")
    assert not bench.got("completer_completion")
    bench.stall("completer_completion", probability=0)
    tags = [(await bench.get("completer_completion"))["header_tag"] for _ in range(NONPOSTED_REQUESTS)]
    assert tags == sorted(tags)


@simulated(Edge)
async def test_a_doorbell_does_not_wait_for_messages_and_other_requests_of_the_device(bench):
    await bench.configure()
    bench.stall("requester_request", "completer_completion")
    bench.put("core.vectors", *[0] * 6)
    await bench.cycles(50)
    assert bench.pending("core.vectors"), "the link holds up vectors"
    # A register of the table is behind the same ports as the doorbell.
    bench.send(RequestKind.MEMORY_WRITE, BASES[MSIX_BAR] + MSIX_ENTRY_BYTES, 0x1000)
    bench.send(RequestKind.MEMORY_READ, BASES[MSIX_BAR] + MSIX_ENTRY_BYTES)
    bench.ring(3)
    await bench.rung(3)
    bench.stall(probability=0)
    assert (await bench.get("completer_completion"))["data"] == 0x1000
    for _ in range(6):
        message = await bench.get("requester_request")
        assert (message["header_address"], message["data"]) == MESSAGE


@simulated(Edge)
async def test_what_is_pending_when_the_driver_resets_the_device_is_never_sent(bench):
    await bench.configure()
    control = BASES[MSIX_BAR] + MSIX_TABLE_ENTRY.vector_control.offset
    for forget, messages in ((0, 1), (1, 0)):
        bench.send(RequestKind.MEMORY_WRITE, control, 1)
        await bench.cycles(20)
        bench.put("core.vectors", 0)
        await bench.cycles(20)
        bench.drive("core.forget", forget)
        await bench.cycles(4)
        bench.drive("core.forget", 0)
        bench.send(RequestKind.MEMORY_WRITE, control, 0)
        await bench.cycles(40)
        assert len(bench.got("requester_request")) == messages


@simulated(Edge)
async def test_a_doorbell_waits_for_no_register_read_but_the_one_that_is_made(bench):
    await bench.configure()
    bench.stall("completer_completion")
    header = {"header_length": 64, "header_last_be": 0xF}
    bench.send(RequestKind.MEMORY_READ, BASES[FACE_BAR])
    stream = bench._streams["completer_request"].items
    stream[-1] |= header
    bench.ring(1)
    await bench.until(lambda: any(access["write"] for access in bench.accesses), "the doorbell", 60)
    await bench.cycles(200)
    reads = [access["offset"] for access in bench.accesses if not access["write"]]
    assert reads == [0, 4], "a beat of 64 bits is full"
    bench.stall("completer_completion", probability=0)
    await bench.until(lambda: len(bench.accesses) == 65, "all reads")
