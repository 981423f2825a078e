"""The device that a real guest is given."""

import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker_sim.vm.session import linux_config


@pytest.mark.parametrize(
    ("face", "preset", "device"),
    [
        ("modern", "oasis", 0x1042),
        ("modern", "2007", 0x1042),
        ("transitional", "oasis", 0x1001),
        ("transitional", "2007", 0x1042),
        ("legacy", "oasis", 0x1001),
        ("legacy", "2007", 0x1001),
    ],
)
def test_linux_gets_a_device_id_that_it_takes_for_this_face(face: str, preset: str, device: int) -> None:
    config = DeviceConfig(face=face, identity=Identity(preset=preset))
    found = linux_config(config)
    assert found.resolved_identity.device == device
    assert found.resolved_identity.vendor == config.resolved_identity.vendor
    assert found.resolved_identity.revision == config.resolved_identity.revision
