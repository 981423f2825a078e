"""Building the native engine: once, safely at the same time, with clear errors; and under sanitizers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native import translate
from ringwalker_sim.engine.native.build import TOP, build_library, model_units
from ringwalker_sim.engine.native.compiling import compiler, grouped
from ringwalker_sim.engine.native.device_objects import DeviceObjects
from ringwalker_sim.engine.native.ports_header import peripherals_header, ports_header, registered_inputs
from ringwalker_sim.testing.offender import Offender
from ringwalker_sim.testing.traffic import DiskCopier
from ringwalker_sim.toolchain import ToolError

TRAFFIC = """
import sys
from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker_sim.testing.mac_echo import MacEcho
from ringwalker_sim.testing.traffic import CopyRegisters, DiskCopier, MemoryCopier
from ringwalker_sim.testing.uart_echo import UartEcho
from ringwalker_sim.host import Fault, HostParameters, Split
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.engine.native.engine import NativeEngine

at = {name: field.offset // 8 for name, field in CopyRegisters}
config = DeviceConfig(data_width=64, settings=BlkSettings(capacity=16))
host = HostParameters(latency=10, latency_jitter=300, split=Split.RANDOM, stalls=0.3)

def start(engine, source, destination, chunks):
    engine.config_write(0x10, 4, 0)
    for name, size, value in (("source", 8, source), ("destination", 8, destination),
                              ("message_address", 8, 0xFEE00000), ("chunks", 4, chunks), ("control", 4, 1)):
        engine.memory_write(at[name], value, size)

def settle(engine):
    end = engine.now + 30_000
    while engine.now < end:
        engine.run(end - engine.now)

if "--copier" in sys.argv:
    memory = GuestMemory(1 << 20)
    with NativeEngine(config, memory, component=MemoryCopier(64, 128), host=host, sanitize=True) as e:
        e.memory.array[:1 << 16] = 7
        watch = e.memory.watch(0, 4096)
        # The last chunk ends where memory ends; then beyond it, and with every fault.
        for source, destination, chunks in ((0, (1 << 20) - (1 << 16), 512), ((1 << 20) - 256, 1 << 16, 4),
                                            (0, (1 << 20) - 256, 4)):
            start(e, source, destination, chunks)
            settle(e)
        for fault in Fault:
            e.inject(fault, nth=3, delay=500)
            start(e, 0, 1 << 17, 16)
            settle(e)
            e.reset()
        assert e.memory.array[(1 << 20) - (1 << 16):].all() and watch.hits and e.faults
        e.memory_write_bytes(1, bytes(200))
        assert [e.memory_read(n, 4) for n in range(5)]
        start(e, 0, 1 << 17, 64)
        e.run(20)
elif "--mac" in sys.argv:
    with NativeEngine(config, GuestMemory(1 << 12), component=MacEcho(64), host=host, sanitize=True) as e:
        for length in range(1, 200):
            e.ports.mac.send(bytes(length), at=20 * length, error=length % 7 == 0)
        while e.now < 20_000:
            e.run(1000)
        e.reset()
        assert len(e.ports.mac.receive()) == 199 - 28
        e.ports.mac.send(bytes(9000))
        e.run(100)
elif "--pump" in sys.argv:
    from ringwalker_sim.engine.native.port import NativePort
    from ringwalker_sim.testing.devices import SMALL_BLK
    from ringwalker_sim.workload.block_task import BlockTask, Workload
    from ringwalker_sim.workload.job import Job
    for features in ((), ("INDIRECT_DESC", "EVENT_IDX")):
        job = Job(BlockTask(Workload("randrw", 2048, 30, 200), ring_features=features))
        with NativeEngine(SMALL_BLK, GuestMemory(16 << 20), host=host, sanitize=True) as e:
            port = NativePort(e)
            result = port.run(job.run(port, SMALL_BLK))
            assert (result["requests"], result["errors"]) == (200, 0)
elif "--peer" in sys.argv:
    import tempfile
    import threading
    from ringwalker_sim.engine.native.served import ServedEngine
    from ringwalker_sim.testing.devices import SMALL_BLK
    from ringwalker_sim.vfio_user.bridge import EngineBridge
    from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
    from ringwalker_sim.vfio_user.server import Server
    from ringwalker_sim.workload.block_task import BlockTask, Workload
    from ringwalker_sim.workload.job import Job
    with tempfile.TemporaryDirectory() as folder, ServedEngine(SMALL_BLK, sanitize=True, plain=True) as e:
        server = Server(folder + "/s", EngineBridge(e))
        thread = threading.Thread(target=server.serve, args=(True,))
        thread.start()
        with VfioPort(server.path, SharedMemory(4 << 20)) as port:
            port.disk = e.disk
            result = port.run(Job(BlockTask(Workload("randrw", 2048, 8, 100))).run(port, SMALL_BLK))
            assert (result["requests"], result["errors"]) == (100, 0)
            for count in range(1, 9):
                port.client.read(4, 0, count)
        thread.join()
        server.close()
elif "--uart" in sys.argv:
    with NativeEngine(config, GuestMemory(1 << 12), component=UartEcho(64), host=host, sanitize=True) as e:
        e.ports.uart.send(bytes(5000))
        while e.now < 20_000:
            e.run(1000)
        e.ports.uart.set_terminal(132, 50)
        assert e.ports.uart.receive() == bytes(5000) and e.ports.uart.receive() == b""
        e.ports.uart.send(bytes(300))
        e.run(100)
        e.reset()
        e.run(100)
else:
    with NativeEngine(config, GuestMemory(1 << 16), component=DiskCopier(64), host=host, sanitize=True) as e:
        for sectors in (16, 32):
            e.ports.storage.set_capacity(sectors)
            e.memory_write(at["control"], 1, 4)
            settle(e)
        assert e.stats()["storage_writes"] == 8 + 16
"""


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=900)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["--copier", "--disk", "--mac", "--peer", "--pump", "--uart"])
def test_no_sanitizer_complains(device):
    runtime = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    done = run_python(TRAFFIC, device, LD_PRELOAD=runtime, ASAN_OPTIONS="detect_leaks=0")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr


@pytest.mark.slow
def test_two_builds_at_once_share_one(tmp_path):
    script = (
        "from ringwalker_sim.engine.native.build import *; from ringwalker.verilog import to_verilog;"
        "from ringwalker_sim.testing.offender import Offender;"
        "print(build_library(*to_verilog(Offender(64), TOP), progress=print))"
    )
    environment = {**os.environ, "RINGWALKER_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=900)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert printed[0][-1] == printed[1][-1]
    assert Path(printed[0][-1]).exists()
    built = ["translating the Verilog" in lines for lines in printed]
    assert sorted(built) == [False, True], "one of them builds, the other waits"


def test_a_missing_compiler_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    compiler.cache_clear()
    with pytest.raises(ToolError, match=r"no-such-compiler.*apt-get install g\+\+"):
        build_library(*to_verilog(Offender(64), TOP))
    monkeypatch.undo()
    compiler.cache_clear()


def test_verilog_that_does_not_translate_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    _text, ports = to_verilog(Offender(64), TOP)
    with pytest.raises(ToolError, match=r"Verilator failed, see .*failed.log"):
        build_library("module ringwalker(; endmodule", ports)


def test_header_says_what_the_model_has():
    _text, ports = to_verilog(Offender(128), TOP)
    header = ports_header(ports, edge=True)
    assert "return m.intx != 0;" in header
    assert "static bool get(const Vringwalker&) { return false; }" in header, "idle"
    assert "beat_dwords = 4;" in header
    assert "std::tuple<>;" in peripherals_header(ports)
    assert "std::tuple<Storage>;" in peripherals_header(to_verilog(DiskCopier(64), TOP)[1])
    for missing in ("requester_request", "completer_completion"):
        with pytest.raises(ValueError, match=rf"no stream {missing}; it is not a PCIe device"):
            ports_header([port for port in ports if not port.name.startswith(missing)], edge=True)


def test_inputs_that_belong_to_streams_have_registers():
    text, ports = to_verilog(DiskCopier(64), TOP)
    registered = translate._register_inputs(text, registered_inputs(ports))
    before, after = (one[one.index(f"module {TOP}(") :] for one in (text, registered))
    top = after[: after.index("endmodule")]
    for port in ports:
        plain = port.direction == "output" or port.name in ("clk", "capacity")
        assert (f"  always @(posedge clk) {port.name} <= {port.name}_next;" in top) != plain, port.name
        assert (f"{port.name}_next" in top) != plain, port.name
    rest = before[before.index("endmodule") :]
    assert after[len(top) :] == rest, "other modules stay as they are"


_TRIGGERS = """\
void Vringwalker___024root___eval_triggers_vec__act(Vringwalker___024root* vlSelf) {
    // Body
    vlSelfRef.__VactTriggered[0U] = (QData)((IData)(
        ((IData)(vlSelfRef.clk)
        & (~ (IData)(vlSelfRef.__Vtrigprevexpr___TOP__clk__0)))));
    vlSelfRef.__Vtrigprevexpr___TOP__clk__0 = vlSelfRef.clk;
}
"""
_ON_TRIGGER = """\
void Vringwalker___024root___eval_nba(Vringwalker___024root* vlSelf) {
}
"""


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (_TRIGGERS + _ON_TRIGGER, True),
        (_TRIGGERS, False),
        (_ON_TRIGGER, False),
        (_TRIGGERS.replace("& (~", "| (~") + _ON_TRIGGER, False),
        (
            _TRIGGERS.replace("clk;\n}", "clk;\n    vlSelfRef.__Vother = vlSelfRef.rst;\n}") + _ON_TRIGGER,
            False,
        ),
    ],
)
def test_the_clock_is_left_to_verilator_unless_it_is_the_only_trigger(tmp_path, text, known):
    source = tmp_path / "model.cpp"
    source.write_text(text)
    assert translate._offer_edge(tmp_path) == known
    assert ("void rising_edge(" in source.read_text()) == known
    assert source.read_text().startswith(text)


def test_verilators_code_is_understood(tmp_path):
    """What Verilator writes today has the places that the builder looks for."""
    translate.translate(tmp_path, *to_verilog(DiskCopier(64), TOP), waves=False)
    assert "#define RW_EDGE 1" in (tmp_path / "ports.h").read_text()
    sources = [path.read_text() for path in (tmp_path / "model").glob("*.cpp")]
    assert sum("__VicoFirstIteration = rw::inputs_changed;" in text for text in sources) == 1


def test_what_depends_on_ports_alone_is_compiled_before_there_is_a_model(tmp_path):
    verilog, ports = to_verilog(DiskCopier(64), TOP)
    objects = DeviceObjects(ports, waves=False, changes=False, sanitize=False)
    translate.translate(tmp_path, verilog, ports, waves=False)
    kept = objects.kept()
    assert objects.of(tmp_path) == {"device": str(kept / "device.o")}
    ports_file = tmp_path / "ports.h"
    ports_file.write_text(ports_file.read_text().replace("RW_EDGE 1", "RW_EDGE 0"))
    assert objects.of(tmp_path) == {"device": str(tmp_path / "device.o")}, "of this model alone"


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([100_000, 200_000], 1),
        ([900_000, 850_000, 800_000, 100_000], 2),
        ([900_000] * 13, 4),
    ],
)
def test_files_of_a_model_are_compiled_in_as_few_groups_as_keep_all_cores_busy(
    monkeypatch, tmp_path, sizes, groups
):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    paths = [tmp_path / f"{number}.cpp" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.touch()
        os.truncate(path, size)
    found = grouped(paths)
    assert len(found) == groups
    assert sorted(name for names in found for name in names) == sorted(
        f"{tmp_path.name}/{p.name}" for p in paths
    )
    together = [sum((tmp_path.parent / name).stat().st_size for name in group) for group in found]
    assert max(together) - min(together) <= max(sizes)


def test_a_model_that_is_built_quickly_leaves_other_cores_to_others(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for name in ("a.cpp", "b.cpp"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 900_000)
    assert [unit.name for unit in model_units(tmp_path, "-O1")] == ["fast0", "slow"]
    assert [unit.name for unit in model_units(tmp_path, "-O2")] == ["fast0", "fast1", "slow"]
