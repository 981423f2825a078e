"""DeviceConfigFace: a table of registers as the driver reads and writes it."""

import pytest

from ringwalker.function.device_config import DeviceConfigFace
from ringwalker.spec.registers import Access, Register, RegisterTable
from ringwalker_sim.testing.inprocess import Bench, simulated

TABLE = RegisterTable(
    "own_config",
    "One register of each kind.",
    (
        Register("level", 0x00, 32, Access.RO, "From outside."),
        Register("version", 0x04, 16, Access.RO, "Constant."),
        Register("kind", 0x06, 8, Access.RO, "Constant, of the table.", reset=0x5A),
        Register("speed", 0x08, 16, Access.RO, "From outside."),
        Register("key", 0x0C, 48, Access.RW, "Kept."),
        Register("mode", 0x12, 8, Access.RW, "Kept; the driver writes the two lowest bits."),
        Register("command", 0x16, 16, Access.WO, "Passed on."),
    ),
)
KEY = 0x665544332211


class Face(Bench):
    """Reads and writes as a driver does."""

    @classmethod
    def component(cls):
        values = {"version": 0x0102, "speed": 7, "key": KEY, "mode": 0xF0}
        return DeviceConfigFace(TABLE, values=values, inputs=["level", "speed"], writable={"mode": 0b11})

    async def read(self, offset: int) -> int:
        self.put("registers.requests", {"offset": offset, "strobe": 0xF})
        return (await self.get("registers.responses"))["data"]

    async def write(self, offset: int, value: int, strobe: int = 0xF) -> None:
        """Returns in the cycle in which the write shows."""
        self.put("registers.requests", {"offset": offset, "write": 1, "strobe": strobe, "data": value})
        await self.until(lambda: self.value("registers.requests.valid"))
        await self.until(lambda: self.value("registers.requests.ready"))
        await self.cycles()


class OtherFirst(Face):
    """Inputs differ from their values after reset in the first cycle."""

    def __init__(self):
        super().__init__()
        self.drive("level", 99)


@simulated(Face)
async def test_a_constant_is_what_was_given_or_else_the_reset_value_of_the_table(bench):
    assert await bench.read(0x04) == 0x005A0102


@simulated(Face)
async def test_what_no_register_has_reads_0(bench):
    assert await bench.read(0x14) == 0
    assert await bench.read(0x18) == 0


@simulated(Face)
async def test_only_the_part_of_the_offset_inside_a_page_counts(bench):
    assert await bench.read(0x2004) == await bench.read(0x0004) != 0


@simulated(Face)
async def test_a_read_takes_one_cycle(bench):
    bench.put("registers.requests", {"offset": 0x04})
    await bench.until(lambda: bench.value("registers.requests.valid"))
    assert not bench.value("registers.responses.valid")
    await bench.cycles()
    assert bench.value("registers.responses.valid")


@simulated(Face)
async def test_a_response_that_waits_holds_up_the_next_access(bench):
    bench.stall("registers.responses")
    bench.put("registers.requests", {"offset": 0x04}, {"offset": 0x06})
    await bench.cycles(10)
    assert bench.pending("registers.requests") == 1
    bench.stall("registers.responses", probability=0)
    assert (await bench.get("registers.responses"))["data"] == 0x005A0102


@simulated(Face)
async def test_an_input_shows_a_cycle_later_with_the_generation_and_a_pulse(bench):
    await bench.cycles(3)
    assert (bench.value("generation"), bench.value("config_change")) == (0, 0)
    bench.drive("level", 0x12345678)
    assert bench.value("image") & 0xFFFFFFFF == 0
    await bench.cycles()
    assert bench.value("image") & 0xFFFFFFFF == 0x12345678
    assert (bench.value("generation"), bench.value("config_change")) == (1, 1)
    await bench.cycles()
    assert (bench.value("generation"), bench.value("config_change")) == (1, 0)
    assert await bench.read(0x00) == 0x12345678


@simulated(Face)
async def test_inputs_that_change_together_are_one_change(bench):
    bench.drive("level", 1)
    bench.drive("speed", 2)
    await bench.cycles(3)
    assert bench.value("generation") == 1


@simulated(Face)
async def test_256_changes_do_not_lead_back_to_the_generation_of_the_last_read(bench):
    for changes in (255, 256, 257, 512):
        await bench.read(0x00)
        before = bench.value("generation")
        for number in range(changes):
            bench.drive("level", 1000 * changes + number)
            await bench.cycles()
        await bench.cycles(2)
        assert bench.value("generation") != before, changes


@simulated(OtherFirst)
async def test_the_first_sample_after_reset_is_no_change(bench):
    await bench.cycles(3)
    assert await bench.read(0x00) == 99
    assert bench.value("generation") == 0


@simulated(Face)
async def test_the_driver_writes_bytes(bench):
    await bench.write(0x0C, 0xAABBCCDD, strobe=0b0110)
    assert bench.value("key") == 0x6655_44BB_CC11
    assert await bench.read(0x0C) == 0x44BBCC11


@simulated(Face)
async def test_what_is_written_reads_back_at_once(bench):
    bench.put(
        "registers.requests",
        {"offset": 0x0C, "write": 1, "strobe": 0xF, "data": 0x01020304},
        {"offset": 0x0C},
    )
    assert (await bench.get("registers.responses"))["data"] == 0x01020304


@simulated(Face)
async def test_bits_that_are_not_writable_stay(bench):
    await bench.write(0x10, 0x000E0000, strobe=0b0100)
    assert bench.value("mode") == 0xF2


@simulated(Face)
async def test_a_write_by_the_driver_is_no_change_of_the_device(bench):
    bench.count("config_change")
    await bench.write(0x0C, 1)
    await bench.cycles(2)
    assert bench.value("generation") == bench.counts["config_change"] == 0


@simulated(Face)
async def test_a_write_of_a_read_only_register_has_no_effect(bench):
    await bench.write(0x04, 0xFFFFFFFF)
    assert await bench.read(0x04) == 0x005A0102
    assert not bench.got("registers.responses")


@simulated(Face)
async def test_the_function_sets_bits_which_is_a_generation_and_no_pulse(bench):
    bench.count("config_change")
    bench.drive("set_mode", 0b1001)
    bench.drive("new_mode", 0b0101)
    await bench.cycles()
    bench.drive("set_mode", 0)
    assert bench.value("mode") == 0xF1
    await bench.cycles(2)
    assert (bench.value("generation"), bench.counts["config_change"]) == (1, 0)


@simulated(Face)
async def test_a_bit_that_is_set_and_written_in_one_cycle_is_set(bench):
    bench.drive("set_mode", 0b01)
    bench.drive("new_mode", 0b01)
    await bench.write(0x10, 0b10 << 16, strobe=0b0100)
    assert bench.value("mode") & 0b11 == 0b11


@simulated(Face)
async def test_clear_restores_what_is_kept_and_wins(bench):
    await bench.write(0x0C, 0)
    bench.drive("set_key", 1)
    bench.drive("clear", 1)
    await bench.cycles()
    assert bench.value("key") == KEY


@simulated(Face)
async def test_a_write_only_register_gives_a_pulse_a_byte_and_reads_0(bench):
    pulses = []
    bench.each_cycle(
        lambda: (
            bench.value("write_command")
            and pulses.append((bench.value("write_command"), bench.value("command")))
        )
    )
    await bench.write(0x14, 0x2211_0000, strobe=0b1100)
    await bench.write(0x14, 0x4433_0000, strobe=0b0100)
    await bench.write(0x14, 0x6655_0000, strobe=0b0011)
    assert [(mask, value & 0xFF) for mask, value in pulses] == [(0b11, 0x11), (0b01, 0x33)]
    assert pulses[0][1] == 0x2211
    assert await bench.read(0x14) == 0


@simulated(Face)
async def test_a_read_of_a_write_only_register_gives_no_pulse(bench):
    bench.count("write_command")
    await bench.read(0x14)
    assert bench.counts["write_command"] == 0


@simulated(Face)
async def test_random_accesses_see_what_a_model_says(bench):
    bench.stall(probability=0.3)
    kept = KEY.to_bytes(6, "little") + b"\xf0"
    memory = bytearray(bytes(4) + b"\x02\x01\x5a\x00" + b"\x07\x00\x00\x00" + kept.ljust(12, b"\0"))
    writable = {**dict.fromkeys(range(0x0C, 0x12), 0xFF), 0x12: 0b11}
    for _ in range(300):
        offset = 4 * bench.random.randrange(len(memory) // 4)
        if bench.random.random() < 0.5:
            assert await bench.read(offset) == int.from_bytes(memory[offset : offset + 4], "little")
            continue
        value, strobe = bench.random.getrandbits(32), bench.random.getrandbits(4)
        await bench.write(offset, value, strobe)
        for lane in range(4):
            mask = writable.get(offset + lane, 0) * (strobe >> lane & 1)
            memory[offset + lane] = (memory[offset + lane] & ~mask) | (value >> 8 * lane & mask)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": {"lvl": 1}}, "values has 'lvl'; own_config has no read-only or read-write or write-only"),
        ({"values": {"kind": 256}}, "values of kind is 256; it has 8 bits"),
        ({"inputs": ["key"]}, "inputs has 'key'; own_config has no read-only register"),
        ({"writable": {"level": 1}}, "writable has 'level'; own_config has no read-write register"),
    ],
)
def test_what_does_not_fit_the_table_is_said(changes, words):
    with pytest.raises(ValueError, match=words):
        DeviceConfigFace(TABLE, **changes)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Register("events", 0, 8, Access.RC, "Bits."), "own.events is read to clear"),
        (Register("last", 4096, 8, Access.RO, "Too far."), "own has 4097 bytes; a page has 4096"),
        (Register("clear", 0, 8, Access.RW, "A member's name."), "own needs two members called clear"),
    ],
)
def test_a_table_that_cannot_be_shown_is_said(row, words):
    with pytest.raises(ValueError, match=words):
        DeviceConfigFace(RegisterTable("own", "", (row,)))
