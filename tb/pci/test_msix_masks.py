"""Masks and pending bits of MSI-X, one fact each, also over a reset of the device, and tables of few vectors.

Ref: PCI 3.0, 6.8.2 (table and pending bits), 6.8.3.5 (a pending bit goes when what it stands for has gone);
virtio 1.4, 2.4.1 (no notification after a reset).
"""

from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.pci.capabilities import msix_pba_offset
from ringwalker.pci.msix import MsixTable
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY
from ringwalker_sim.testing.inprocess import Bench, simulated

ADDRESS = 0xFEE0_0000


class Table(Bench):
    """A table of two vectors for three queues, both of them not masked, with MSI-X on."""

    CONFIG = DeviceConfig(data_width=64, queues=3, pci=PciOptions(vectors=2))

    @classmethod
    def component(cls):
        return MsixTable(cls.CONFIG)

    async def begin(self):
        self.drive("enable", 1)
        for vector in range(self.CONFIG.vectors):
            await self.write(vector, "address_low", ADDRESS + 0x1000 * vector)
            await self.write(vector, "data", vector)
            await self.mask(vector, False)

    async def write(self, vector, name, value):
        offset = vector * MSIX_ENTRY_BYTES + MSIX_TABLE_ENTRY[name].offset
        self.put("registers.requests", {"offset": offset, "write": 1, "strobe": 0xF, "data": value})
        await self.until(lambda: not self.pending("registers.requests"))

    async def mask(self, vector, masked):
        await self.write(vector, "vector_control", int(masked))

    async def read(self, offset):
        self.put("registers.requests", {"offset": offset, "strobe": 0xF})
        return (await self.get("registers.responses"))["data"]

    async def pending_bits(self):
        return await self.read(msix_pba_offset(self.CONFIG))

    async def sent(self):
        """The vectors of the messages that came since the last look."""
        await self.cycles(30)
        messages = [(m["header_address"] - ADDRESS) >> 12 for m in self.got("messages")]
        return messages

    async def notify(self, *vectors):
        self.put("vectors", *vectors)
        await self.until(lambda: not self.pending("vectors"))


@simulated(Table)
async def test_two_queues_on_one_vector_give_a_message_each(bench):
    await bench.begin()
    await bench.notify(1, 1, 0)
    assert await bench.sent() == [1, 1, 0]


@simulated(Table)
async def test_a_vector_that_is_not_in_the_table_gives_no_message_and_is_not_pending(bench):
    await bench.begin()
    await bench.notify(2, 3, 0xFFFE)
    assert await bench.sent() == []
    assert await bench.pending_bits() == 0
    assert await bench.read(2 * MSIX_ENTRY_BYTES) == 0, "there is no third entry"


@simulated(Table)
async def test_what_is_written_behind_the_table_changes_no_entry(bench):
    await bench.begin()
    await bench.write(2, "address_low", 0x1234_5000)
    assert await bench.read(MSIX_TABLE_ENTRY["address_low"].offset) == ADDRESS
    await bench.notify(0)
    assert await bench.sent() == [0]


@simulated(Table)
async def test_notifications_of_a_masked_vector_become_one_message_when_its_mask_goes(bench):
    await bench.begin()
    await bench.mask(1, True)
    await bench.notify(1, 1, 0)
    assert await bench.sent() == [0]
    assert await bench.pending_bits() == 0b10
    await bench.mask(1, False)
    assert await bench.sent() == [1]
    assert await bench.pending_bits() == 0


@simulated(Table)
async def test_function_mask_holds_all_and_its_fall_sends_what_has_no_mask_of_its_own(bench):
    await bench.begin()
    bench.drive("function_mask", 1)
    await bench.notify(0, 1)
    await bench.mask(1, True)
    assert await bench.sent() == []
    assert await bench.pending_bits() == 0b11
    bench.drive("function_mask", 0)
    assert await bench.sent() == [0]
    assert await bench.pending_bits() == 0b10
    await bench.mask(1, False)
    assert await bench.sent() == [1]


@simulated(Table)
async def test_a_reset_of_the_device_clears_pending_bits_and_leaves_table_and_masks(bench):
    await bench.begin()
    await bench.mask(1, True)
    await bench.notify(1)
    assert await bench.sent() == []
    bench.drive("forget", 1)
    await bench.cycles(2)
    bench.drive("forget", 0)
    assert await bench.pending_bits() == 0
    await bench.mask(1, False)
    assert await bench.sent() == [], "what was pending before the reset is void"
    assert await bench.read(MSIX_ENTRY_BYTES) == ADDRESS + 0x1000
    await bench.notify(1)
    assert await bench.sent() == [1]


@simulated(Table)
async def test_a_mask_that_goes_while_the_device_is_reset_sends_nothing(bench):
    await bench.begin()
    for moment in range(6):
        await bench.mask(0, True)
        await bench.mask(1, True)
        await bench.notify(0, 1)
        assert await bench.sent() == []
        bench.put("registers.requests", {"offset": 12, "write": 1, "strobe": 0xF, "data": 0})
        await bench.cycles(moment)
        bench.drive("forget", 1)
        begun = await bench.sent()
        assert begun in ([], [0])
        bench.drive("forget", 0)
        await bench.mask(1, False)
        assert await bench.sent() == []


class Single(Table):
    """The smallest table."""

    CONFIG = DeviceConfig(data_width=64, queues=3, pci=PciOptions(vectors=1))


@simulated(Single)
async def test_one_vector_for_everything(bench):
    await bench.begin()
    await bench.notify(0, 1, 0)
    assert await bench.sent() == [0, 0]
    await bench.mask(0, True)
    await bench.notify(0)
    assert await bench.pending_bits() == 1
    bench.drive("clear", 1)
    await bench.cycles()
    bench.drive("clear", 0)
    assert await bench.pending_bits() == 0
    assert await bench.read(MSIX_TABLE_ENTRY.vector_control.offset) == 1
