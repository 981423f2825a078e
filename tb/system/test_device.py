"""The whole device: enumerated by cocotbext-pcie, and the same requests on both engines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.spec.features import Feature
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.cocotb.run import run_cocotb
from ringwalker_sim.engine.engines import open_engine, run_on_engine
from ringwalker_sim.host import HostParameters
from ringwalker_sim.host.parameters import STREAMS
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK, every_option
from ringwalker_sim.testing.option_rom import write_option_rom
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import CallTask, Job

JOBS = "tb.system.device_jobs"
ROOT = Path(__file__).parents[2]
WIDE = DeviceConfig(data_width=256, settings=BlkSettings(capacity=4096))
THREE = DeviceConfig(data_width=64, queues=3, settings=BlkSettings(capacity=4096))
WIDE_DISK = pytest.param(WIDE, id="256 bits")
THREE_QUEUES = pytest.param(THREE, id="64 bits, 3 queues")
USUAL = pytest.param(SMALL_BLK, id="64 bits")
SECTORS = 4096


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(None, id="every option", marks=pytest.mark.slow),
        pytest.param(WIDE, id="256 bits", marks=pytest.mark.campaign),
    ],
)
def test_cocotbext_pcie_enumerates_it_and_drives_its_interrupts(
    config: DeviceConfig | None, tmp_path: Path
) -> None:
    config = config or every_option(write_option_rom(tmp_path))
    name = "tb.system.enumeration_job:enumerate_and_interrupt"
    task = CallTask(name, {"device": config.to_dict()})
    assert run_cocotb(config, Job(task), timeout_s=300)["serial"] == config.settings.serial


def _image(path: Path, sectors: int) -> Path:
    path.write_bytes(np.random.default_rng(5).bytes(sectors * DiskImage.SECTOR))
    return path


def _native(config: DeviceConfig, job: dict[str, Any], image: Path) -> dict[str, Any]:
    from tb.system.device_jobs import scripted_requests

    with (
        DiskImage(image) as disk,
        open_engine("native", config, GuestMemory(64 << 20), disk, host={"latency": 200}) as port,
    ):
        return port.run(scripted_requests(port, **job))


@pytest.mark.parametrize(
    ("config", "interrupt"),
    [
        pytest.param(WIDE, "msix", id="256 bits, MSI-X", marks=pytest.mark.campaign),
        pytest.param(THREE, "intx", id="64 bits, 3 queues, INTx", marks=pytest.mark.campaign),
        pytest.param(SMALL_BLK, "intx", id="64 bits, INTx", marks=pytest.mark.slow),
    ],
)
def test_both_engines_give_the_same_answers(config: DeviceConfig, interrupt: str, tmp_path: Path) -> None:
    job = {"seed": 3, "count": 100, "interrupt": interrupt}
    images = [_image(tmp_path / f"{name}.img", SECTORS) for name in ("native", "cocotb")]
    native = _native(config, job, images[0])
    task = CallTask(f"{JOBS}:scripted_requests", job)
    order = Job(task, seed=3, image=str(images[1]), host=HostParameters(latency=200))
    cocotb = run_cocotb(config, order, timeout_s=600)
    assert cocotb["faults"] == []
    # Status, used length and every byte of every buffer, request by request.
    assert [tuple(answer) for answer in cocotb["answers"]] == native["answers"]
    assert {status for _, status, _, _ in native["answers"]} == {0, 1, 2}
    assert images[0].read_bytes() == images[1].read_bytes()
    assert cocotb["disk"] == native["disk"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "sectors"),
    [
        pytest.param(WIDE, 512, id="256 bits", marks=pytest.mark.campaign),
        pytest.param(SMALL_BLK, 128, id="64 bits"),
    ],
)
def test_a_disk_goes_through_the_cocotb_engine_both_ways(
    config: DeviceConfig, sectors: int, tmp_path: Path
) -> None:
    disk = _image(tmp_path / "disk.img", sectors)
    before = disk.read_bytes()
    new, out = tmp_path / "new.img", tmp_path / "out.img"
    new.write_bytes(np.random.default_rng(6).bytes(len(before)))

    def run(task: BlockTask) -> int:
        job = Job(task, image=str(disk), host=HostParameters(latency=50))
        return run_on_engine("cocotb", config, job)["errors"]

    assert run(BlockTask(read_all=str(out))) == 0
    assert out.read_bytes() == before
    assert run(BlockTask(read_all=str(out), write_all=str(new))) == 0
    assert disk.read_bytes() == new.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("engine", ["model", "native", pytest.param("cocotb", marks=pytest.mark.slow)])
def test_a_read_only_disk_is_offered_as_one(engine: str, tmp_path: Path) -> None:
    image = _image(tmp_path / "disk.img", 64)
    image.chmod(0o444)
    before = image.read_bytes()
    job = Job(CallTask(f"{JOBS}:writes_to_a_read_only_disk"), image=str(image), read_only=True)
    result = run_on_engine(engine, SMALL_BLK, job)
    assert result["answers"] == [
        True,
        "OUT at sector 1: the disk is read-only",
        "OUT at sector 1: IOERR",
    ]
    assert result["read"] == before[512:1024].hex()
    assert result["disk_failures"] == [], "the device refuses it without asking the disk"
    assert image.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("config", [pytest.param(WIDE_DISK, marks=pytest.mark.campaign), USUAL])
def test_stalls_on_every_stream_change_nothing(config: DeviceConfig, tmp_path: Path) -> None:
    disk = _image(tmp_path / "disk.img", 512)
    task = BlockTask(Workload("randrw", requests=60, queue_depth=16, block_size=1536))
    stalls = {**dict.fromkeys(STREAMS, 0.3), "completer_completion": 0.97}
    job = Job(task, image=str(disk), host=HostParameters(stalls=stalls), seed=4)
    assert run_on_engine("cocotb", config, job)["errors"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("features", [0, 1 << Feature.NOTIFICATION_DATA], ids=["", "notification data"])
@pytest.mark.parametrize("config", [THREE_QUEUES, USUAL])
def test_the_first_read_leaves_within_12_cycles_of_the_doorbell(config: DeviceConfig, features: int) -> None:
    job = Job(CallTask(f"{JOBS}:cycles_to_first_read", {"features": features}))
    cycles = run_cocotb(config, job, timeout_s=300)["cycles"]
    assert len(cycles) == config.queues
    assert 1 <= min(cycles) <= max(cycles) <= 12, cycles
