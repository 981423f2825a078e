"""The PC's firmware boots from the simulated disk, with no kernel beside it."""

import json
from pathlib import Path

import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.errors import EXIT_USAGE, ParameterError
from ringwalker_sim.vm.firmware import SECTOR_BYTES, boot_disk, boot_sector
from ringwalker_sim.vm.setup import GuestSetup

LINE, TEXT = "the boot sector runs", "this was read through INT 13h"
NARROW = ("--data-width", "64")
"""The device of :data:`~ringwalker_sim.testing.devices.SERVED_BLK`."""


def test_the_firmware_boots_from_the_simulated_disk_reads_and_writes_it(
    setup: GuestSetup, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    image, figures = tmp_path / "disk.img", tmp_path / "figures.json"
    image.write_bytes(before := boot_disk(LINE, TEXT))
    code = cli.main(["guest", "--image", str(image), *NARROW, "--boot-disk", "--json", str(figures)])
    out, said = capfdbinary.readouterr()
    assert (code, out) == (0, f"{LINE}\r\n{TEXT}\r\n".encode()), said
    copied = before[SECTOR_BYTES : 2 * SECTOR_BYTES]
    assert image.read_bytes() == before[: 2 * SECTOR_BYTES] + copied + before[3 * SECTOR_BYTES :]
    (device,) = json.loads(figures.read_text())["devices"]
    assert (device["violations"], device["faults"]) == (0, 0)
    assert device["storage_reads"] >= 2
    assert device["storage_writes"] == 1


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


def test_texts_that_a_boot_disk_cannot_print() -> None:
    with pytest.raises(ParameterError, match=r"the line is 'caf.'; it must be ASCII"):
        boot_sector("caf\xe9")
    with pytest.raises(ParameterError, match=r"the line is \d+ bytes too long for a boot sector"):
        boot_sector("x" * SECTOR_BYTES)
    with pytest.raises(ParameterError, match=r"the text is 515 bytes; it must fit in a sector"):
        boot_disk(LINE, "x" * SECTOR_BYTES)
