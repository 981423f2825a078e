"""A job is one value in every process, and says what is wrong with it."""

import json
import re
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.disk_image import DiskError
from ringwalker_sim.errors import ParameterError
from ringwalker_sim.golden.model_port import ModelPort
from ringwalker_sim.host import HostParameters
from ringwalker_sim.host.parameters import LatencyShape, Split
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.workload.block_task import BlockTask, Transfer, Workload
from ringwalker_sim.workload.console_task import ConsoleTask
from ringwalker_sim.workload.disk_phases import WorkloadError
from ringwalker_sim.workload.job import CallTask, DescribeTask, Job, Task
from ringwalker_sim.workload.net_task import ExchangeTask, NetTask

HOST = HostParameters(
    latency=7, split=Split.RANDOM, latency_shape=LatencyShape.LONG_TAIL, stalls={"mac_rx": 0.5}
)


def there_and_back(job: Job) -> Job:
    """``job`` through a text."""
    return Job.from_json(json.loads(json.dumps(job.to_json())))


@pytest.mark.parametrize(
    "task",
    [
        BlockTask(),
        BlockTask(
            Workload("randrw", 1024, 4, 10, 3), "in", "out", Transfer(8192, 2), ring_features=("EVENT_IDX",)
        ),
        NetTask((b"", b"\0\xff"), "out.pcap"),
        ExchangeTask((60, 1514), 5),
        ConsoleTask(bytes(range(256))),
        CallTask("module:name", {"chunk": 256, "list": [1, 2]}),
        DescribeTask(),
    ],
    ids=lambda task: type(task).__qualname__,
)
def test_a_task_crosses_into_another_process(task: Task) -> None:
    assert there_and_back(Job(task)).task == task


def test_the_machine_crosses_too() -> None:
    job = Job(
        DescribeTask(), "2007-09", "pipe", "intx", -3, 1 << 20, "disk.img", True, HOST, rings=("RING_PACKED",)
    )
    other = there_and_back(job)
    assert other == job
    assert isinstance(other.host.latency_shape, LatencyShape)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interface": "2005"}, "interface is '2005'; it must be one of modern, 2007-05"),
        ({"transport": "usb"}, "transport is 'usb'; it must be one of pci, memory, pipe"),
        (
            {"rings": ("MAGIC",)},
            "rings has 'MAGIC'; there is INDIRECT_DESC, EVENT_IDX, RING_PACKED, IN_ORDER",
        ),
        ({"interrupt": "line"}, "interrupt is 'line'; it must be one of msix, msi, intx"),
        ({"seed": "x"}, "seed is 'x'; it must be an integer"),
        ({"memory_bytes": 1}, "memory_bytes is 1; it must be an integer from 65536 up"),
        ({"host": {"latency": 1}}, "host is {'latency': 1}; it must be HostParameters"),
        ({"task": "read"}, "task is 'read'; it must be a Task"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        Job(**{"task": DescribeTask(), **fields})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "None has no 'class', so it is no Task"),
        ({"task": {"class": "nowhere:Task"}}, "class is 'nowhere:Task', which cannot be found"),
        ({"task": {"class": "pathlib:Path"}}, "class is 'pathlib:Path'; it must be a Task"),
        (
            {"color": 1, "task": {"class": f"{DescribeTask.__module__}:DescribeTask"}},
            "color is no part of a Job",
        ),
        ({"host": {"color": 1}}, "color is no part of a HostParameters"),
    ],
)
def test_what_is_no_job_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        Job.from_json(content)


def test_parts_of_a_block_task_are_checked() -> None:
    with pytest.raises(WorkloadError, match="workload is 'scan'"):
        BlockTask(Workload("scan"))
    with pytest.raises(WorkloadError, match="ring_features has 'MAGIC'"):
        BlockTask(ring_features=("MAGIC",))


async def add(port: Any, first: int, second: int) -> dict[str, Any]:
    """What the call in the test below calls."""
    return {"sum": first + second, "now": port.now()}


def test_a_coroutine_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "job_test", sys.modules[__name__])
    port = ModelPort(DeviceConfig(), GuestMemory(1 << 20))
    job = Job(CallTask("job_test:add", {"first": 2, "second": 3}))
    assert port.run(job.run(port, DeviceConfig())) == {"sum": 5, "now": 0}


def test_the_disk_is_that_of_the_function(tmp_path) -> None:
    path = tmp_path / "odd.img"
    path.write_bytes(bytes(1536))
    job = Job(DescribeTask(), image=str(path), read_only=True)
    with pytest.raises(ParameterError, match="function net has no disk"):
        job.open_disk(DeviceConfig(function="net"))
    assert Job(DescribeTask()).open_disk(DeviceConfig(function="net")) is None
    config = DeviceConfig.from_dict({"blk": {"block_size": 1024}})
    with pytest.raises(DiskError, match="1536 bytes are not a multiple of the block size, 1024"):
        job.open_disk(config)
    blank = Job(DescribeTask()).open_disk(config)
    assert blank is not None
    assert blank.sectors == config.settings.capacity
