"""The library on the golden model: what is done with a device, how it ends, and what is refused."""

import asyncio
import dataclasses
import doctest
import gc
import importlib
import inspect
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import ringwalker_sim as rw
from ringwalker_sim.cli.main import build_parser
from ringwalker_sim.guest.errors import RequestTimeout
from ringwalker_sim.library.options import Options

MODULES = sorted(path.stem for path in Path(rw.__path__[0], "library").glob("*.py"))
SECTOR = 512


def model(function: str = "blk", **options: Any) -> Any:
    return rw.open(function, engine="model", **options)


# --- examples ----------------------------------------------------------------------------------------------


def test_examples_in_docstrings_and_in_the_page_run() -> None:
    found = 0
    for name in MODULES:
        module = importlib.import_module(f"ringwalker_sim.library.{name}")
        results = doctest.testmod(module)
        assert results.failed == 0, name
        found += results.attempted
    assert found > 10
    page = doctest.testfile(str(Path("docs/library.md").resolve()), module_relative=False)
    assert page.failed == 0
    assert page.attempted > 10


def test_the_import_loads_nothing_of_others() -> None:
    others = {"numpy", "amaranth", "cocotb", "rich", "typing"}
    text = f"import sys, ringwalker_sim as rw; print(*{others} & {{*sys.modules}})"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {text}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
    assert set(rw.__all__) <= set(dir(rw))
    assert all(getattr(rw, name) for name in rw.__all__)


# --- what is done ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ring": "packed", "in_order": True},
        {"face": "transitional", "driver_face": "legacy"},
        {"interface": "2007-05", "transport": "pipe"},
        {"transport": "memory", "interrupt": "intx"},
    ],
    ids=str,
)
def test_a_disk_keeps_what_is_written(options) -> None:
    with model(queues=2, **options) as disk:
        disk.write(5, b"x" * SECTOR * 3)
        assert disk.read(4, 5) == bytes(SECTOR) + b"x" * SECTOR * 3 + bytes(SECTOR)
        disk.flush()
        assert disk.serial() == "ringwalker"
        assert disk.disk is not None
        assert (disk.disk.read(5 * SECTOR, SECTOR) == ord("x")).all()


def test_an_image_is_the_disk(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(64 * SECTOR))
    with model(image=image) as disk:
        assert disk.sectors == 64
        disk.write(1, b"y" * SECTOR)
    assert image.read_bytes()[SECTOR : 2 * SECTOR] == b"y" * SECTOR
    with model(image=image, read_only=True) as disk:
        assert "RO" in disk.features
        assert disk.read(1) == b"y" * SECTOR


def test_a_workload_is_checked_and_its_latencies_are_kept() -> None:
    with model() as disk:
        figures = disk.workload("randrw", requests=40, queue_depth=8)
        assert (figures["requests"], figures["errors"]) == (40, 0)
        assert {name: len(times) for name, times in disk.latencies.items()} == {"randrw": 40}
        assert max(disk.latencies["randrw"]) == figures["latency_cycles"]["max"] * 4
        assert disk.model is not None
        honest = disk.model._execute
        disk.model._execute = lambda readable, room: (honest(readable, room)[0] ^ 1, b"\0")
        with pytest.raises(rw.DataError, match="randread: "):
            disk.workload("randread", requests=4)


def test_guest_memory_is_an_array_in_place() -> None:
    with model() as disk, disk.memory.allocate(SECTOR) as buffer:
        buffer.array[:] = np.arange(SECTOR) % 251
        disk.run(disk.driver.request(1, 9, buffer.sg))
        assert disk.read(9) == disk.memory.array[buffer.address : buffer.address + SECTOR].tobytes()


def test_frames_go_both_ways_and_come_back() -> None:
    frames = [bytes(6 * [0xFF]) + bytes([n]) * 60 for n in range(5)]
    with model("net") as card:
        card.send(*frames)
        assert card.cable.receive() == frames
        assert card.cable.receive() == []
        card.cable.send(*frames)
        assert [card.receive() for _ in frames] == frames
        card.cable.loopback(True)
        card.send(frames[0])
        assert card.receive() == frames[0]
        card.cable.set_link(False)
        card.wait(1000)
        assert not card.link_up
        with pytest.raises(RequestTimeout, match="no frame came in 500 ns"):
            card.receive(timeout_ns=500)


def test_bytes_of_a_console_come_in_order() -> None:
    with model("console", console={"cols": 132}) as console:
        assert console.size == (132, 25)
        console.terminal.type(b"one")
        console.terminal.type(b"two")
        assert (console.read(2), console.read(4)) == (b"on", b"etwo")
        console.terminal.resize(40, 10)
        console.wait(ns=4000)
        assert console.size == (40, 10)


def test_the_pci_function_is_read_and_written() -> None:
    with model(preset="oasis") as device:
        pci = device.pci
        assert (pci.vendor_id, pci.device_id) == (0x1AF4, 0x1042)
        assert pci.read(0, 2) == 0x1AF4
        space = pci.config_space()
        assert space.header["vendor_id"] == 0x1AF4
        assert len(space.capabilities) > 3
        assert "Virtio block device [1af4:1042]" in str(space)
        assert bytes(space)[:2] == b"\xf4\x1a"
        pci.write(0x3C, 0x5A, 1)
        assert pci.read(0x3C, 1) == 0x5A
        assert pci.bar_read(4, 0x12, 2) == 1, "one queue"


def test_time_passes_only_while_something_is_done() -> None:
    with model(clock_mhz=100) as device:
        before = device.cycles
        assert all((repr(device), device._repr_html_(), device.counters, device.memory_map))
        assert device.cycles == before
        device.wait(25)
        assert device.cycles == before + 25
        device.wait(ns=1000)
        assert device.ns == (before + 125) * 10
        with pytest.raises(ValueError, match="cycles or ns="):
            device.wait()


def test_counters_count_what_came_between() -> None:
    with model() as device:
        before = device.counters
        device.pci.read(0)
        device.pci.read(4)
        after = device.counters
        assert (after - before)["config_read"] == 2
        assert (after - before).cycle == after.cycle - before.cycle
        with pytest.raises(ValueError, match="open it with link="):
            after.utilization()


# --- async -------------------------------------------------------------------------------------------------


def test_requests_of_asyncio_are_in_flight_together() -> None:
    async def main() -> tuple[int, int]:
        async with rw.open_async("blk", engine="model") as disk:
            begin = disk.cycles
            await disk.read.aio(0)
            alone = disk.cycles - begin
            sectors = await asyncio.gather(*(disk.read.aio(n) for n in range(8)))
            assert sectors == [bytes(SECTOR)] * 8
            return alone, disk.cycles - begin - alone

    alone, eight = asyncio.run(main())
    assert eight < 4 * alone


def test_other_tasks_go_on_while_the_device_works() -> None:
    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        async with rw.open_async("blk", engine="model") as disk:
            other = asyncio.create_task(tick())
            await disk.read.aio(0, 64)
            other.cancel()
        return ticks

    assert asyncio.run(main()) > 3


def test_a_request_that_asyncio_cancels_is_over_and_the_device_goes_on() -> None:
    async def main() -> bytes:
        async with rw.open_async("net", engine="model") as card:

            async def for_ever() -> None:
                while True:
                    await card.wait.coroutine(10)

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(card.run_aio(for_ever()), 0.01)
            card.cable.send(bytes(60))
            await card.set_promiscuous.aio(True)
            card.cable.send(bytes(6 * [255]) + bytes(60))
            return await card.receive.aio()

    assert asyncio.run(main()).startswith(b"\xff")


def test_an_operation_says_what_it_takes() -> None:
    with model() as disk:
        assert str(inspect.signature(disk.read)) == "(sector: int, count: int = 1, queue: int = 0) -> bytes"
        assert disk.read.__doc__.startswith("Read ``count`` sectors")
        assert ".aio" in repr(disk.read)


def test_coroutines_of_the_guest_run_together() -> None:
    with model() as disk:
        first, second = disk.gather(disk.read.coroutine(0), disk.read.coroutine(1, 2))
        assert (len(first), len(second)) == (SECTOR, 2 * SECTOR)


# --- lifetimes ---------------------------------------------------------------------------------------------


def test_a_forgotten_device_warns() -> None:
    forgotten = [model()]
    with pytest.warns(ResourceWarning, match="Disk blk on engine model.*was not closed"):
        forgotten.clear()


def test_a_closed_device_warns_not_and_says_that_it_is_closed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with model() as device:
            assert not device.closed
        device.close()
        assert device.closed
        with pytest.raises(rw.LibraryError, match="the device is closed; open another one"):
            device.read(0)
        assert "closed" in device._repr_html_()
        del device
        gc.collect()


def test_an_exception_in_the_block_comes_out_and_the_image_is_free(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(8 * SECTOR))
    with pytest.raises(KeyError), model(image=image) as disk:
        raise KeyError(disk.read(0)[0])

    def refuse() -> None:
        raise rw.RingwalkerError("no room")

    def fail() -> None:
        with model(image=image) as disk:
            disk.disk.flush = refuse
            raise KeyError

    with pytest.raises(KeyError) as caught:
        fail()
    assert caught.value.__notes__ == ["and the device could not be closed: no room"]
    with model(image=image):
        with pytest.raises(rw.RingwalkerError, match="another process is using the image"):
            model(image=image)


def test_two_devices_have_nothing_to_do_with_each_other() -> None:
    with model(seed=1) as one, model("rng", seed=3) as two, model(seed=1) as three:
        one.write(0, b"1" * SECTOR)
        assert two.read(4) != bytes(4)
        assert three.read(0) == bytes(SECTOR)
        assert two.cycles != one.cycles


def test_a_device_does_not_wait_for_itself() -> None:
    with model("net") as card:
        seen = []

        def answer(frame: bytes) -> None:
            with pytest.raises(rw.LibraryError, match=r"the device is running: .* device.gather"):
                card.send(frame)
            seen.append(frame)

        card.driver.on_frame = answer
        card.cable.send(bytes(6 * [255]) + bytes(60))
        card.wait(5000)
        assert len(seen) == 1


def test_a_request_that_was_interrupted_leaves_a_device_that_works() -> None:
    with model() as disk:

        async def interrupted() -> None:
            await disk.wait.coroutine(10)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            disk.run(interrupted())
        assert disk.read(0) == bytes(SECTOR)


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda disk: disk.read(-1), "sector is -1; it must be an integer from 0 to"),
        (lambda disk: disk.read(0, 0), "count is 0; it must be an integer from 1 up"),
        (lambda disk: disk.read(0, queue=1), "queue is 1; it must be an integer from 0 to 0"),
        (lambda disk: disk.read(disk.sectors), "IN at sector 32768: IOERR"),
        (lambda disk: disk.write(0, b"abc"), "data has 3 bytes; it must be a multiple of 512"),
        (lambda disk: disk.pci.read(0x1000), "offset is 4096; it must be an integer from 0 to 4092"),
        (lambda disk: disk.pci.read(2), "offset is 0x2; it must be a multiple of 4"),
        (lambda disk: disk.pci.write(0, 1, 3), "size is 3; it must be 1, 2 or 4"),
        (lambda disk: disk.pci.bar_read(3, 0), "BAR 3 is referred to but not implemented"),
        (lambda disk: disk.pci.bar_read(4, disk.pci.bars[4].size), "offset is 16384; it must be an integer"),
        (lambda disk: disk.wait(-5), "cycles is -5; it must be an integer from 0 up"),
        (lambda disk: disk.workload("randread", block_size=700), "block size is 700"),
    ],
)
def test_a_bad_argument_is_named_and_the_device_goes_on(do: Any, message: str) -> None:
    with model(preset="oasis") as disk:
        with pytest.raises((rw.RingwalkerError, ValueError), match=message):
            do(disk)
        assert disk.read(0) == bytes(SECTOR)


def test_when_one_of_several_fails_the_others_are_ended() -> None:
    with model() as disk:
        ended = []

        async def patient() -> None:
            try:
                await disk.wait.coroutine(1 << 40)
            finally:
                ended.append(disk.cycles)

        with pytest.raises(rw.RingwalkerError, match="IOERR"):
            disk.gather(disk.read.coroutine(disk.sectors), patient())
        assert len(ended) == 1
        assert disk.cycles < 1 << 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lnk": "gen3x8"}, "lnk is no option; did you mean link"),
        ({"engine": "cocotb"}, "take engine 'native' or 'model', and 'ringwalker run --engine cocotb'"),
        ({"engine": "nativ"}, "engine is 'nativ'; it must be one of native, model"),
        (
            {"engine": "model", "link": "gen3x8"},
            "link: the model engine has no model of the link; take engine native",
        ),
        (
            {"engine": "model", "waves": "a.fst"},
            "waves: a device in Python has no signals; take engine native",
        ),
        ({"waves": "a.vcd"}, "the name must end with .fst"),
        ({"link": "gen9"}, "link is 'gen9'; it must be one of gen2x4"),
        ({"latency": 3, "latency_ns": 4}, "latency and latency_ns: one of them is enough"),
        ({"latency": 0}, "latency is 0; it must be an integer, 1 to"),
        ({"data_width": 63}, "data_width is 63; it must be 64, 128, 256 or 512"),
        ({"image": "nowhere.img"}, "nowhere.img: No such file"),
        ({"format": "qcow2"}, "format is 'qcow2'; it must be 'raw'"),
        ({"memory_bytes": 5}, "memory_bytes is 5; it must be"),
        ({"interrupt": "msi"}, "the device has no MSI"),
        ({"transport": "usb"}, "transport is 'usb'; it must be one of pci"),
        ({"config": "nowhere.toml"}, "nowhere.toml: No such file"),
        ({"blk": {"capacities": 3}}, "blk.capacities is not a setting; there are block_size, capacity"),
        ({"seed": "x"}, "seed is 'x'; it must be an integer"),
    ],
    ids=str,
)
def test_a_bad_option_is_named_with_what_would_do(options, message: str) -> None:
    with pytest.raises(rw.RingwalkerError) as caught:
        rw.open("blk", **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_that_there_is_not_is_named() -> None:
    with pytest.raises(rw.RingwalkerError, match="gpu"):
        rw.open("gpu", engine="model")


def test_a_transport_without_pci_has_no_pci_function() -> None:
    with (
        model(transport="memory") as device,
        pytest.raises(rw.LibraryError, match="open it with transport='pci'"),
    ):
        _ = device.pci


def test_options_of_run_are_options_of_open() -> None:
    parser: Any = build_parser()
    (commands,) = [item for item in parser._actions if item.choices]
    (functions,) = [item for item in commands.choices["run"]._actions if item.choices]
    group = {"disk", "bytes", "frames", "output", "workload", "options"}
    names = {
        action.dest
        for parser in functions.choices.values()
        for found in parser._action_groups
        if found.title not in group
        for action in found._group_actions
    }
    assert names - {"help", "against"} - set(Options.__annotations__) == set()
    assert {"waves", "image", "read_only", "format"} <= set(Options.__annotations__)


def test_keys_of_a_configuration_are_options_of_open() -> None:
    keys = {item.name for item in dataclasses.fields(rw.DeviceConfig)} - {"function"}
    assert keys - set(Options.__annotations__) == set()


# --- notebooks ---------------------------------------------------------------------------------------------


def test_objects_show_tables_and_pictures() -> None:
    with model() as disk:
        disk.workload("randread", requests=30)
        html = {
            "device": disk._repr_html_(),
            "counters": disk.counters._repr_html_(),
            "space": disk.pci.config_space()._repr_html_(),
            "pci": disk.pci._repr_html_(),
            "map": disk.memory_map._repr_html_(),
            "latencies": disk.latencies._repr_html_(),
        }
    assert "<td" in html["device"]
    assert "VERSION_1" in html["device"]
    assert "memory_write" in html["counters"]
    assert "MSI-X" in html["space"]
    assert "guest RAM" in html["map"]
    assert html["latencies"].count("<rect") == 30
    for text in html.values():
        tree = ElementTree.fromstring(text)
        assert tree.tag == "div"
        assert "None" not in text
    (picture,) = ElementTree.fromstring(html["latencies"]).iter("{http://www.w3.org/2000/svg}svg")
    assert (
        sum(int(str(title.text).split(": ")[1]) for title in picture.iter() if title.tag.endswith("title"))
        == 30
    )
