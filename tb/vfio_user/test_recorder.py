"""Waves of a part of a run, and files of waves put together."""

import functools
import itertools
from pathlib import Path

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.outputs import OutputError
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.served import ServedEngine
from ringwalker_sim.testing.traffic import DiskCopier
from ringwalker_sim.vfio_user.recorder import WaveRecorder, Waves
from ringwalker_sim.waves.fst import FstError, read_fst_end, read_fst_signals
from ringwalker_sim.waves.fst_join import join_fst

PERIOD_PS = 4000
LAST = 1000


@functools.cache
def copier_verilog():
    return to_verilog(DiskCopier(64), TOP)


def blocks(path: Path) -> list[tuple[int, int, int]]:
    """Type, first and last cycle of the header and of each block of values."""
    raw, at, result = path.read_bytes(), 0, []
    while at < len(raw):
        times = [int.from_bytes(raw[at + n : at + n + 8], "big") // PERIOD_PS for n in (9, 17)]
        if raw[at] in (0, 5, 8):
            result.append((raw[at], *times))
        at += 1 + int.from_bytes(raw[at + 1 : at + 9], "big")
    return result


def record(waves: Waves, cycles: int, trouble_at: int | None = None) -> tuple[Path | None, int]:
    """Run for ``cycles`` in small steps; what :meth:`WaveRecorder.finish` gives, and the last cycle."""
    config = DeviceConfig(data_width=64, settings=BlkSettings(capacity=40))
    with ServedEngine(config, component=copier_verilog(), waves=waves.opening) as engine:
        recorder = WaveRecorder(waves, engine)
        while engine.now < cycles:
            engine.run(20)
            recorder.tick()
            if trouble_at is not None and engine.now >= trouble_at:
                recorder.trouble("a test")
                trouble_at = None
        end = engine.now
    return recorder.finish(), end


def test_all_of_a_run(tmp_path: Path) -> None:
    path, end = record(Waves(tmp_path / "run.fst"), 3000)
    assert path == tmp_path / "run.fst"
    assert blocks(tmp_path / "run.fst")[0] == (0, 0, end)


def test_from_a_cycle_on(tmp_path: Path) -> None:
    path, end = record(Waves(tmp_path / "run.fst", first=2000), 3000)
    assert path is not None
    kind, first, last = blocks(path)[0]
    assert kind == 0
    assert 2000 <= first <= 2030
    assert last == end


def test_the_last_cycles_of_a_long_run_in_one_file(tmp_path: Path) -> None:
    path, end = record(Waves(tmp_path / "run.fst", last=LAST), 20_000)
    assert path is not None
    assert [item.name for item in tmp_path.iterdir()] == ["run.fst"]
    header, *values = blocks(path)
    assert header == (0, values[0][1], end)
    assert LAST <= end - header[1] <= LAST * 5 // 4 + 100
    # Nothing is missing between the parts, and none comes twice.
    for before, after in itertools.pairwise(values):
        assert 0 <= after[1] - before[2] <= 1
    assert read_fst_end(path) // PERIOD_PS == end
    assert any(signal.name == "clk" for signal in read_fst_signals(path))


@pytest.mark.parametrize("last", [None, LAST])
def test_a_disk_that_fills_is_said_of_the_waves(small_file_system: Path, last: int | None) -> None:
    path = small_file_system / "run.fst"
    (small_file_system / "ballast").write_bytes(bytes(1 << 20))
    with pytest.raises(OutputError) as error:
        record(Waves(path, last=last), 20_000)
    assert str(error.value) == f"{path}: cannot be written: No space left on device"
    assert [item.name for item in small_file_system.iterdir()] == ["ballast"]


def test_less_than_the_last_cycles_is_all_of_it(tmp_path: Path) -> None:
    path, end = record(Waves(tmp_path / "run.fst", last=50_000), 500)
    assert path is not None
    assert blocks(path)[0] == (0, 0, end)


def test_waves_of_an_error_end_soon_after_it(tmp_path: Path) -> None:
    path, _end = record(Waves(tmp_path / "run.fst", last=LAST, on_error=True), 20_000, trouble_at=9000)
    assert path is not None
    _kind, first, last = blocks(path)[0]
    assert 9000 + 2000 <= last <= 9000 + 2100
    assert last - first >= LAST
    assert [item.name for item in tmp_path.iterdir()] == ["run.fst"]


@pytest.mark.parametrize("last", [None, LAST])
def test_without_an_error_nothing_stays(tmp_path: Path, last: int | None) -> None:
    path, _end = record(Waves(tmp_path / "run.fst", last=last, on_error=True), 5000)
    assert path is None
    assert list(tmp_path.iterdir()) == []


def test_windows_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="first is -1"):
        Waves("a.fst", first=-1)
    with pytest.raises(ValueError, match="last is 3"):
        Waves("a.fst", last=3)


def test_only_complete_files_are_put_together(tmp_path: Path) -> None:
    path, _end = record(Waves(tmp_path / "run.fst"), 100)
    assert path is not None
    (tmp_path / "cut.fst").write_bytes(path.read_bytes()[:-1])
    (tmp_path / "empty.fst").write_bytes(b"")
    for name in ("cut", "empty"):
        with pytest.raises(FstError, match=f"{name}.fst"):
            join_fst([path, tmp_path / f"{name}.fst"], tmp_path / "out.fst")
    with pytest.raises(FstError, match="no waves"):
        join_fst([], tmp_path / "out.fst")
    assert not (tmp_path / "out.fst").exists()
