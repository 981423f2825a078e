"""MSI: which message a bit of the ISR becomes, and what is pending, one fact each."""

from ringwalker.pci.msi import MsiSender
from ringwalker.spec.modern import IsrBit
from ringwalker_sim.testing.inprocess import Bench, simulated

ADDRESS, DATA = 0x1_FEE0_1000, 0x4320


class Sender(Bench):
    """The sender, enabled, with two messages."""

    @classmethod
    def component(cls):
        return MsiSender(64)

    def __init__(self):
        super().__init__()
        self.drive("state.address", ADDRESS)
        self.drive("state.data", DATA)
        self.drive("state.two", 1)
        self.drive("state.enable", 1)
        self.drive("bus_master_enable", 1)
        self.bits = 0

    async def set_bits(self, bits):
        """Events set ``bits`` of the ISR."""
        self.drive("raised", int(bits & ~self.bits))
        self.bits |= int(bits)
        self.drive("bits", self.bits)
        await self.cycles()
        self.drive("raised", 0)

    async def read_isr(self):
        self.bits = 0
        self.drive("bits", 0)
        await self.cycles(2)

    async def sent(self):
        """Data of the messages that came since the last look."""
        await self.cycles(5)
        messages = self.got("messages")
        assert all(message["header_address"] == ADDRESS for message in messages)
        assert all(message["dwords"] == message["header_length"] == 1 for message in messages)
        return [message["data"] for message in messages]


@simulated(Sender)
async def test_buffers_are_message_0_and_configuration_changes_message_1(bench):
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == [DATA]
    await bench.set_bits(IsrBit.CONFIG)
    assert await bench.sent() == [DATA + 1]


@simulated(Sender)
async def test_with_one_message_enabled_both_are_message_0(bench):
    bench.drive("state.two", 0)
    bench.drive("state.data", DATA + 1)
    await bench.set_bits(IsrBit.CONFIG)
    assert await bench.sent() == [DATA + 1], "data is sent as software wrote it"
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == [DATA + 1]


@simulated(Sender)
async def test_a_message_comes_with_each_rise_of_a_bit_and_no_other(bench):
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == [DATA]
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == [], "the driver has not read the ISR"
    await bench.read_isr()
    assert await bench.sent() == []
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == [DATA]
    bench.drive("raised", int(IsrBit.QUEUE))
    await bench.cycles()
    bench.drive("raised", 0)
    assert await bench.sent() == [DATA], "the bit was set while it was read, so it never fell"


@simulated(Sender)
async def test_a_masked_message_is_pending_until_its_mask_goes(bench):
    bench.drive("state.mask", 0b01)
    await bench.set_bits(IsrBit.QUEUE | IsrBit.CONFIG)
    assert await bench.sent() == [DATA + 1]
    assert bench.value("pending") == 0b01
    assert bench.value("idle")
    bench.drive("state.mask", 0)
    assert await bench.sent() == [DATA]
    assert bench.value("pending") == 0


@simulated(Sender)
async def test_a_message_waits_for_bus_mastering(bench):
    bench.drive("bus_master_enable", 0)
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == []
    bench.drive("bus_master_enable", 1)
    assert await bench.sent() == [DATA]


@simulated(Sender)
async def test_what_is_pending_is_forgotten_when_the_isr_is_read_or_reset(bench):
    bench.drive("state.mask", 0b11)
    await bench.set_bits(IsrBit.QUEUE | IsrBit.CONFIG)
    await bench.read_isr()
    assert bench.value("pending") == 0
    bench.drive("state.mask", 0)
    assert await bench.sent() == []


@simulated(Sender)
async def test_bits_that_are_set_when_msi_is_enabled_become_messages(bench):
    bench.drive("state.enable", 0)
    await bench.set_bits(IsrBit.QUEUE)
    assert await bench.sent() == []
    assert bench.value("pending") == 0
    bench.drive("state.enable", 1)
    assert await bench.sent() == [DATA]


@simulated(Sender)
async def test_a_message_waits_for_the_link_and_others_behind_it(bench):
    bench.stall("messages")
    await bench.set_bits(IsrBit.QUEUE)
    await bench.cycles(5)
    await bench.set_bits(IsrBit.CONFIG)
    bench.drive("state.enable", 0)
    await bench.cycles(5)
    assert not bench.value("idle")
    bench.stall("messages", probability=0)
    assert await bench.sent() == [DATA]
    assert bench.value("idle")
