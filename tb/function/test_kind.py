"""The door for functions: what is wrong with a record becomes one line that names the function."""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ringwalker.component import Component
from ringwalker.config import ConfigError, DeviceConfig
from ringwalker.core import VirtioCore
from ringwalker.device import VirtioPciDevice
from ringwalker.function.device_config import DeviceConfigFace
from ringwalker.function.kind import FunctionKind, function_kind
from ringwalker.function.parts import function_parts
from ringwalker.interfaces import ChainPort, RegisterPort
from ringwalker.pci.capabilities import layout
from ringwalker.spec.registers import Access, Register, RegisterTable
from ringwalker.transport.field_list import field_list
from ringwalker.verilog import FlatTop, to_verilog


class Sink(Component):
    """Has only what a function must have."""

    def __init__(self, config):
        super().__init__({"chain": In(ChainPort(config.data_width))})

    def elaborate(self, platform):
        return Module()


class Backwards(Component):
    def __init__(self, config):
        super().__init__({"chain": In(ChainPort(config.data_width)), "active": In(1)})

    def elaborate(self, platform):
        return Module()


TABLE = RegisterTable(
    "own_config", "For a test.", (Register("level", 0, 32, Access.RO, "What the port says."),)
)


class Gauge(Component):
    """Shows a port in its device configuration."""

    def __init__(self, config):
        members = {"chain": In(ChainPort(config.data_width)), "registers": In(RegisterPort())}
        super().__init__({**members, "level": In(32), "generation": Out(8), "config_change": Out(1)})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.face = face = DeviceConfigFace(TABLE, inputs=["level"])
        connect(m, flipped(self.registers), face.registers)
        m.d.comb += [
            face.level.eq(self.level),
            self.generation.eq(face.generation),
            self.config_change.eq(face.config_change),
        ]
        return m


class Unfinished(Sink):
    def elaborate(self, platform):
        raise RuntimeError("not\nyet")


@dataclass(frozen=True)
class Settings:
    depth: int = 4


def fails(_config):
    raise RuntimeError("no luck")


@pytest.fixture
def place(monkeypatch):
    """Puts a record where the door finds it, and gives its name."""

    def put(**changes):
        module = ModuleType("somebodys")
        parts = {"name": "own", "device_type": 42, "component": Sink, **changes}
        vars(module)["KIND"] = FunctionKind(**parts)
        monkeypatch.setitem(sys.modules, "somebodys", module)
        return "somebodys:KIND"

    return put


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name", "Own"),
        ("device_type", 0),
        ("class_code", 1 << 24),
        ("component", None),
        ("queues", 1025),
        ("queue_choices", range(3)),
        ("lanes", {}),
        ("forgets", 1),
        ("ports", {}),
        ("features", 1),
        ("settings", dict),
        ("device_config", RegisterTable("own", "", ())),
        ("device_config", RegisterTable("own", "", (Register("last", 4096, 8, Access.RO, ""),))),
        ("spec", "own"),
        ("simulation", print),
    ],
)
def test_a_member_of_a_record_that_is_wrong_is_named(member, value):
    parts = {"name": "own", "device_type": 42, "component": Sink, member: value}
    with pytest.raises(ValueError, match=f"^{member} of FunctionKind is .*; it must be ") as error:
        FunctionKind(**parts)
    assert "\n" not in str(error.value)


def test_a_function_without_device_configuration_has_none_of_its_structures(place):
    config = DeviceConfig(function=place(), data_width=64)
    names = [structure.name for structure in layout(config).structures]
    assert "virtio_device" not in names
    assert "virtio_common" in names
    assert all(field.type < 0x40 for field in field_list(config).fields)
    assert config.resolved_identity.device == 42
    text, _ports = to_verilog(VirtioCore(config), "core")
    assert "function" in text


def test_a_function_with_device_configuration_has_its_structure_and_its_ports(place):
    own = {"component": Gauge, "device_config": TABLE, "ports": lambda config: {"level": In(32)}}
    config = DeviceConfig(function=place(**own), data_width=64)
    (found,) = (structure for structure in layout(config).structures if structure.name == "virtio_device")
    assert found.values["size"] == 4
    _text, ports = to_verilog(VirtioCore(config), "core")
    assert ("level", "input", 32) in [(port.name, port.direction, port.width) for port in ports]


def test_its_settings_are_the_table_of_its_name(place):
    values = {"function": place(settings=Settings), "own": {"depth": 9}}
    config = DeviceConfig.from_dict(values)
    assert config.settings == Settings(9)
    assert DeviceConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match=r"own\.width is not a setting; there are depth"):
        DeviceConfig.from_dict({**values, "own": {"width": 9}})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("disk", 'must be "blk"'),
        (["blk"], 'must be "blk"'),
        ("no.such:KIND", "module no.such does not import: ModuleNotFoundError"),
        ("json:KIND", "there is no KIND in"),
        ("json:loads", "loads must be a FunctionKind"),
    ],
)
def test_a_bad_name(name, words):
    with pytest.raises(ConfigError, match="function is") as error:
        function_kind(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ports": fails}, "its ports raises RuntimeError: no luck"),
        ({"lanes": fails}, "its lanes raises RuntimeError: no luck"),
        ({"lanes": lambda config: {"chain": (1,)}}, "each queue from 0 to 0 must be in one"),
        ({"ports": lambda config: {"led": 1}}, "must be a dict from names to In(...) and Out(...)"),
        ({"ports": lambda config: {"a b": Out(1)}}, "its port 'a b' needs a name that is an identifier"),
        ({"ports": lambda config: {"_led": Out(1)}}, "its port '_led' needs a name that is an identifier"),
        ({"ports": lambda config: {"idle": Out(1)}}, "its port idle needs another name; every device has"),
        ({"ports": lambda config: {"elaborate": Out(1)}}, "its port elaborate needs another name; every"),
        ({"ports": lambda config: {"edge_reads": Out(1)}}, "its port edge_reads needs another name; every"),
        ({"ports": lambda config: {"chain": Out(1)}}, "its port chain needs another name; the device inside"),
        ({"ports": lambda config: {"clear": In(1)}}, "its port clear needs another name; the device inside"),
        ({"features": lambda config: -1}, "its features are -1"),
        ({"write_only": ("other",)}, "'other' of its write_only is not among its lanes"),
    ],
)
def test_a_part_that_is_wrong_is_said_when_the_configuration_is_made(place, changes, words):
    name = place(**changes)
    with pytest.raises(ConfigError, match="function is 'somebodys:KIND'") as error:
        DeviceConfig(function=name)
    assert words in str(error.value)


def own_members() -> list[str]:
    """The members that every device or core has, and the Verilog ports of the device."""
    config = DeviceConfig(data_width=64)
    function = set(function_parts(config).ports)
    device, core = VirtioPciDevice(config), VirtioCore(config)
    members = {*device.signature.members, *core.signature.members} - function
    flat = {port.name for port in FlatTop(device).ports if port.path.split(".")[0] not in function}
    return sorted(members | flat)


@pytest.mark.parametrize("name", own_members())
def test_no_port_has_the_name_of_one_of_the_devices_own(place, name):
    with pytest.raises(ConfigError, match=f"its port {name} needs another name") as error:
        DeviceConfig(function=place(ports=lambda config: {name: In(1)}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"component": fails}, "its component raises RuntimeError: no luck"),
        ({"component": lambda config: 3}, "its component is 3; it must be a wiring.Component"),
        ({"component": Backwards}, "Backwards.active is In(1); it must be Out(1)"),
        ({"component": Unfinished}, "Unfinished.elaborate raises RuntimeError: not yet"),
        ({"lanes": lambda config: {"data": (0,)}}, "Sink has no member data"),
        ({"ports": lambda config: {"led": Out(1)}}, "Sink has no member led"),
    ],
)
def test_hardware_that_is_wrong_is_said_when_it_is_made(place, changes, words):
    core = VirtioCore(DeviceConfig(function=place(**changes), data_width=64))
    with pytest.raises(ConfigError, match="function is 'somebodys:KIND'") as error:
        Fragment.get(core, None)
    assert words in str(error.value)
