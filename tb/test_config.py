"""The configuration: what is refused, by type and by range, and TOML there and back."""

import dataclasses
import datetime
import sys
import types
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

import pytest

from ringwalker.config import ConfigError, DeviceConfig, Identity, PciOptions
from ringwalker.function import kind as function_kinds
from ringwalker.function.kind import FUNCTIONS, FunctionKind, function_kind
from ringwalker.function.net.settings import NetSettings
from ringwalker.spec.registers import Access, Register, RegisterTable


@pytest.mark.parametrize("function", ["blk", "net", "console"])
def test_toml_there_and_back(function, tmp_path):
    config = DeviceConfig(function=function, fields=False, identity=Identity("oasis", vendor=0x1234))
    path = tmp_path / "device.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert DeviceConfig.from_toml(path) == config


def test_special_characters_survive_toml(tmp_path):
    config = DeviceConfig.from_dict({"blk": {"serial": 'a"b\\c\x01'}})
    path = tmp_path / "device.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert DeviceConfig.from_toml(path).settings.serial == 'a"b\\c\x01'


def test_another_function_takes_the_place_of_the_one_in_the_file():
    values = {"queues": 4, "net": {"mtu": 9000, "buffer_bytes": 65536}}
    config = DeviceConfig.from_dict(values, "net")
    assert (config.function, config.queues, config.settings.mtu) == ("net", 3, 9000)
    assert DeviceConfig.from_dict(values).queues == 4


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"data_width": 256.0}, "data_width is 256.0; it must be 64, 128, 256 or 512"),
        ({"queues": True}, "queues is True; it must be an integer from 1 to 1024"),
        ({"queue_size": 24}, "queue_size is 24; it must be a power of two"),
        ({"queue_size": 65536}, "queue_size is 65536; it must be a power of two from 2 to 32768"),
        ({"ring": "round"}, "ring is 'round'; it must be"),
        ({"fields": 1}, "fields is 1; it must be true or false"),
        ({"face": "old"}, "face is 'old'; it must be"),
        (
            {"face": "legacy", "ring": "packed"},
            "face is 'legacy' and ring is 'packed'; legacy drivers know no",
        ),
        ({"face": "transitional", "ring": "packed"}, "face is 'transitional' and ring is 'packed'; legacy"),
        ({"face": "legacy", "fields": True}, "face is 'legacy' and fields is True; the field list is in"),
        ({"legacy_io": 0}, "legacy_io is 0; it must be true or false"),
        ({"function": ["blk"]}, "function is ['blk']"),
        ({"function": "net", "queues": 2}, 'queues is 2; it must be 3, since function is "net"'),
        ({"identity": {"vendor": False}}, "identity.vendor is False"),
        ({"identity": 7}, "identity is 7; it must be a table"),
        ({"pci": {"vectors": 3}}, "pci.vectors is 3; it must be an integer from 1 to 2"),
        ({"pci": {"serial_number": "1-2"}}, "pci.serial_number is '1-2'; it must be eight bytes such as"),
        ({"pci": {"msi": 4}}, "pci.msi is 4; it must be 0, 1 or 2"),
        ({"pci": {"tags": 9}}, "pci.tags is 9; it must be 5, 8 or 10"),
        ({"pci": {"tags": 8.0}}, "pci.tags is 8.0; it must be 5, 8 or 10"),
        ({"pci": {"msi": True}}, "pci.msi is True; it must be 0, 1 or 2"),
        ({"pci": {"msi": 1}}, "pci.msi is 1; it needs fields = false"),
        ({"pci": {"pins": 3}}, "pci.pins is not a setting; there are"),
        ({"console": {"cols": 0}}, "console.cols is 0"),
        ({"blk": {"sectors": 8}}, "blk.sectors is not a setting; there are block_size"),
        ({"settings": {}}, "settings is not a setting; there are blk"),
    ],
)
def test_what_is_refused(values, words):
    with pytest.raises(ConfigError) as error:
        DeviceConfig.from_dict(values)
    assert words in str(error.value)


def test_a_legacy_header_that_cannot_be_is_refused(monkeypatch):
    table = RegisterTable("wide", "", (Register("last", 232, 8, Access.RO, ""),))
    module = types.ModuleType("wide_function")
    vars(module)["KIND"] = FunctionKind("wide", 0x40, lambda config: None, device_config=table)
    monkeypatch.setitem(sys.modules, "wide_function", module)
    name = "wide_function:KIND"
    with pytest.raises(ConfigError, match="an I/O BAR has at most 256: take legacy_io = false"):
        DeviceConfig(function=name, face="legacy")
    oasis = Identity("oasis")
    with pytest.raises(ConfigError, match="it must be given: virtio type 64 has none"):
        DeviceConfig(function=name, face="legacy", legacy_io=False, identity=oasis)
    config = DeviceConfig(function=name, face="legacy", legacy_io=False)
    assert config.resolved_identity.device == 0x40


@pytest.mark.parametrize(
    ("face", "preset", "device", "revision", "subsystem"),
    [
        ("modern", "oasis", 0x1041, 1, 0x41),
        ("modern", "2007", 1, 1, 1),
        ("legacy", "oasis", 0x1000, 0, 1),
        ("transitional", "oasis", 0x1000, 0, 1),
        ("transitional", "2007", 1, 0, 1),
    ],
)
def test_ids_follow_preset_and_face(face, preset, device, revision, subsystem):
    config = DeviceConfig(function="net", face=face, identity=Identity(preset))
    found = config.resolved_identity
    assert (found.device, found.revision, found.subsystem) == (device, revision, subsystem)
    given = dataclasses.replace(config, identity=Identity(preset, revision=7, device=0x1234))
    assert (given.resolved_identity.device, given.resolved_identity.revision) == (0x1234, 7)


@pytest.mark.parametrize(("face", "fields"), [("modern", True), ("transitional", True), ("legacy", False)])
def test_a_legacy_device_has_no_field_list(face, fields):
    assert DeviceConfig(face=face).has_fields is fields


def test_settings_are_those_of_the_function():
    with pytest.raises(ConfigError, match='must be BlkSettings, since function is "blk"'):
        DeviceConfig(settings=NetSettings())


# --- every key with every type of TOML --------------------------------------------------------------------

VALUES: dict[str, type] = {
    "true": bool,
    "false": bool,
    "0": int,
    "1": int,
    "-1": int,
    "256": int,
    "0x" + "f" * 5000: int,
    "1" * 5000: int,
    "256.0": float,
    "1.0": float,
    "inf": float,
    "-inf": float,
    "nan": float,
    '""': str,
    '"blk"': str,
    '"two\\nlines"': str,
    '"' + "long" * 500 + '"': str,
    "1979-05-27T07:32:00Z": datetime.datetime,
    "1979-05-27T07:32:00": datetime.datetime,
    "1979-05-27": datetime.date,
    "07:32:00": datetime.time,
    "[]": list,
    '["blk"]': list,
    "[256]": list,
    "[[1]]": list,
    "[{a = 1}]": list,
    "{}": dict,
    "{a = 1}": dict,
}


def schema() -> list[tuple[str, str, tuple[Any, ...]]]:
    """Table, key and types of every setting that a file may have."""
    tables: dict[str, type | None] = {"": DeviceConfig, "identity": Identity, "pci": PciOptions}
    tables |= {name: function_kind(name).settings for name in FUNCTIONS}
    keys = [("", name, (dict,)) for name in ("identity", "pci", *FUNCTIONS)]
    for table, cls in tables.items():
        hints = {} if cls is None else get_type_hints(cls)
        for key, hint in hints.items():
            if key not in ("identity", "pci", "settings"):
                keys.append((table, key, get_args(hint) or (hint,)))
    return keys


@pytest.mark.parametrize(("table", "key", "wanted"), schema())
def test_a_key_takes_values_of_its_type_only(table, key, wanted, tmp_path):
    path = tmp_path / "device.toml"
    for text, given in VALUES.items():
        path.write_text(f"[{table}]\n{key} = {text}\n" if table else f"{key} = {text}\n")
        try:
            config = DeviceConfig.from_toml(path)
        except ConfigError as error:
            line = str(error)
            assert line.isprintable(), (text, line)
            assert len(line) - len(str(path)) < 400, (text, line)
            continue
        assert given in wanted, f"{key} = {text} is taken"
        assert DeviceConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("table", ["", "identity", "blk"])
def test_a_key_that_does_not_exist_is_one_line(table, tmp_path):
    path = tmp_path / "device.toml"
    for key in ('"two\\nlines"', '"\\u001b[31m"', '""', '"' + "long" * 500 + '"', "settings", "_KEYS"):
        path.write_text(f"[{table}]\n{key} = 1\n" if table else f"{key} = 1\n")
        with pytest.raises(ConfigError, match="is not a setting; there are") as error:
            DeviceConfig.from_toml(path)
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"\xff\xfe", "not TOML"),
        (b"queues = 1\0", "not TOML"),
        (b"queues = 1\nqueues = 2\n", "not TOML"),
        (b"[[blk]]\n", "blk is [{}]; it must be a table"),
        (b"[identity.preset]\n", 'identity.preset is {}; it must be "2007" or "oasis"'),
    ],
)
def test_files_that_are_no_configuration(content, words, tmp_path):
    path = tmp_path / "device.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        DeviceConfig.from_toml(path)
    assert words in str(error.value)
    assert str(error.value).isprintable()


def test_the_function_of_a_file_is_a_name_even_where_another_takes_its_place():
    with pytest.raises(ConfigError, match=r"function is \['blk'\]; it must be a string"):
        DeviceConfig.from_dict({"function": ["blk"]}, "net")


@dataclass(frozen=True)
class Unchecked:
    """Settings of somebody's function that checks nothing itself, or only a range."""

    count: int = 1
    ratio: float = 0.5
    name: str | None = None
    flag: bool = False
    sizes: tuple[int, ...] = ()
    pair: tuple[str, int] = ("a", 1)
    mode: Literal["fast", "small"] = "fast"
    other: "types.SimpleNamespace | None" = None

    def __post_init__(self):
        if self.count < 0:
            raise ValueError("count must not be negative")


@pytest.fixture
def unchecked(monkeypatch):
    rng = function_kind("rng")
    kind = FunctionKind(
        name="mine", device_type=40, component=rng.component, lanes=rng.lanes, settings=Unchecked
    )
    real = function_kinds.function_kind
    monkeypatch.setattr(
        "ringwalker.config.function_kind", lambda name: kind if name == "my.module:KIND" else real(name)
    )
    return lambda values: DeviceConfig.from_dict({"function": "my.module:KIND", "mine": values}).settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 1.0}, "mine.count is 1.0; it must be an integer"),
        ({"count": True}, "mine.count is True; it must be an integer"),
        ({"count": "1"}, "mine.count is '1'; it must be an integer"),
        ({"count": -1}, "mine: ValueError: count must not be negative"),
        ({"ratio": "0.5"}, "mine.ratio is '0.5'; it must be a number"),
        ({"ratio": False}, "mine.ratio is False; it must be a number"),
        ({"name": 7}, "mine.name is 7; it must be a string"),
        ({"flag": 1}, "mine.flag is 1; it must be true or false"),
        ({"sizes": 4}, "mine.sizes is 4; it must be an array, each item an integer"),
        ({"sizes": [4, 4.0]}, "mine.sizes is (4, 4.0); it must be an array, each item an integer"),
        ({"pair": ["a"]}, "mine.pair is ('a',); it must be an array: a string, an integer"),
        ({"mode": "big"}, "mine.mode is 'big'; it must be 'fast' or 'small'"),
        ({"mode": ["fast"]}, "mine.mode is ('fast',); it must be 'fast' or 'small'"),
    ],
)
def test_settings_of_somebodys_own_function_are_of_their_types(values, words, unchecked):
    with pytest.raises(ConfigError) as error:
        unchecked(values)
    assert str(error.value) == words


def test_what_somebodys_own_settings_may_be(unchecked):
    values = {"ratio": 1, "name": "x", "sizes": [1, 2], "pair": ["b", 2], "mode": "small", "other": {"a": 1}}
    assert dataclasses.replace(unchecked(values), other=None) == Unchecked(
        ratio=1, name="x", sizes=(1, 2), pair=("b", 2), mode="small"
    )
