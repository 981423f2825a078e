"""A disk of random content served over vfio-user, one for all tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.testing.devices import SERVED_BLK as CONFIG
from ringwalker_sim.vfio_user.client_port import SharedMemory
from ringwalker_sim.vfio_user.serving import DeviceHandle, ServedDevice, serve_devices

IMAGE_BYTES = 1 << 20


@pytest.fixture(scope="session")
def config() -> DeviceConfig:
    """The configuration of all devices that these tests serve."""
    return CONFIG


def make_image(path: Path, seed: int = 5) -> Path:
    """A disk image of random content."""
    path.write_bytes(np.random.default_rng(seed).bytes(IMAGE_BYTES))
    return path


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceHandle]:
    folder = tmp_path_factory.mktemp("serve")
    image = make_image(folder / "disk.img")
    with serve_devices([ServedDevice(CONFIG, image, folder / "s")]) as (handle,):
        yield handle
    assert not handle.socket.exists()


@pytest.fixture
def served(_served: DeviceHandle) -> Iterator[DeviceHandle]:
    """The served device, which is still well after the test."""
    yield _served
    assert _served.running
    assert _served.error is None
    assert _served.stats()["violations"] == 0


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    """Guest RAM that the server can map."""
    memory = SharedMemory(4 << 20)
    yield memory
    memory.close()
