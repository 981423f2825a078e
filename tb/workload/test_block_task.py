"""Workloads verify what they do: on a good device nothing is wrong, on a bad one everything is found."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringwalker.config import DeviceConfig, Identity
from ringwalker.function.blk.settings import BlkSettings
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.guest.errors import BindError, RequestTimeout
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.workload import block_pump
from ringwalker_sim.workload.block_task import WORKLOADS, BlockTask, Transfer, Workload
from ringwalker_sim.workload.disk_phases import WorkloadError
from ringwalker_sim.workload.job import Job

SECTORS = 512


def machine(config: DeviceConfig | None = None, sectors: int = SECTORS, **model: Any) -> ModelPort:
    disk = DiskImage.blank(sectors)
    disk.array[:] = np.random.default_rng(5).integers(0, 256, len(disk.array), np.uint8)
    port = ModelPort(config or DeviceConfig(), GuestMemory(16 << 20), disk, **model)
    port.disk = disk
    return port


def run(port: ModelPort, interrupt: str = "msix", **parts: Any) -> dict[str, Any]:
    """What comes of a task with ``parts``, of which ``workload`` and ``transfer`` are given as mappings."""
    for name, kind in (("workload", Workload), ("transfer", Transfer)):
        if name in parts:
            parts[name] = kind(**parts[name])
    result = port.run(Job(BlockTask(**parts), interrupt=interrupt).run(port, port.config))
    assert port.memory.allocated == 0
    return result


@pytest.mark.parametrize("interrupt", ["msix", "intx"])
@pytest.mark.parametrize("kind", WORKLOADS)
def test_every_workload_on_a_good_device(kind: str, interrupt: str) -> None:
    port = machine(jitter=300)
    before = port.disk.array.copy()
    workload = {"kind": kind, "requests": 400, "queue_depth": 16, "block_size": 2048}
    result = run(port, workload=workload, interrupt=interrupt)
    assert (result["requests"], result["bytes"], result["errors"]) == (400, 400 * 2048, 0), result["messages"]
    latency = result["latency_cycles"]
    assert 100 <= latency["p50"] <= latency["p99"] <= latency["max"] <= result["cycles"]
    assert result["bytes_per_cycle"] == result["bytes"] / result["cycles"]
    assert np.array_equal(port.disk.array, before) is kind.endswith("read")


def test_the_seed_decides_everything() -> None:
    def outcome(seed: int) -> tuple[bytes, int]:
        port = machine()
        result = run(port, workload={"kind": "randrw", "requests": 100, "seed": seed})
        return port.disk.array.tobytes(), result["cycles"]

    assert outcome(1) == outcome(1)
    assert outcome(1)[0] != outcome(2)[0]


def test_depth_is_what_is_in_flight() -> None:
    waiting = most = 0
    port = machine()
    visit, use = port.rings._visit, port.rings._use

    def count_visit(index: int) -> None:
        nonlocal waiting, most
        before = port.rings.taken(index)
        visit(index)
        waiting += port.rings.taken(index) - before
        most = max(most, waiting)

    def count_use(index: int, batch: list[Any]) -> None:
        nonlocal waiting
        waiting -= len(batch)
        use(index, batch)

    port.rings._visit, port.rings._use = count_visit, count_use
    run(port, workload={"kind": "randread", "requests": 200, "queue_depth": 13})
    assert most == 13


def test_more_in_flight_than_one_queue_holds_uses_the_others() -> None:
    port = machine(DeviceConfig(queues=4, queue_size=16))
    workload = {"kind": "randrw", "requests": 300, "queue_depth": 20, "block_size": 512}
    assert run(port, workload=workload)["errors"] == 0
    workload["queue_depth"] = 21
    with pytest.raises(WorkloadError, match=r"queue depth is 21; 4 queue\(s\) of 16 entries hold at most 20"):
        run(machine(DeviceConfig(queues=4, queue_size=16)), workload=workload)


def test_a_disk_with_fewer_blocks_than_the_queue_is_deep() -> None:
    port = machine(sectors=8)
    result = run(port, workload={"kind": "randrw", "requests": 200, "block_size": 512, "queue_depth": 32})
    assert result["errors"] == 0


def test_read_all_and_write_all_are_copies(tmp_path: Path) -> None:
    port = machine(sectors=SECTORS + 3)
    before = port.disk.array.tobytes()
    content = np.random.default_rng(6).integers(0, 256, 100 * 512, np.uint8).tobytes()
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(content)
    result = run(
        port, write_all=str(source), read_all=str(target), transfer={"block_size": 8192, "queue_depth": 3}
    )
    assert [phase["name"] for phase in result["phases"]] == ["write all", "read all"]
    assert result["bytes"] == len(before) + len(content)
    assert target.read_bytes() == content + before[len(content) :]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(bytes((SECTORS + 1) * 512))
    with pytest.raises(WorkloadError, match="262656 bytes do not fit on the disk, which has 262144"):
        run(machine(), write_all=str(source))
    source.write_bytes(bytes(700))
    with pytest.raises(WorkloadError, match="700 bytes; it must be a multiple of 512"):
        run(machine(), write_all=str(source))
    with pytest.raises(WorkloadError, match="No such file"):
        run(machine(), write_all=str(tmp_path / "missing"))
    with pytest.raises(WorkloadError, match="the disk has 512 sectors only"):
        run(machine(), workload={"kind": "randread", "block_size": 1 << 20})
    big_blocks = DeviceConfig(settings=BlkSettings(block_size=4096))
    with pytest.raises(WorkloadError, match="multiple of the disk's, 4096"):
        run(machine(big_blocks), workload={"kind": "randread", "block_size": 512})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "scan"}, "workload is 'scan'"),
        ({"kind": "randread", "block_size": 1000}, "block size is 1000"),
        ({"kind": "randread", "queue_depth": 0}, "queue depth is 0"),
        ({"kind": "randread", "requests": 0}, "requests is 0"),
    ],
)
def test_bad_parameters_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        Workload(**arguments)


# --- bad devices -------------------------------------------------------------------------------------------


def wrong_read(model: BlkModel) -> None:
    """One bit of what is read is wrong, once in a while."""
    answer = model._answer

    def broken(kind: int, sector: int, data: Any, room: int) -> Any:
        data, status = answer(kind, sector, data, room)
        if len(data) and model.random.random() < 0.2:
            data = data.copy()
            data[777] ^= 0x10
        return data, status

    model._answer = broken


def lost_write(model: BlkModel) -> None:
    """One write in ten is acknowledged and not done."""
    answer = model._answer

    def broken(kind: int, sector: int, data: Any, room: int) -> Any:
        kept = model.disk.array.copy()
        result = answer(kind, sector, data, room)
        if kind == 1 and model.random.random() < 0.1:
            model.disk.array[:] = kept
        return result

    model._answer = broken


def stray_write(model: BlkModel) -> None:
    """Each write also changes a byte of a sector at the end of the disk, where the workload never goes."""
    answer = model._answer
    wrong = model.disk.array[-1] ^ 0xFF

    def broken(kind: int, sector: int, data: Any, room: int) -> Any:
        if kind == 1:
            model.disk.array[-1] = wrong
        return answer(kind, sector, data, room)

    model._answer = broken


def overrun(model: BlkModel) -> None:
    """A read writes a byte after the buffer."""
    take = model.take

    def broken(queue: int, request: Any) -> None:
        writable = request.chain.writable
        if len(writable) == 2:
            model.server.memory.array[sum(writable[0])] ^= 1
        take(queue, request)

    model.take = broken


def forgotten_data(model: BlkModel) -> None:
    """Every other read says OK and leaves the buffer as it was."""
    answer = model._answer
    turn = iter(range(1000))

    def broken(kind: int, sector: int, data: Any, room: int) -> Any:
        got, status = answer(kind, sector, data, room)
        return (got[:0], status) if kind == 0 and next(turn) % 2 else (got, status)

    model._answer = broken
    model.server.mangle = lambda head, written: (head, written or 513)


def test_reads_that_leave_the_right_data_of_before_are_found_out() -> None:
    port = machine(sectors=1)
    forgotten_data(port.model)
    result = run(port, workload={"kind": "seqread", "requests": 10, "block_size": 512, "queue_depth": 1})
    assert result["errors"] == 5


@pytest.mark.parametrize(
    ("breaks", "kind", "message"),
    [
        (wrong_read, "randread", "sector .* byte 265 is"),
        (wrong_read, "randrw", "sector .* byte 265 is"),
        (lost_write, "randwrite", "on the disk, sector"),
        (stray_write, "seqwrite", "on the disk, sector 511 byte 511"),
        (overrun, "seqread", "past the end of the buffer"),
    ],
)
def test_a_bad_device_is_found_out(breaks: Any, kind: str, message: str) -> None:
    port = machine()
    breaks(port.model)
    requests = 50 if kind == "seqwrite" else 200
    workload = {"kind": kind, "requests": requests, "block_size": 2048, "queue_depth": 8}
    result = run(port, workload=workload)
    assert result["errors"] > 0
    assert any(re.search(message, text) for text in result["messages"]), result["messages"]


def test_read_all_and_write_all_find_a_bad_device(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(bytes(range(256)) * 1024)
    port = machine()
    wrong_read(port.model)
    result = run(port, read_all=str(tmp_path / "out"), transfer={"block_size": 4096, "queue_depth": 4})
    assert result["errors"] > 0
    port = machine()
    lost_write(port.model)
    result = run(port, write_all=str(source), transfer={"block_size": 4096, "queue_depth": 4})
    assert result["errors"] == 1
    assert result["messages"][0].startswith("on the disk, sector ")


def test_failed_requests_are_counted() -> None:
    port = machine()
    answer = port.model._answer
    port.model._answer = lambda kind, sector, *rest: answer(
        kind, sector + (SECTORS if sector == 8 else 0), *rest
    )
    result = run(port, workload={"kind": "seqread", "requests": 64, "block_size": 4096})
    assert (result["errors"], result["requests"], result["bytes"]) == (1, 64, 63 * 4096)
    assert result["messages"] == ["IN at sector 8: IOERR"]


def test_a_device_that_stops_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_pump, "TIMEOUT_CYCLES", 5000)
    port = machine()
    doorbell, calls = port.rings.doorbell, iter(range(10))
    port.rings.doorbell = lambda index: doorbell(index) if next(calls, None) is not None else None
    with pytest.raises(RequestTimeout, match="requests ended in 5000 cycles"):
        run(port, workload={"kind": "randread", "requests": 1000, "queue_depth": 1})


def test_no_device_and_no_driver() -> None:
    port = machine()
    port.bdf = 0x4200
    with pytest.raises(BindError, match="no PCI function answers"):
        run(port)
    other = DeviceConfig(identity=Identity(vendor=0x1234))
    port = machine(other)
    with pytest.raises(BindError, match="no driver for 1234:0002"):
        port.run(Job(BlockTask()).run(port, DeviceConfig()))
    assert run(machine(other))["requests"] == 0


def test_waves_of_one_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = machine()
    switched: list[bool] = []
    monkeypatch.setattr(port, "trace", switched.append)
    copy = str(tmp_path / "copy.img")
    run(port, workload={"kind": "randread", "requests": 3}, read_all=copy, waves_during="workload")
    assert switched == [True, False]
    run(machine(), workload={"kind": "randread", "requests": 3})
    with pytest.raises(WorkloadError, match="waves_during is 'sometimes'; it must be one of write-all"):
        BlockTask(waves_during="sometimes")
