"""The PC's firmware boots from the simulated disk, with no kernel beside it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringwalker.config import Identity, PciOptions
from ringwalker_sim.cli import main as cli
from ringwalker_sim.errors import EXIT_USAGE, ParameterError
from ringwalker_sim.testing.devices import BOTH_BLK, SMALL_RNG
from ringwalker_sim.vm.boot import GuestJob
from ringwalker_sim.vm.firmware import SECTOR_BYTES, boot_disk, boot_sector, expansion_rom
from ringwalker_sim.vm.session import Disk, run_guest
from ringwalker_sim.vm.setup import GuestSetup

LINE, TEXT = "the boot sector runs", "this was read through INT 13h"
ROM_LINE = "the expansion ROM runs"
NARROW = ("--data-width", "64")
"""The device of :data:`~ringwalker_sim.testing.devices.SERVED_BLK`."""


def copied(image: bytes) -> bytes:
    """A disk after it was booted: sector 2 is as sector 1."""
    return image[: 2 * SECTOR_BYTES] + image[SECTOR_BYTES : 2 * SECTOR_BYTES] + image[3 * SECTOR_BYTES :]


def test_the_firmware_boots_from_the_simulated_disk_reads_and_writes_it(
    setup: GuestSetup, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    image, figures = tmp_path / "disk.img", tmp_path / "figures.json"
    image.write_bytes(before := boot_disk(LINE, TEXT))
    code = cli.main(["guest", "--image", str(image), *NARROW, "--boot-disk", "--json", str(figures)])
    out, said = capfdbinary.readouterr()
    assert (code, out) == (0, f"{LINE}\r\n{TEXT}\r\n".encode()), said
    assert image.read_bytes() == copied(before)
    (device,) = json.loads(figures.read_text())["devices"]
    assert (device["violations"], device["faults"]) == (0, 0)
    assert device["storage_reads"] >= 2
    assert device["storage_writes"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("face", ["legacy", "transitional"])
def test_the_firmware_boots_from_a_disk_with_a_legacy_face(
    setup: GuestSetup, tmp_path: Path, face: str
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(before := boot_disk(LINE, TEXT))
    session = run_guest(setup, [Disk(image, replace(BOTH_BLK, face=face))], GuestJob(boot_disk=True))
    assert session.result.console == f"{LINE}\n{TEXT}\n"
    assert (
        f"using {'legacy (0.9.5)' if face == 'legacy' else 'modern (1.0)'} virtio mode"
        in session.result.firmware
    )
    assert image.read_bytes() == copied(before)
    (device,) = session.devices
    assert (device["violations"], device["faults"]) == (0, 0)
    assert (device["down_io_write"] > 0) == (face == "legacy")


def test_a_disk_that_cannot_be_booted_is_an_error_with_what_the_firmware_says(
    setup: GuestSetup, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    code = cli.main(["guest", "--image", str(image), "--own-device", "--boot-disk"])
    out, said = capfd.readouterr()
    assert (code, out) == (125, "")
    assert "the firmware has nothing to boot:\n  Booting from Hard Disk" in said
    assert "Boot failed: not a bootable disk" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "true"], "--boot-disk boots what is on the disk; --run does not go with it"),
        (["--make-root", "x.img"], "--make-root does not go with it"),
        (["--interrupt", "intx"], "the system on the disk chooses its interrupts, not --interrupt"),
        ([], "--boot-disk needs a disk: give --image"),
    ],
)
def test_options_that_do_not_go_with_a_disk_that_is_booted(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["guest", "--boot-disk", *words]) == EXIT_USAGE
    assert message in capsys.readouterr().err


def test_a_boot_sector_has_a_sector_and_its_signature() -> None:
    made = boot_sector(LINE)
    assert len(made) == SECTOR_BYTES
    assert made[-2:] == b"\x55\xaa"
    assert LINE.encode() in made
    assert len(boot_disk(LINE, TEXT, 2016)) == 2016 * SECTOR_BYTES


def test_an_expansion_rom_has_what_the_firmware_looks_for() -> None:
    for line in (ROM_LINE, ROM_LINE * 20):
        made = expansion_rom(line, 0x1AF4, 0x1044, 0x00FF00)
        units = len(made) // 512
        assert made[:3] == bytes([0x55, 0xAA, units])
        assert len(made) == 512 * units
        assert sum(made) % 256 == 0
        at = int.from_bytes(made[0x18:0x1A], "little")
        assert made[at : at + 8] == b"PCIR" + bytes.fromhex("f41a4410")
        assert made[at + 13 : at + 16] == bytes.fromhex("00ff00")
        assert int.from_bytes(made[at + 16 : at + 18], "little") == units
        assert line.encode() in made


@pytest.mark.campaign
def test_the_firmware_runs_the_expansion_rom_of_the_simulated_device(
    setup: GuestSetup, tmp_path: Path
) -> None:
    rom, image = tmp_path / "rom", tmp_path / "disk.img"
    image.write_bytes(boot_disk(LINE, TEXT))
    rng = replace(SMALL_RNG, identity=Identity(preset="oasis"))
    who: Any = rng.resolved_identity
    rom.write_bytes(expansion_rom(ROM_LINE, who.vendor, who.device, who.class_code))
    rng = replace(rng, pci=PciOptions(rom=str(rom)))
    # The firmware has a driver for disks and runs no ROM of theirs, so it is that of another function.
    session = run_guest(setup, [Disk(image, None), Disk(None, rng)], GuestJob(boot_disk=True))
    assert session.result.console == f"{ROM_LINE}\n{LINE}\n{TEXT}\n"
    (device,) = session.devices
    assert (device["violations"], device["faults"]) == (0, 0)
    assert device["down_memory_read"] > 0


def test_texts_that_a_boot_disk_cannot_print() -> None:
    with pytest.raises(ParameterError, match=r"the line is 'caf.'; it must be ASCII"):
        boot_sector("caf\xe9")
    with pytest.raises(ParameterError, match=r"the line is \d+ bytes too long for a boot sector"):
        boot_sector("x" * SECTOR_BYTES)
    with pytest.raises(ParameterError, match="it must be ASCII"):
        expansion_rom("caf\xe9", 1, 2, 3)
    with pytest.raises(ParameterError, match=r"the text is 515 bytes; it must fit in a sector"):
        boot_disk(LINE, "x" * SECTOR_BYTES)
