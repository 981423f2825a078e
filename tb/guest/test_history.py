"""Whoever reads the old mails finds every name in the page about them, and in the module of the stage."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGES = ROOT / "sim" / "ringwalker_sim" / "guest" / "history"

NAMES = {
    "may2007": """
        virtio_device virtio_ops add_outbuf add_inbuf sync detach_outbuf detach_inbuf virtio_sync
        used ENOSPC dev ops
    """,
    "draft3": """
        virtio_device_id device_type driver_data virtio_config host driver virtio_driver add_buf
        sync get_buf restart shutdown register_virtio_driver register_virtio_device virtio_bus_type
        virtbus_pci
    """,
    "september2007": """
        virtqueue_ops new_vq free_vq add_buf kick get_buf restart shutdown PCI_VENDOR_ID_VIRTIO
        VIRTIO_DEV_ID virtio_driver name owner id_table probe remove register_virtio_driver ENOSYS
        unregister_virtio_driver virtio_backend_ops register_driver unregister_driver
        virtio_config_space find
    """,
    "linux2624": """
        virtqueue callback vdev vq_ops priv virtqueue_ops add_buf kick get_buf restart shutdown
        virtio_device index dev id config register_virtio_device unregister_virtio_device
        virtio_driver id_table probe remove register_virtio_driver unregister_virtio_driver
        virtio_config_ops find get set get_status set_status find_vq del_vq
    """,
}


@pytest.mark.parametrize("stage", NAMES)
def test_every_name_of_the_old_mails_is_there(stage: str) -> None:
    code = "".join(path.read_text() for path in sorted(STAGES.glob(f"{stage}*.py")))
    page = (ROOT / "docs" / "history.md").read_text()
    for name in NAMES[stage].split():
        assert re.search(rf"\b{name}\b", code), f"{name} is not in the module"
        assert re.search(rf"\b{name}\b", page), f"{name} is not in the page"
