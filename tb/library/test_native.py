"""The library on compiled hardware: the same device, with its link, its counters and its waves."""

import asyncio
from pathlib import Path

import pytest

import ringwalker_sim as rw
from ringwalker.config import DeviceConfig
from ringwalker_sim.testing.devices import SMALL_BLK, SMALL_CONSOLE, SMALL_NET, SMALL_RNG
from ringwalker_sim.waves.fst import read_fst_signals

SECTOR = 512


def test_a_link_bounds_what_moves_and_counters_say_how_much() -> None:
    with rw.open("blk", config=SMALL_BLK, link="gen2x4", latency_ns=550) as disk:
        before = disk.counters
        figures = disk.workload("randread", requests=100, queue_depth=16)
        came = disk.counters - before
        assert figures["errors"] == 0
        assert 0.7 < came.utilization("up") <= 1.0
        assert came["up_payload"] >= 100 * 4096
        assert came.rate("up_bytes") < 2e9
        assert "packets" in came._repr_html_()
        assert "bytes a cycle" in disk._repr_html_()
        assert "messages of MSI" in repr(disk.memory_map)


def test_network_console_and_entropy_work_as_on_the_model() -> None:
    frames = [bytes(6 * [0xFF]) + bytes([n]) * 60 for n in range(40)]
    with rw.open("net", config=SMALL_NET) as card:
        card.send(*frames)
        assert card.cable.receive() == frames
        card.cable.send(*frames)
        assert [card.receive() for _ in frames] == frames
        card.cable.set_link(False)
        card.wait(2000)
        assert not card.link_up
    with rw.open("console", config=SMALL_CONSOLE) as console:
        console.write(b"login: ")
        console.wait(500)
        assert console.terminal.shown() == b"login: "
        console.terminal.type(b"root\n")
        assert console.read(5) == b"root\n"
    with (
        rw.open("rng", config=SMALL_RNG, seed=9) as source,
        rw.open("rng", engine="model", seed=9) as model,
    ):
        assert source.read(100) == model.read(100)


def test_two_devices_of_one_model_run_by_turns_and_together() -> None:
    async def both() -> None:
        async with (
            rw.open_async("blk", config=SMALL_BLK) as one,
            rw.open_async("blk", config=SMALL_BLK) as two,
        ):
            await asyncio.gather(one.write.aio(0, b"1" * SECTOR), two.write.aio(0, b"2" * SECTOR))
            assert one.read(0) == b"1" * SECTOR
            assert await two.read.aio(0) == b"2" * SECTOR

    asyncio.run(both())


@pytest.mark.slow
def test_waves_of_a_device_that_failed_are_whole_and_end_there(tmp_path: Path) -> None:
    path = tmp_path / "run.fst"

    def fail() -> None:
        with rw.open("blk", config=SMALL_BLK, waves=path) as disk:
            disk.read(0)
            disk.waves.off()
            size = path.stat().st_size
            disk.workload("seqread", requests=30)
            assert path.stat().st_size == size
            with disk.waves.only():
                disk.read(1)
            assert not disk.waves.recording
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(read_fst_signals(path)) > 1000
    assert DeviceConfig.from_toml(tmp_path / "run.toml") == SMALL_BLK


def test_without_a_file_there_are_no_waves_to_switch() -> None:
    with (
        rw.open("blk", config=SMALL_BLK) as disk,
        pytest.raises(rw.LibraryError, match="open it with waves="),
    ):
        disk.waves.on()
