"""Configuration space in words, checked against the image that the device is made from."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from amaranth.hdl import Module

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.function.kind import FunctionKind
from ringwalker.pci.capabilities import layout
from ringwalker.spec.pci import HEADER
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.lspci.config_space import decode, format_function, hex_dump
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.option_rom import write_option_rom
from ringwalker_sim.workload.job import DescribeTask, Job


def functions(config: DeviceConfig) -> tuple[bytes, dict[int, int], int, int]:
    """Configuration space, BAR sizes, number and ROM size of the function, as a driver finds them."""
    port = ModelPort(config, GuestMemory(1 << 20), DiskImage.blank(1))
    (item,) = port.run(Job(DescribeTask()).run(port, config))["functions"]
    sizes = {int(key): size for key, size in item["bars"].items()}
    return bytes.fromhex(item["config"]), sizes, item["bdf"], item["rom"]


def test_every_field_is_what_the_tables_say() -> None:
    config = DeviceConfig(queues=3)
    content, sizes, *place = functions(config)
    decoded = decode(content, sizes, *place)
    described = layout(config)
    assert decoded["slot"] == "01:00.0"
    assert {bar["index"]: bar["size"] for bar in decoded["bars"]} == {
        bar.index: bar.size for bar in described.bars
    }
    assert [item["offset"] for item in decoded["capabilities"]] == [
        item.offset for item in described.capabilities
    ]
    changed = {"command", "bar1", "bar4", "bar5", "device_control"}
    for found, wanted in zip(
        [decoded["header"], *decoded["capabilities"]], described.structures, strict=True
    ):
        for row in wanted.table:
            name = "offset_in_bar" if row.name == "offset" else row.name
            if row.name not in changed:
                assert found[name] == wanted.values.get(row.name, row.reset), (wanted.name, row.name)


def test_words() -> None:
    content, sizes, *place = functions(DeviceConfig(queues=3, max_payload=256))
    text = format_function(decode(content, sizes, *place))
    for line in (
        r"^01:00\.0 SCSI storage controller \[0100\]: Virtio block device \[5000:0002\] \(rev 01\)$",
        r"^\tControl: I/O- Mem\+ BusMaster\+ ParErr- SERR- DisINTx-$",
        r"^\tInterrupt: pin A routed to IRQ 0$",
        r"^\tRegion 1: Memory at c0000000 \(32-bit, non-prefetchable\) \[size=4K\]$",
        r"^\tRegion 4: Memory at 0000004000000000 \(64-bit, non-prefetchable\) \[size=32K\]$",
        r"^\tCapabilities: \[\w\w\] MSI-X: Enable- Count=4 Masked-$",
        r"^\t\tVector table: BAR=1 offset=00000000$",
        r"^\tCapabilities: \[\w\w\] Express \(v2\) Endpoint$",
        r"^\t\tDevCap: MaxPayload 256 bytes, ExtTag\+ RBE\+ FLReset\+$",
        r"^\t\t        MaxPayload 128 bytes, MaxReadReq 512 bytes$",
        r"^\t\tLnkSta: Speed 8GT/s, Width x8$",
        r"^\tCapabilities: \[\w\w\] Vendor Specific Information: VirtIO: Notify$",
        r"^\t\tBAR=4 offset=00003000 size=0000000c multiplier=00000004$",
        r"^\tCapabilities: \[\w\w\] .* VirtIO: Vendor data \[5000\] field list version 1$",
        r"^\t\tBAR=4 offset=00004000 size=00000140$",
    ):
        assert re.search(line, text, re.MULTILINE), line


def test_words_of_options(tmp_path: Path) -> None:
    rom = write_option_rom(tmp_path, 2560)
    serial = "02-00-00-FF-FE-00-00-01"
    pci = PciOptions(
        vectors=2, serial_number=serial, timeout_ranges=True, tags=10, msi=2, aer=True, rom=str(rom)
    )
    content, sizes, *place = functions(DeviceConfig(queues=3, fields=False, pci=pci))
    text = format_function(decode(content, sizes, *place))
    for line in (
        r"^\tCapabilities: \[\w\w\] MSI-X: Enable- Count=2 Masked-$",
        r"^\t\tDevCap2: Completion Timeout: Range ABCD, TimeoutDis\+, 10BitTagComp\+ 10BitTagReq\+$",
        r"^\t\tDevCtl2: Completion Timeout: default, TimeoutDis-, 10BitTagReq-$",
        r"^\tCapabilities: \[\w\w\] MSI: Enable- Count=1/2 Maskable\+ 64bit\+$",
        r"^\tExpansion ROM at 00000000 \[disabled\] \[size=4K\]$",
        r"^\tCapabilities: \[100\] Advanced Error Reporting$",
        r"^\t\tUEMsk: CmpltTO- UnxCmplt- TLP- UnsupReq-$",
        r"^\t\tCEMsk: AdvNonFatalErr\+$",
        r"^\tCapabilities: \[12c\] Device Serial Number 02-00-00-ff-fe-00-00-01$",
    ):
        assert re.search(line, text, re.MULTILINE), line


def test_oasis_identity() -> None:
    content, sizes, *place = functions(DeviceConfig(identity=Identity(preset="oasis")))
    assert "Virtio block device [1af4:1042]" in format_function(decode(content, sizes, *place))


def test_a_function_of_ones_own_is_shown_by_its_name() -> None:
    content = bytearray(functions(DeviceConfig())[0])
    own = FunctionKind("adder", 0x40, lambda _config: Module(), class_code=0x120000)
    content[HEADER.device_id.offset] = own.device_type
    content[HEADER["class"].offset] = 0x12
    content[HEADER.subclass.offset] = 0
    function = decode(bytes(content), {})
    title = "Processing accelerators [1200]: Virtio adder device [5000:0040]"
    assert title in format_function(function, own)
    assert "Device [5000:0040]" in format_function(function)
    assert "Device [5000:0040]" in format_function(function, DeviceConfig().kind)


def test_someone_elses_device_is_shown_too() -> None:
    content = bytearray(256)
    content[HEADER.vendor_id.offset : 4] = bytes([0x34, 0x12, 0x78, 0x56])
    content[HEADER.status.offset] = 0x10
    content[HEADER.capabilities_pointer.offset] = 0x40
    content[0x40:0x42] = bytes([0x03, 0])
    content[HEADER.bar0.offset] = 0x01
    content[HEADER.bar0.offset + 1] = 0xC0
    text = format_function(decode(bytes(content), {0: 32}, 0x0008))
    assert text.startswith("00:01.0 Device of class [0000]: Device [1234:5678]")
    assert "Region 0: I/O ports at c000 [size=32]" in text
    assert "Capabilities: [40] Capability id 0x03" in text


def test_what_cannot_be_configuration_space_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes of configuration space"):
        decode(bytes(64), {})
    content = bytearray(functions(DeviceConfig())[0])
    content[0x41] = 0x40
    with pytest.raises(ValueError, match="leads to 0x40 a second time"):
        decode(bytes(content), {})


def test_hex_dump_holds_every_byte() -> None:
    content, _, *place = functions(DeviceConfig())
    title, *rows = hex_dump(content, place[0]).splitlines()
    assert title.startswith("01:00.0 ")
    assert len(rows) == 16
    assert b"".join(bytes.fromhex(row.partition(": ")[2]) for row in rows) == content
    assert rows[3].startswith("30: ")


@pytest.mark.skipif(shutil.which("lspci") is None, reason="pciutils is not installed")
def test_pciutils_says_the_same(tmp_path: Path) -> None:
    # It knows the structures of virtio by the vendor of today.
    content, sizes, *place = functions(DeviceConfig(identity=Identity(preset="oasis")))
    dump = tmp_path / "dump.txt"
    dump.write_text(hex_dump(content, place[0]))
    command = ["lspci", "-F", str(dump), "-vvv", "-nn"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = re.sub(r"\s+", " ", done.stdout)
    compared = 0
    for line in format_function(decode(content, sizes, *place)).splitlines():
        words = line.strip().removesuffix(" Endpoint")
        if "Capabilities: [" in line or "offset=" in line:
            compared += 1
            assert words.replace("PCI config access", "<unknown>") in theirs, line
    assert compared == 15
