"""A driver suspends a device and lets it go on. Ref: virtio 1.4, 3.4."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.guest.errors import BindError, DeviceError, RequestTimeout
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.memory import GuestMemory

POLLS = "ringwalker_sim.guest.transport.pci_transport.POLLS"

_TAKES_CYCLES = 900


class Status:
    """The device status of ``model`` with what suspends it; ``fails``: it needs a reset instead."""

    def __init__(self, model: Any, obeys: bool = True, fails: bool = False):
        self.model = model
        self.obeys = obeys
        self.fails = fails
        self.seen: list[int] = []
        self._write = model.write_status
        model.write_status = self.write

    def write(self, value: int) -> None:
        self.seen.append(value)
        suspended = bool(self.model.status & DeviceStatus.SUSPEND)
        asked = DeviceStatus.DRIVER_OK if suspended else DeviceStatus.SUSPEND
        if not value & asked or not value:
            self._write(value)
        elif self.fails:
            self.model.needs_reset = True
        elif self.obeys:
            self.model.schedule(_TAKES_CYCLES, self._change)

    def _change(self) -> None:
        self.model.status ^= DeviceStatus.SUSPEND | DeviceStatus.DRIVER_OK


def _open(features: int = 1 << Feature.SUSPEND, **status: Any) -> tuple[Any, Any, Status]:
    port: Any = ModelPort(DeviceConfig(data_width=64), GuestMemory(1 << 20), DiskImage.blank(64))
    port.model.features |= features
    opened = port.run(open_device(Machine(port), "blk"))
    return port, opened, Status(port.model, **status)


def test_a_device_rests_and_goes_on() -> None:
    port, opened, status = _open()
    config = opened.device.config

    async def main() -> None:
        await config.suspend_device()
        resting = (
            DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.SUSPEND
        )
        assert await config.status() == resting
        began = port.now()
        await config.resume_device()
        assert port.now() - began >= _TAKES_CYCLES
        assert await config.status() == resting ^ DeviceStatus.SUSPEND ^ DeviceStatus.DRIVER_OK
        assert await opened.driven.get_id() == "ringwalker"

    port.run(main())
    # No bit is cleared by the driver.
    assert status.seen == [0b11111, 0b11111]


def test_only_what_was_negotiated_is_used() -> None:
    port, opened, status = _open(0)
    with pytest.raises(BindError, match="VIRTIO_F_SUSPEND is not negotiated"):
        port.run(opened.device.config.suspend_device())
    assert status.seen == []


def test_a_device_that_cannot_rest() -> None:
    port, opened, _status = _open(fails=True)
    with pytest.raises(DeviceError, match="sets DEVICE_NEEDS_RESET instead of SUSPEND"):
        port.run(opened.device.config.suspend_device())


def test_a_device_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(POLLS, 20)
    port, opened, _status = _open(obeys=False)
    with pytest.raises(RequestTimeout, match="the suspension of the device does not end"):
        port.run(opened.device.config.suspend_device())


def test_a_device_that_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(POLLS, 20)
    port, opened, status = _open()
    port.run(opened.device.config.suspend_device())
    status.obeys = False
    with pytest.raises(RequestTimeout, match="the resumption of the device does not end"):
        port.run(opened.device.config.resume_device())
