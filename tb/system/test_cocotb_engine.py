"""The cocotb engine by itself, with small devices in place of the whole one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.cocotb.run import CocotbError, run_simulation
from ringwalker_sim.engine.noise import NoiseSource
from ringwalker_sim.host import HostParameters
from ringwalker_sim.testing.noise_tap import LEVEL, NoiseTap
from ringwalker_sim.testing.traffic import DiskCopier, MemoryCopier
from ringwalker_sim.workload.job import CallTask, Job

JOBS = "tb.system.bridge_jobs"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def _copy_memory(
    width: int, seed: int = 1, host: HostParameters | None = None, **arguments: object
) -> dict[str, object]:
    text, _ports = to_verilog(MemoryCopier(width, chunk=256, slots=8), "memory_copier")
    task = CallTask(f"{JOBS}:copy_memory", {"chunk": 256, "chunks": 64, **arguments})
    job = Job(task, seed=seed, host=host or HostParameters())
    return run_simulation(text, "memory_copier", DeviceConfig(data_width=width), job, timeout_s=300)


@pytest.mark.parametrize("width", [64, pytest.param(256, marks=pytest.mark.slow)])
def test_copies_memory_through_the_root_complex(width: int) -> None:
    result = _copy_memory(width)
    assert result["bytes"] == 64 * 256
    assert result["faults"] == []
    assert result["most_reads_in_flight"] == 8
    tlps = result["tlps"]
    assert isinstance(tlps, dict)
    assert (tlps["up_memory_read"], tlps["up_memory_write"]) == (64, 64)
    # One by writing to an address, one by the pin.
    assert tlps["up_message"] == 2
    assert tlps["down_completion_data"] >= 64


@pytest.mark.slow
def test_copies_memory_with_stalls_on_every_stream() -> None:
    assert _copy_memory(64, seed=7, host=HostParameters(stalls=0.4))["bytes"] == 64 * 256


@pytest.mark.slow
def test_latency_of_host_memory_takes_its_time() -> None:
    hosts = (HostParameters(latency=latency) for latency in (100, 1100))
    short, long = (_copy_memory(256, host=host, chunks=16)["cycles"] for host in hosts)
    assert isinstance(short, int)
    assert isinstance(long, int)
    # 16 chunks, 8 reads in flight: two rounds.
    assert 1900 <= long - short <= 2100


def test_a_request_over_the_limit_is_noticed() -> None:
    with pytest.raises(CocotbError, match=r"memory_read of 64 dwords at .*: more than 128 bytes"):
        _copy_memory(64, read_limit=128)


@pytest.mark.slow
@pytest.mark.parametrize("stalls", [0, 0.3])
def test_storage_model_serves_a_disk(stalls: float) -> None:
    text, _ports = to_verilog(DiskCopier(64, depth=6), "disk_copier")
    config = DeviceConfig(data_width=64, settings=BlkSettings(capacity=16))
    job = Job(CallTask(f"{JOBS}:copy_disk"), host=HostParameters(stalls=stalls))
    run_simulation(text, "disk_copier", config, job, timeout_s=300)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
def test_what_is_due_at_a_clock_edge_comes_in_the_same_cycle_in_every_simulator() -> None:
    text, ports = to_verilog(DiskCopier(64, depth=6), "disk_copier")
    config = DeviceConfig(data_width=64, settings=BlkSettings(capacity=16))
    job = Job(CallTask(f"{JOBS}:copy_disk"), host=HostParameters(storage_latency=7, latency=3))
    initial = {port.name: port.init for port in ports if port.direction == "input" and port.name != "clk"}
    verilator, icarus = (
        run_simulation(text, "disk_copier", config, job, initial=initial, simulator=name, timeout_s=60)
        for name in ("verilator", "icarus")
    )
    assert icarus["cycles_total"] == verilator["cycles_total"]


@pytest.mark.slow
@pytest.mark.parametrize("stalls", [0, 0.4])
def test_noise_is_that_of_the_native_engine_and_pins_keep_their_values(stalls: float) -> None:
    text, ports = to_verilog(NoiseTap(64), "noise_tap")
    job = Job(CallTask(f"{JOBS}:take_noise", {"beats": 70}), seed=3, host=HostParameters(stalls=stalls))
    initial = {port.name: port.init for port in ports if port.init}
    result = run_simulation(
        text, "noise_tap", DeviceConfig(data_width=64), job, initial=initial, timeout_s=300
    )
    assert result["noise"] == NoiseSource(3).take(70 * 8).hex()
    assert result["level"] == LEVEL


def _simple() -> str:
    return to_verilog(MemoryCopier(64, chunk=256, slots=8), "memory_copier")[0]


def test_an_exception_inside_comes_out_with_its_traceback() -> None:
    order = Job(CallTask(f"{JOBS}:fail"))
    with pytest.raises(CocotbError, match="this is what went wrong") as caught:
        run_simulation(_simple(), "memory_copier", DeviceConfig(), order, timeout_s=300)
    assert "LookupError" in caught.value.__notes__[0]
    assert caught.value.exit_code == 1


def _processes(folder: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if folder.encode() in content:
            found.append(path.parent.name)
    return found


def test_a_simulation_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGWALKER_TEST_MARK", str(tmp_path))
    order = Job(CallTask(f"{JOBS}:hang"))
    with pytest.raises(CocotbError, match="3 s"):
        run_simulation(_simple(), "memory_copier", DeviceConfig(), order, timeout_s=3)
    others = [number for number in _processes(str(tmp_path)) if number != str(os.getpid())]
    assert others == []


@pytest.mark.slow
def test_interrupt_leaves_readable_waves(tmp_path: Path) -> None:
    waves = tmp_path / "out.fst"
    script = (
        "import sys\nfrom ringwalker.config import DeviceConfig\n"
        "from ringwalker_sim.engine.cocotb.run import run_simulation\n"
        "from ringwalker_sim.workload.job import CallTask, Job\n"
        "try: run_simulation(open(sys.argv[1]).read(), 'memory_copier', DeviceConfig(), "
        f"Job(CallTask('{JOBS}:hang')), waves=sys.argv[2])\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    verilog = tmp_path / "memory_copier.v"
    verilog.write_text(_simple())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script, str(verilog), str(waves)], env=environment)
    deadline = time.monotonic() + 120
    while not waves.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    raw = waves.read_bytes()
    # An FST file that was closed starts with a header block (type 0) whose end time is not 0.
    assert raw[0] == 0
    assert int.from_bytes(raw[17:25], "big") > 0
    assert len(raw) > 1000
