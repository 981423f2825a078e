"""The accelerator on both engines, against zlib."""

from pathlib import Path

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import add_import_folder
from ringwalker_sim.engine.engines import run_on_engine
from ringwalker_sim.workload.job import Job

add_import_folder(Path(__file__).parent)


@pytest.mark.parametrize("engine", ["native", pytest.param("cocotb", marks=pytest.mark.slow)])
@pytest.mark.parametrize("content", [b"1", b"123456789", bytes(range(256)) * 9], ids=len)
def test_the_device_agrees_with_zlib(engine: str, content: bytes) -> None:
    from crc32_driver import CrcTask

    config = DeviceConfig(function="crc32:KIND", data_width=64)
    assert run_on_engine(engine, config, Job(CrcTask(content)))["errors"] == 0
