"""The expansion ROM: which files can be one, what its register looks like, and its bytes."""

import pytest

from ringwalker.checks import ConfigError
from ringwalker.config import DeviceConfig, PciOptions
from ringwalker.pci.capabilities import bars, expansion_rom, layout
from ringwalker.pci.config_space import ConfigSpace
from ringwalker.pci.rom import RomContent
from ringwalker.pci_options import LARGEST_ROM
from ringwalker.spec.pci import EXPANSION_ROM
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.option_rom import write_option_rom
from ringwalker_sim.verilog_cache import describe

CONTENT = bytes(range(55, 55 + 22))


class Rom(Bench):
    @classmethod
    def component(cls):
        return RomContent(CONTENT, 64)

    async def read(self, offset):
        self.put("registers.requests", {"offset": offset, "strobe": 0xF})
        return (await self.get("registers.responses"))["data"].to_bytes(4, "little")


@simulated(Rom)
async def test_bytes_are_those_of_the_file_and_0_beyond_it(bench):
    read = b"".join([await bench.read(offset) for offset in range(0, 64, 4)])
    assert read == CONTENT.ljust(64, b"\0")
    assert await bench.read(64) == CONTENT[:4], "of the offset only the place in the size counts"


@simulated(Rom)
async def test_writes_do_nothing_and_are_not_answered(bench):
    bench.put("registers.requests", {"offset": 4, "write": 1, "strobe": 0xF, "data": 0})
    assert await bench.read(4) == CONTENT[4:8]
    await bench.cycles(10)
    assert bench.got("registers.responses") == []


@simulated(Rom)
async def test_reads_follow_one_another_while_nobody_takes_them(bench):
    bench.stall("registers.responses", probability=0.6)
    bench.put("registers.requests", *({"offset": offset, "strobe": 0xF} for offset in range(0, 24, 4)))
    got = [(await bench.get("registers.responses"))["data"].to_bytes(4, "little") for _ in range(6)]
    assert b"".join(got) == CONTENT.ljust(24, b"\0")


def config(path) -> DeviceConfig:
    return DeviceConfig(pci=PciOptions(rom=str(path)))


@pytest.mark.parametrize(("size", "window"), [(512, 2048), (2048, 2048), (2560, 4096), (110_080, 131_072)])
def test_the_register_has_the_size_of_the_file_rounded_up(size, window, tmp_path):
    made = config(write_option_rom(tmp_path, size))
    (bar,) = expansion_rom(made)
    assert (bar.index, bar.size) == (EXPANSION_ROM, window)
    assert all(other.index != EXPANSION_ROM for other in bars(made))
    dword, _shift, _width = layout(made)["header"].locate("expansion_rom")
    assert layout(made).dwords[dword].writable == (~(window - 1) & 0xFFFFFFFF) | 1
    assert layout(made).dwords[dword].reset == 0


def test_a_device_without_a_rom_has_no_register_of_one():
    dword, _shift, _width = layout(DeviceConfig())["header"].locate("expansion_rom")
    assert layout(DeviceConfig()).dwords[dword].writable == 0
    assert expansion_rom(DeviceConfig()) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "an expansion ROM begins with the bytes 55 AA"),
        (b"\xaa\x55" + bytes(600), "an expansion ROM begins with the bytes 55 AA"),
        (b"\x55\xaa" + bytes(LARGEST_ROM), f"it has more than {LARGEST_ROM} bytes"),
    ],
)
def test_a_file_that_is_no_rom_is_refused(content, words, tmp_path):
    path = tmp_path / "option.rom"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as error:
        config(path)
    assert str(error.value).startswith("pci.rom is ")


def test_the_file_stands_beside_the_toml_file_and_is_found_from_elsewhere(tmp_path, monkeypatch):
    rom = write_option_rom(tmp_path)
    (tmp_path / "device.toml").write_text('[pci]\nrom = "option.rom"\n')
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    made = DeviceConfig.from_toml("../device.toml")
    assert made.pci.rom_content == rom.read_bytes()
    again = tmp_path / "again.toml"
    again.write_text(made.to_toml())
    monkeypatch.chdir(tmp_path)
    assert DeviceConfig.from_toml(again).pci.rom_content == rom.read_bytes()


def test_kept_verilog_is_that_of_the_content_whatever_the_name(tmp_path):
    def described(folder, size):
        folder.mkdir(exist_ok=True)
        return describe(ConfigSpace(config(write_option_rom(folder, size))))

    first = described(tmp_path / "a", 1024)
    assert first is not None
    assert described(tmp_path / "b", 1024) == first
    assert described(tmp_path / "b", 1536) != first
