"""QEMU's command line."""

import itertools
import json
from pathlib import Path

import pytest

from ringwalker_sim.errors import ParameterError
from ringwalker_sim.vm.boot import GuestJob
from ringwalker_sim.vm.machine import (
    OwnDevice,
    OwnDisk,
    VfioUserDevice,
    device_options,
    machine_options,
    serial_options,
)


def pairs(options: list[str]) -> list[tuple[str, dict]]:
    """The options whose values are JSON."""
    both = itertools.pairwise(options)
    return [(name, json.loads(value)) for name, value in both if value.startswith("{")]


def test_devices_come_in_order_each_at_its_own_address() -> None:
    options = pairs(
        device_options([VfioUserDevice(Path("/x,y=z")), OwnDisk(Path("a,b.img"), read_only=True)])
    )
    (_, first), (kind, backend), (_, second) = options
    assert first["driver"] == "vfio-user-pci"
    assert first["socket"] == {"type": "unix", "path": "/x,y=z"}
    assert first["x-msg-timeout"] >= 3_600_000
    assert (kind, backend["file"]["filename"], backend["read-only"]) == ("-blockdev", "a,b.img", True)
    assert (second["driver"], second["drive"]) == ("virtio-blk-pci", backend["node-name"])
    assert first["addr"] != second["addr"]


@pytest.mark.parametrize(
    ("face", "disabled"),
    [("modern", ("on", False)), ("transitional", ("off", False)), ("legacy", ("off", True))],
)
def test_qemus_own_disk_has_the_faces_and_properties_that_are_asked_for(
    face: str, disabled: tuple[str, bool]
) -> None:
    own = OwnDisk(Path("a.img"), queues=4, queue_size=32, face=face, options=["packed"])
    (_, values) = pairs(device_options([own]))[1]
    assert (values["disable-legacy"], values["disable-modern"]) == disabled
    assert (values["num-queues"], values["queue-size"], values["packed"]) == (4, 32, True)


def test_any_device_of_qemus_own_has_its_properties_and_what_is_around_it() -> None:
    own = OwnDevice(
        "virtio-net-pci", {"packed": True, "disable-legacy": False, "romfile": "a,b"}, ["before"], ["after"]
    )
    text = "virtio-net-pci,addr=0x2,packed=on,disable-legacy=off,romfile=a,,b"
    assert device_options([own]) == ["before", "-device", text, "after"]


def test_ram_can_be_mapped_by_others(tmp_path: Path) -> None:
    ((_, anonymous),) = pairs(machine_options(64))
    assert (anonymous["qom-type"], anonymous["share"], anonymous["size"]) == (
        "memory-backend-memfd",
        True,
        64 << 20,
    )
    ((_, named),) = pairs(machine_options(64, tmp_path / "ram"))
    assert named["mem-path"] == str(tmp_path / "ram")


def test_processors_and_an_iommu_are_there_only_if_they_are_wanted() -> None:
    usual = machine_options(64)
    assert "-smp" not in usual
    assert not any("iommu" in option for option in usual)
    options = machine_options(64, processors=4, iommu="intel")
    assert options[options.index("-smp") + 1] == "4"
    (name,) = [option for option in options if "iommu" in option]
    assert "caching-mode=on" in name, "QEMU announces no mapping otherwise"
    with pytest.raises(ParameterError, match="iommu is 'amd'"):
        GuestJob(iommu="amd")


def test_serial_ports_share_no_interrupt() -> None:
    sockets = {name: Path(f"/s/{name}") for name in ("console", "out", "err", "state")}
    plain = [values for _, values in pairs(serial_options(sockets, interactive=False))]
    assert [values["chardev"] for values in plain] == ["console", "out", "err", "state"]
    assert len({values["irq"] for values in plain}) == 4
    options = serial_options(sockets, interactive=True)
    assert "stdio,id=console,mux=on,signal=off" in options
    assert not any("/s/console" in option for option in options)
