"""Devices and drivers find each other."""

from typing import Any

import pytest

from ringwalker.spec.ids import CLASS_CODES, DeviceType
from ringwalker_sim.guest.bus import (
    ANY,
    VIRTIO_DEV_ID,
    VirtioBus,
    VirtioDevice,
    VirtioDeviceId,
    VirtioDriver,
    virtio_ids,
)

BLK = VirtioDeviceId(0x5000, 2, 0x5000, 2, 0x010000)
NET = VirtioDeviceId(0x5000, 1, 0x5000, 1, 0x020000)
BLK_OTHER_INTERFACE = VirtioDeviceId(0x5000, 2, 0x5000, 2, 0x010080)
BLK_IDS = (VIRTIO_DEV_ID(2, 0x0100),)


def run(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def driver(log: list[str], name: str = "drv", ids: Any = BLK_IDS, result: int = 0):
    async def probe(device: VirtioDevice) -> int:
        log.append(f"{name} probe {device.index}")
        return result

    async def remove(device: VirtioDevice) -> None:
        log.append(f"{name} remove {device.index}")

    return VirtioDriver(name, ids, probe, remove)


@pytest.mark.parametrize(
    ("entry", "identity", "matches"),
    [
        (VIRTIO_DEV_ID(2, 0x0100), BLK, True),
        (VIRTIO_DEV_ID(1, 0x0200), BLK, False),
        (VIRTIO_DEV_ID(2, 0x0101), BLK, False),
        (VirtioDeviceId(ANY, ANY), BLK, True),
        (VirtioDeviceId(0x5000, ANY, subvendor=0x1234), BLK, False),
        (VirtioDeviceId(0x5000, ANY, subdevice=2), BLK, True),
        (VirtioDeviceId(0x5000, ANY, subdevice=3), BLK, False),
        (VirtioDeviceId(0x1AF4, 2), BLK, False),
        # The programming interface is outside the mask of 2007.
        (VIRTIO_DEV_ID(2, 0x0100), BLK_OTHER_INTERFACE, True),
        (
            VirtioDeviceId(0x5000, 2, class_=0x010000, class_mask=0xFFFFFF),
            BLK_OTHER_INTERFACE,
            False,
        ),
    ],
)
def test_matching(entry: VirtioDeviceId, identity: VirtioDeviceId, matches: bool) -> None:
    assert entry.matches(identity) is matches


def test_the_2007_macro() -> None:
    entry = VIRTIO_DEV_ID(2, 0x0100)
    assert (entry.vendor, entry.device, entry.subvendor, entry.subdevice) == (0x5000, 2, ANY, ANY)
    assert (entry.class_, entry.class_mask) == (0x010000, 0xFFFF00)


def test_both_identities_lead_to_the_same_driver() -> None:
    table = virtio_ids(DeviceType.BLK, CLASS_CODES[DeviceType.BLK])
    for identity in (BLK, VirtioDeviceId(0x1AF4, 0x1042, 0x1AF4, 2, 0x010000)):
        assert any(entry.matches(identity) for entry in table)


@pytest.mark.parametrize("device_first", [True, False])
def test_any_order(device_first: bool) -> None:
    log: list[str] = []
    bus, device, drv = VirtioBus(), VirtioDevice(None, BLK, None), driver(log)
    for step in (True, False):
        if step is device_first:
            run(bus.register_virtio_device(device))
        else:
            run(bus.register_virtio_driver(drv))
    assert log == ["drv probe 0"]
    assert device.driver is drv
    run(bus.unregister_virtio_driver(drv))
    assert device.driver is None
    run(bus.unregister_virtio_device(device))
    assert log == ["drv probe 0", "drv remove 0"]


def test_devices_come_and_go() -> None:
    log: list[str] = []
    bus, drv = VirtioBus(), driver(log)
    run(bus.register_virtio_driver(drv))
    first, second, net = (VirtioDevice(None, identity, None) for identity in (BLK, BLK, NET))
    for device in (first, net, second):
        run(bus.register_virtio_device(device))
    assert [first.index, net.index, second.index] == [0, 1, 2]
    assert net.driver is None
    run(bus.unregister_virtio_device(first))
    third = VirtioDevice(None, BLK, None)
    run(bus.register_virtio_device(third))
    assert third.index == 0, "the free place is taken again"
    assert log == ["drv probe 0", "drv probe 2", "drv remove 0", "drv probe 0"]


def test_a_driver_that_declines_leaves_the_device_to_another() -> None:
    log: list[str] = []
    bus, device = VirtioBus(), VirtioDevice(None, BLK, None)
    picky, other = driver(log, "picky", result=-19), driver(log, "other")
    for item in (picky, other):
        run(bus.register_virtio_driver(item))
    run(bus.register_virtio_device(device))
    assert device.driver is other
    run(bus.unregister_virtio_driver(other))
    assert device.driver is None
    assert log == ["picky probe 0", "other probe 0", "other remove 0", "picky probe 0"]


def test_an_exception_of_probe_reaches_the_caller_and_leaves_the_device_free() -> None:
    async def probe(_device: VirtioDevice) -> int:
        raise RuntimeError("broken")

    async def remove(_device: VirtioDevice) -> None:
        raise AssertionError("never bound")

    bus, device = VirtioBus(), VirtioDevice(None, BLK, None)
    run(bus.register_virtio_device(device))
    with pytest.raises(RuntimeError, match="broken"):
        run(bus.register_virtio_driver(VirtioDriver("bad", (VirtioDeviceId(ANY, ANY),), probe, remove)))
    assert device.driver is None
    run(bus.unregister_virtio_device(device))


def test_registering_twice_and_never() -> None:
    bus, device, drv = VirtioBus(), VirtioDevice(5, BLK, None), driver([])
    run(bus.register_virtio_device(device))
    run(bus.register_virtio_driver(drv))
    with pytest.raises(ValueError, match="already"):
        run(bus.register_virtio_device(device))
    with pytest.raises(ValueError, match="already"):
        run(bus.register_virtio_driver(drv))
    with pytest.raises(ValueError, match="device 5 on the bus"):
        run(bus.register_virtio_device(VirtioDevice(5, BLK, None)))
    with pytest.raises(ValueError, match="not registered"):
        run(bus.unregister_virtio_driver(driver([])))
    with pytest.raises(ValueError, match="not on the bus"):
        run(bus.unregister_virtio_device(VirtioDevice(6, BLK, None)))
