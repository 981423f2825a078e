# amaranth: UnusedElaboratable=no
"""The files that a configuration is generated into: linted, compiled, synthesised, every time the same."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from amaranth.hdl import Module, Signal
from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out, connect, flipped

from ringwalker.component import Component
from ringwalker.config import ConfigError, DeviceConfig
from ringwalker.function.blk.function import BlkFunction
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.generate import c_header, generate, register_reference, verilog_and_signals
from ringwalker.generate.__main__ import main
from ringwalker.spec.blk import BLK_CONFIG, BlkFeature
from ringwalker.spec.modern import COMMON
from ringwalker.streams import stream_of
from ringwalker.verilog import to_verilog
from ringwalker.verilog_names import plain_names, without_empty_wires
from ringwalker_sim.cli.main import main as cli_main
from ringwalker_sim.toolchain import verilator_environment

SMALL = DeviceConfig(data_width=64, queue_size=16, settings=BlkSettings(chunk_sectors=1))
NAME = "ringwalker_blk_64"
PREFIX = NAME.upper()
ROOT = Path(__file__).parents[1]


def run(command: list[str], folder: Path) -> str:
    """The output of a program that must succeed."""
    result = subprocess.run(command, cwd=folder, env=verilator_environment(), capture_output=True, text=True)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """The files of a small block function."""
    folder = tmp_path_factory.mktemp("generated")
    paths = generate(SMALL, folder, BlkFunction(SMALL))
    assert sorted(paths) == sorted(folder.iterdir())
    return folder


def test_names_of_files_say_what_the_device_is(generated):
    endings = (".core", ".toml", ".v", ".vlt", "_regs.h", "_signals.json")
    assert sorted(path.name for path in generated.iterdir()) == [f"{NAME}{ending}" for ending in endings]


def lint(folder: Path, name: str) -> None:
    output = run(["verilator", "--lint-only", "-Wall", f"{name}.vlt", f"{name}.v"], folder)
    assert "%Warning" not in output


def test_verilog_passes_lint(generated):
    lint(generated, NAME)


def test_every_waiver_has_a_reason_and_covers_generated_files_only(generated):
    paragraphs = (generated / f"{NAME}.vlt").read_text().strip().split("\n\n")
    assert len(paragraphs) > 1
    for paragraph in paragraphs[1:]:
        lines = paragraph.splitlines()
        assert lines[0].startswith("// ")
        for line in lines:
            assert line.startswith("// ") or re.fullmatch(rf'lint_off -rule [A-Z]+ -file "\*{NAME}\.v"', line)


def synthesise(folder: Path, name: str, options: str) -> None:
    script = f"read_verilog {name}.v; synth_ecp5 -noabc9 -top {name} {options}; check -assert"
    command = "import sys; from pyosys import libyosys; libyosys.run_pass(sys.argv[1], libyosys.Design())"
    run([sys.executable, "-c", command, script], folder)


@pytest.mark.slow
def test_verilog_synthesises(generated):
    synthesise(generated, NAME, "-run begin:map_luts")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"data_width": 64, "queue_size": 16, "chains": 4, "read_tags": 4, "ring_tags": 4},
        pytest.param({"data_width": 256, "queues": 8}, marks=pytest.mark.campaign),
        {"function": "net", "data_width": 512},
        pytest.param({"function": "console", "data_width": 128}, marks=pytest.mark.campaign),
    ],
)
def test_whole_device_passes_lint_and_synthesises(tmp_path, settings):
    config = DeviceConfig(**settings)
    generate(config, tmp_path)
    lint(tmp_path, config.verilog_name)
    if settings["data_width"] == 64:
        synthesise(tmp_path, config.verilog_name, "-run begin:map_luts")


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-x", "c++"]])
def test_header_compiles(generated, tmp_path, compiler):
    (tmp_path / "use.c").write_text(
        f'#include "{NAME}_regs.h"\n'
        f"int check[{PREFIX}_COMMON_DEVICE_STATUS == 0x14u ? 1 : -1];\n"
        f"uint64_t features = {PREFIX}_FEATURE_VERSION_1_MASK | {PREFIX}_BLK_FEATURE_FLUSH_MASK;\n"
        f"int main(void) {{ return check[0] == (int)(features & {PREFIX}_BLK_CONFIG_CAPACITY_MASK); }}\n"
    )
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{generated}"]
    run([*compiler, *flags, "use.c", "-o", "use"], tmp_path)


def test_header_has_every_register_and_the_configuration():
    defined = dict(
        line.split(" ")[1:3]
        for line in c_header(SMALL).splitlines()
        if line.startswith(f"#define {PREFIX}_")
        if line.count(" ") == 2
    )
    for table in (COMMON, BLK_CONFIG):
        for register in table:
            name = f"{PREFIX}_{table.name}_{register.name}".upper()
            assert int(defined[name].rstrip("u"), 0) == register.offset
            assert int(defined[f"{name}_BITS"].rstrip("u"), 0) == register.width
    assert defined[f"{PREFIX}_CONFIG_VENDOR_ID"] == "0x5000u"
    assert defined[f"{PREFIX}_CONFIG_MAX_QUEUE_SIZE"] == "0x10u"
    assert defined[f"{PREFIX}_BLK_FEATURE_SEG_MAX"] == f"{int(BlkFeature.SEG_MAX):#x}u"


def test_configuration_is_written_along(generated):
    assert DeviceConfig.from_toml(generated / f"{NAME}.toml") == SMALL


def test_same_configuration_gives_the_same_bytes(generated, tmp_path):
    code = (
        "from ringwalker.config import *; from ringwalker.generate import generate\n"
        "from ringwalker.function.blk.function import BlkFunction\n"
        f"config = DeviceConfig.from_toml({str(generated / f'{NAME}.toml')!r})\n"
        "generate(config, '.', BlkFunction(config))\n"
    )
    env = dict(os.environ, PYTHONHASHSEED="77")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True, env=env)
    for path in generated.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_text_is_that_of_to_verilog(generated):
    assert to_verilog(BlkFunction(SMALL), NAME)[0] == (generated / f"{NAME}.v").read_text()


def test_map_has_ports_streams_states_and_enums(generated):
    signals = json.loads((generated / f"{NAME}_signals.json").read_text())
    text = (generated / f"{NAME}.v").read_text()
    assert signals["top"] == NAME
    ports = {port["path"]: port for port in signals["ports"]}
    op = ports["storage.commands.payload.op"]
    assert (op["name"], op["direction"], op["width"]) == ("storage_commands_op", "output", 2)
    assert op["values"] == {"0": "READ", "1": "WRITE", "2": "FLUSH"}
    for port in signals["ports"]:
        assert re.search(rf"\b{port['direction']} (\[{port['width'] - 1}:0\] )?{port['name']};", text)
    fsms = {".".join(fsm["scope"]): fsm for fsm in signals["fsms"]}
    assert fsms["device.commander"]["states"]["0"] == "WAIT_REQUEST"
    assert len(fsms["device.commander"]["states"]) == 6
    streams = {(*stream["scope"], stream["name"]): stream for stream in signals["streams"]}
    requests = streams["device", "parser", "requests"]
    assert requests["direction"] == "output"
    assert requests["fields"]["op"]["values"]["4"] == "ID"
    assert streams["device", "commander", "requests"]["direction"] == "input"
    assert ("device", "buffer", "o") in streams


class Kind(enum.Enum, shape=2):
    """For a payload in a payload."""

    FIRST = 0
    SECOND = 1


class Inner(Component):
    """A stream with a struct in a struct, in an instance whose name is a Verilog keyword."""

    def __init__(self):
        header: Any = data.StructLayout({"kind": Kind, "size": 3})
        payload: Any = data.StructLayout({"header": header, "data": 8})
        shape = stream_of(payload)
        super().__init__({"i": In(shape), "o": Out(shape)})

    def elaborate(self, platform):
        m: Any = Module()
        connect(m, flipped(self.i), flipped(self.o))
        m.d.sync += Signal(4, name="module").eq(self.i.p.data)
        return m


class Outer(Component):
    """Holds one :class:`Inner`."""

    def __init__(self):
        super().__init__(Inner().signature)

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.function = inner = Inner()
        connect(m, flipped(self.i), inner.i)
        connect(m, inner.o, flipped(self.o))
        return m


def test_nested_fields_and_keywords_are_found(tmp_path):
    text, signals = verilog_and_signals(Outer(), "outer")
    (found,) = (s for s in signals["streams"] if s["scope"] == ["device", "function"] and s["name"] == "o")
    assert list(found["fields"]) == ["data", "header_kind", "header_size"]
    assert found["fields"]["header_kind"]["values"] == {"0": "FIRST", "1": "SECOND"}
    assert not re.search(r"\\\S*[.$]", text)
    (tmp_path / "outer.v").write_text(text)
    run(["verilator", "--lint-only", "-Wno-fatal", "outer.v"], tmp_path)


def test_names_that_would_become_one_are_refused():
    with pytest.raises(ValueError, match=r"'a\.b' would be called a__b"):
        plain_names("wire a__b;\nwire \\a.b ;\n")
    assert plain_names("assign \\a.b [1] = \\$7  & \\reg ;") == "assign a__b[1] = _7 & \\reg ;"
    assert without_empty_wires("  wire [-1:0] a;\n  wire [1:0] b;\n") == "  wire [1:0] b;\n"


def test_core_file_is_yaml_for_fusesoc(generated):
    text = (generated / f"{NAME}.core").read_text()
    assert text.startswith("CAPI=2:\n")
    for ending in (".v", "_regs.h", ".vlt"):
        assert f'"{NAME}{ending}"' in text
    core = yaml.safe_load(text)
    assert re.fullmatch(rf"ringwalker:virtio:{NAME}:\d+\.\d+\.\d+", core["name"])
    for target in core["targets"].values():
        assert set(target["filesets"]) <= set(core["filesets"])
        assert target["toplevel"] == NAME


def fusesoc(folder: Path, *arguments: str) -> str:
    """What FuseSoC says, which keeps its settings and its cache in ``folder``."""
    program = Path(sys.executable).parent / "fusesoc"
    (folder / "fusesoc.conf").write_text(f"[main]\ncache_root = {folder / 'cache'}\n")
    command = [str(program), "--config", "fusesoc.conf", "--cores-root", ".", *arguments]
    result = subprocess.run(
        command,
        cwd=folder,
        env=verilator_environment() | {"HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def two_devices(generated, tmp_path_factory) -> Path:
    """The small block function, and another one with a name of its own, in one folder."""
    folder = tmp_path_factory.mktemp("two")
    for path in generated.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = dataclasses.replace(SMALL, name="scratch", queue_size=8)
    paths = generate(config, folder, BlkFunction(config))
    assert len(list(folder.iterdir())) == 2 * len(paths), "no file of the other was overwritten"
    return folder


def test_two_devices_are_elaborated_together(two_devices):
    sources = [f"{NAME}.v", "scratch.v"]
    modules = [re.findall(r"^module (\w+)", (two_devices / source).read_text(), re.M) for source in sources]
    for name, found in zip((NAME, "scratch"), modules, strict=True):
        assert all(module == name or module.startswith(f"{name}__") for module in found)
    waivers = [f"{NAME}.vlt", "scratch.vlt"]
    output = run(["verilator", "--lint-only", "-Wall", "-Wno-MULTITOP", *waivers, *sources], two_devices)
    assert "%Warning" not in output
    if shutil.which("iverilog"):
        run(["iverilog", "-g2005", "-s", NAME, "-s", "scratch", "-o", "both", *sources], two_devices)


def test_headers_of_two_devices_go_together(two_devices, tmp_path):
    (tmp_path / "both.c").write_text(
        f'#include "{NAME}_regs.h"\n#include "scratch_regs.h"\n'
        f"int check[{PREFIX}_CONFIG_MAX_QUEUE_SIZE == 16 && SCRATCH_CONFIG_MAX_QUEUE_SIZE == 8 ? 1 : -1];\n"
    )
    run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{two_devices}", "-c", "both.c"], tmp_path)


def test_fusesoc_lists_two_devices_and_builds_the_one_that_is_named(two_devices):
    listed = fusesoc(two_devices, "core", "list")
    for name in (NAME, "scratch"):
        assert f"ringwalker:virtio:{name}:" in listed
    fusesoc(two_devices, "run", "--setup", "--target", "lint", "scratch")
    (project,) = two_devices.glob("build/*/lint-verilator/*.eda.yml")
    found = yaml.safe_load(project.read_text())
    assert found["toplevel"] == "scratch"
    assert sorted(Path(file["name"]).name for file in found["files"]) == ["scratch.v", "scratch.vlt"]


BAD_NAMES = ["", "1st", "a-b", "a b", "a.b", "a__b", "_a", "a_", "é", "module", "logic"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_tools_would_not_take_is_refused(name):
    with pytest.raises(ConfigError, match=f"name is {re.escape(repr(name))}; it must be"):
        DeviceConfig(name=name)


def test_the_name_comes_from_the_file_or_the_command_line(tmp_path, monkeypatch, capsys):
    assert DeviceConfig.from_dict({"name": "disk"}).verilog_name == "disk"
    assert DeviceConfig(function="net", data_width=512).verilog_name == "ringwalker_net_512"
    assert DeviceConfig.from_dict(DeviceConfig(name="disk").to_dict()).name == "disk"
    seen: list[str] = []
    monkeypatch.setattr(
        "ringwalker.generate.__main__.generate", lambda c, _f: seen.append(c.verilog_name) or []
    )
    monkeypatch.setattr(
        "ringwalker_sim.cli.verilog.generate", lambda c, _f: seen.append(c.verilog_name) or []
    )
    toml = tmp_path / "my.toml"
    toml.write_text('name = "disk"\n')
    for command in (main, lambda arguments: cli_main(["verilog", *arguments])):
        for arguments in ([], ["--name", "tape"]):
            assert command(["-o", str(tmp_path / "out"), "--config", str(toml), *arguments]) == 0
        assert command(["-o", str(tmp_path / "out"), "--name", "a__b"]) == 2
        assert "name is 'a__b'; it must be letters and digits" in capsys.readouterr().err
    assert seen == ["disk", "tape"] * 2


def test_register_reference_is_up_to_date():
    committed = (ROOT / "docs/registers.md").read_text()
    assert committed == register_reference(), "run: python -m ringwalker.generate --docs"


def test_command_writes_the_reference_and_reports_errors(tmp_path, capsys):
    target = tmp_path / "registers.md"
    assert main(["--docs", str(target)]) == 0
    assert target.read_text() == register_reference()
    (tmp_path / "bad.toml").write_text("queues = 0")
    assert main(["--config", str(tmp_path / "bad.toml"), "-o", str(tmp_path / "out")]) == 2
    assert "queues is 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


OWN = """
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from ringwalker.component import Component
from ringwalker.function.kind import FunctionKind
from ringwalker.interfaces import ChainPort

class Lamp(Component):
    def __init__(self, config):
        super().__init__({"chain": In(ChainPort(config.data_width)), "lamp": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.lamp.eq(~self.lamp)
        return m

KIND = FunctionKind(name="lamp", device_type=42, component=Lamp, ports=lambda config: {"lamp": Out(1)})
"""


def test_command_takes_a_function_in_place_of_the_one_in_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lamp_function.py").write_text(OWN)
    (tmp_path / "small.toml").write_text("data_width = 64\nchains = 4")
    out = tmp_path / "out"
    arguments = ["--config", str(tmp_path / "small.toml"), "-o", str(out)]
    assert main([*arguments, "--function", "lamp_function:KIND"]) == 0
    config = DeviceConfig.from_toml(out / "ringwalker_lamp_64.toml")
    assert (config.function, config.data_width, config.chains) == ("lamp_function:KIND", 64, 4)
    assert "  output lamp;" in (out / "ringwalker_lamp_64.v").read_text()
    capsys.readouterr()
    assert main([*arguments, "--function", "tape"]) == 2
    assert "function is 'tape'" in capsys.readouterr().err


def test_version_is_that_of_the_project(generated):
    (version,) = re.findall(r'__version__ = "(.*)"', (ROOT / "rtl/ringwalker/version.py").read_text())
    assert f':{version}"' in (generated / f"{NAME}.core").read_text()
