"""The native engine's storage, its waves, and its port for driver coroutines."""

import contextlib
import functools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.outputs import OutputError
from ringwalker.verilog import to_verilog
from ringwalker_sim.disk_image import DiskFailure, DiskImage
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.build import TOP, build_library
from ringwalker_sim.engine.native.engine import NativeEngine
from ringwalker_sim.engine.native.port import NativePort
from ringwalker_sim.guest.loop import StuckError
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.traffic import DEVICE_ID, VENDOR_ID, CopyRegisters, DiskCopier

OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}
SECTORS = 40


@functools.cache
def copier_verilog():
    return to_verilog(DiskCopier(64), TOP)


def open_copier(*, disk=None, waves=None, capacity=SECTORS, **host) -> NativeEngine:
    config = DeviceConfig(data_width=64, settings=BlkSettings(capacity=capacity))
    memory, parameters = GuestMemory(1 << 16), HostParameters(**host)
    return NativeEngine(config, memory, component=copier_verilog(), disk=disk, waves=waves, host=parameters)


def copy_disk(engine: NativeEngine) -> int:
    """Let the device copy the disk's first half; the number of errors that it saw."""
    engine.memory_write(OFFSETS["control"], 1, 4)
    events = engine.run(1_000_000)
    if events and not events[0].b:
        events = engine.run(1_000_000)
    assert [(event.kind, event.b) for event in events] == [(EventKind.INTX, 1)]
    engine.run(200)
    return engine.memory_read(OFFSETS["errors"], 4)


def fill(disk: DiskImage) -> np.ndarray:
    content = np.random.default_rng(3).integers(0, 256, disk.size // 2, dtype=np.uint8)
    disk.write(0, content)
    disk.write(len(content), np.zeros(len(content), np.uint8))
    return content


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_storage_reads_and_writes_the_image(tmp_path, stalls):
    path = tmp_path / "disk"
    path.write_bytes(bytes(SECTORS * 512))
    with DiskImage(path) as disk, open_copier(disk=disk, stalls=stalls, storage_latency=17) as engine:
        content = fill(disk)
        assert copy_disk(engine) == 0
        assert (disk.read(len(content)) == content).all()
        assert (disk.read(0, len(content)) == content).all()
        stats = engine.stats()
        assert (stats["storage_reads"], stats["storage_writes"], stats["storage_flushes"]) == (20, 20, 1)
    assert path.read_bytes() == content.tobytes() * 2


def test_a_read_only_disk_refuses_writes(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(bytes(range(256)) * 2 * SECTORS)
    with DiskImage(path, read_only=True) as disk, open_copier(disk=disk) as engine:
        assert copy_disk(engine) == SECTORS // 2
    assert path.read_bytes() == bytes(range(256)) * 2 * SECTORS


def test_storage_errors_can_be_injected_and_capacity_checked():
    with open_copier() as engine:
        assert engine.disk
        content = fill(engine.disk)
        engine.ports.storage.inject_error(2)
        engine.ports.storage.inject_error(5)
        assert copy_disk(engine) == 2
        second = engine.disk.array[len(content) :].reshape(-1, 512)
        same = (second == content.reshape(-1, 512)).all(axis=1)
        # The third data command is the read of sector 1, the sixth the write of sector 2.
        assert [n for n in range(len(same)) if not same[n]] == [1, 2]
        assert not second[1].any(), "a failed read delivers zeros"
        engine.ports.storage.set_capacity(SECTORS * 2)
        assert copy_disk(engine) == SECTORS, "all writes and no reads are outside"


def fill_up(folder: Path, room: int) -> None:
    """Leave ``room`` bytes on the file system of ``folder``."""
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(folder / "filler", (folder / "filler").stat().st_size - room)


def test_a_full_file_system_fails_the_writes_that_find_no_room(small_file_system, caplog):
    path = small_file_system / "disk"
    content = np.random.default_rng(3).integers(0, 256, SECTORS // 2 * 512, dtype=np.uint8)
    path.write_bytes(content.tobytes())
    os.truncate(path, SECTORS * 512)
    fill_up(small_file_system, 4096)
    with DiskImage(path) as disk, open_copier(disk=disk) as engine:
        # Sectors 20 to 23 share a page with the first half, and one page is free.
        assert copy_disk(engine) == 8
        assert (disk.read(len(content), 12 * 512) == content[: 12 * 512]).all()
        assert not disk.read(32 * 512).any()
        (small_file_system / "filler").unlink()
        assert copy_disk(engine) == 0, "the device lives"
        assert (disk.read(len(content)) == content).all()
    assert [record.message for record in caplog.records] == [
        f"{path}: writing at byte {32 * 512}: No space left on device"
    ]


def test_an_image_that_is_cut_fails_where_it_is_gone(tmp_path, caplog):
    path = tmp_path / "disk"
    path.write_bytes(bytes(SECTORS * 512))
    with DiskImage(path) as disk, open_copier(disk=disk) as engine:
        content = fill(disk)
        os.truncate(path, 30 * 512)
        assert copy_disk(engine) == 10
        assert (disk.read(len(content), 10 * 512) == content[: 10 * 512]).all()
        assert path.stat().st_size == 30 * 512
        os.truncate(path, 0)
        assert copy_disk(engine) == SECTORS
        os.truncate(path, SECTORS * 512)
        assert copy_disk(engine) == 0
    lines = [record.message.removeprefix(f"{path}: ") for record in caplog.records]
    reason = f"the file is shorter than it was ({SECTORS * 512} bytes)"
    assert lines == [f"writing at byte {30 * 512}: {reason}", f"reading at byte 0: {reason}"]


def test_a_flush_that_fails_is_an_error_from_then_on(small_file_system, make_loop_device, caplog):
    """A block device takes what is written into its cache; the room for it is missed later."""
    behind = small_file_system / "behind"
    behind.touch()
    os.truncate(behind, SECTORS * 512)
    fill_up(small_file_system, 0)
    device = make_loop_device(behind)
    with open_copier(disk=(disk := DiskImage(device))) as engine:
        assert [copy_disk(engine) for _ in range(2)] == [1, 1]
    with pytest.raises(DiskFailure, match="flushing"):
        disk.close()
    assert [record.message for record in caplog.records] == [
        f"{device}: flushing at byte 0: Input/output error"
    ]


def header_times(path) -> tuple[int, int]:
    """Start and end time in an FST file's header block, which is completed when the file is closed."""
    raw = path.read_bytes()[:25]
    kind, length, start, end = struct.unpack(">BQQQ", raw)
    assert (kind, length) == (0, 329), "the file starts with a header block"
    return start, end


def test_waves_cover_the_run_and_are_complete_after_an_error(tmp_path):
    path = tmp_path / "run.fst"

    def fail():
        with open_copier(waves=path) as engine:
            assert engine.disk
            fill(engine.disk)
            for _ in range(10):
                copy_disk(engine)
            raise KeyError(engine.now)

    with pytest.raises(KeyError) as failure:
        fail()
    end = failure.value.args[0] * 4000
    start, stop = header_times(path)
    assert start == 0
    assert end - 4000 <= stop <= end + 4000
    full = path.stat().st_size
    short = tmp_path / "short.fst"
    with open_copier(waves=short) as engine:
        assert engine.disk
        fill(engine.disk)
        engine.trace(False)
        for _ in range(10):
            copy_disk(engine)
        engine.trace(True)
        engine.run(10)
    assert short.stat().st_size < full / 2
    with pytest.raises(OutputError, match="cannot be written"):
        open_copier(waves=tmp_path / "absent" / "x.fst")


def test_coroutines_run_over_the_port():
    with open_copier(latency=10) as engine:
        port = NativePort(engine)
        assert engine.disk
        content = fill(engine.disk)
        raised = []

        async def wait_for_copy():
            event = port.event()

            def on_interrupt():
                raised.append(port.now())
                event.set()

            port.intx_handler(on_interrupt)
            await port.memory_write(OFFSETS["control"], 4, 1)
            assert not await event.wait(timeout_cycles=10)
            assert await event.wait()
            return port.now()

        async def main():
            assert await port.config_read(0x0100, 0, 4) == VENDOR_ID | DEVICE_ID << 16
            assert await port.config_read(0x0000, 0, 2) == 0xFFFF
            await port.config_write(0x0100, 0x10, 4, 0)
            task = port.start(wait_for_copy())
            reads = [port.start(port.memory_read(OFFSETS["control"], 4)) for _ in range(100)]
            await port.sleep(50)
            before = port.now()
            when = await task.join()
            assert before >= 50
            assert raised
            assert raised[0] <= when
            assert {await read.join() for read in reads} <= {0, 1}
            assert await port.io_read(0, 2) == 0xFFFF
            await port.io_write(0, 2, 1)
            await port.sleep(100)
            return await port.memory_read(OFFSETS["errors"], 4)

        assert port.run(main()) == 0
        assert (engine.disk.array[len(content) :] == content).all()
        assert port.tlps()["down_memory_read"] == 101


def test_a_port_that_waits_for_nothing_says_so():
    with open_copier() as engine:
        port = NativePort(engine, hang_cycles=5000)

        async def main():
            await port.event().wait()

        with pytest.raises(StuckError, match="5000 cycles"):
            port.run(main())


def test_a_model_for_waves_goes_the_same_way(tmp_path):
    """Its clock rises and falls; in the other one there are only edges."""
    seen = []
    for waves in (None, tmp_path / "run.fst"):
        with open_copier(waves=waves, stalls=0.2, storage_latency=9, skip_idle=False) as engine:
            assert engine.disk
            fill(engine.disk)
            engine.ports.storage.inject_error(4)
            errors = [copy_disk(engine)]
            engine.ports.storage.set_capacity(SECTORS * 2)
            errors.append(copy_disk(engine))
            engine.reset()
            errors.append(copy_disk(engine))
            seen.append((errors, engine.now, engine.stats(), engine.disk.array.tobytes()))
    assert seen[0] == seen[1]
    assert seen[0][0][1:] == [SECTORS, SECTORS]


def test_only_a_model_for_waves_has_code_for_them():
    plain, traced = (build_library(*copier_verilog(), waves=waves).read_bytes() for waves in (False, True))
    assert b"VerilatedFst" in traced
    assert b"VerilatedFst" not in plain
    assert b"trace_chg" not in plain
