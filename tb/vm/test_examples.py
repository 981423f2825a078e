"""The functions of ``examples``, served to a real QEMU and driven there by their own drivers."""

import zlib
from pathlib import Path

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import add_import_folder
from ringwalker_sim.vfio_user.serving import ServedDevice, serve_devices
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.qtest import qtest_machine
from ringwalker_sim.vm.setup import GuestSetup
from ringwalker_sim.workload.job import Job

add_import_folder(Path("examples/crc32").resolve())


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_the_crc32_accelerator_computes_in_a_qemu(setup: GuestSetup, tmp_path: Path, interrupt: str) -> None:
    from crc32_driver import CrcTask

    config = DeviceConfig(function="crc32:KIND", data_width=64)
    content = Path("examples/crc32/crc32.py").read_bytes()
    with serve_devices([ServedDevice(config, None, tmp_path / "crc.socket")]) as (handle,):
        with qtest_machine(setup.qemu, [VfioUserDevice(handle.socket)]) as port:
            result = port.run(Job(CrcTask(content), interrupt=interrupt).run(port, config))
        stats = handle.stats()
    assert result["errors"] == 0
    assert result["crc"] == f"{zlib.crc32(content):#010x}"
    assert handle.error is None
    assert stats["peers"] == 1
    assert stats["violations"] == 0
    assert stats["dma_read_bytes"] > len(content)
    assert (stats["msix"] > 0) == (interrupt == "msix")
    assert (stats["intx"] > 0) == (interrupt == "intx")
