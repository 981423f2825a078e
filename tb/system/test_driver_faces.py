"""Drivers of both register faces of one device behind cocotbext-pcie, with its I/O space and INTA."""

from pathlib import Path

import pytest

from ringwalker.spec.modern import DeviceStatus
from ringwalker.transport.legacy_face import HOLD_CYCLES
from ringwalker_sim.engine.cocotb.run import run_cocotb
from ringwalker_sim.testing.devices import every_option
from ringwalker_sim.testing.option_rom import write_option_rom
from ringwalker_sim.workload.job import CallTask, Job

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_device_is_used_by_one_face_after_the_other_and_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is the one of the enumeration with every option."""
    monkeypatch.syspath_prepend(str(ROOT))
    config = every_option(write_option_rom(tmp_path))
    job = Job(CallTask("tb.system.faces_job:use_both_faces"))
    result = run_cocotb(config, job, timeout_s=300)
    for use in ("legacy intx", "modern msix", "legacy msi", "modern msi", "legacy msix"):
        assert result[use] == [config.settings.serial, True], use
    # All that the device had is done before it rests, and what it has not been told of afterwards.
    suspended, running = DeviceStatus.SUSPEND, DeviceStatus.DRIVER_OK
    assert result["suspended"] == [suspended, 7, 7, 0, running, 8]
    assert result["free after"] < HOLD_CYCLES // 4
    assert result["faults"] == []
