"""The configuration: what is refused, by type and by range, and TOML there and back."""

import pytest

from ringwalker.config import ConfigError, DeviceConfig, Identity
from ringwalker.function.net.settings import NetSettings


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
        ({"queues": True}, "queues is True; it must be an integer from 1 to 256"),
        ({"queue_size": 24}, "queue_size is 24; it must be a power of two"),
        ({"fields": 1}, "fields is 1; it must be true or false"),
        ({"function": ["blk"]}, "function is ['blk']"),
        ({"function": "net", "queues": 2}, 'queues is 2; it must be 3, since function is "net"'),
        ({"identity": {"vendor": False}}, "identity.vendor is False"),
        ({"identity": 7}, "identity is 7; it must be a table"),
        ({"console": {"cols": 0}}, "console.cols is 0"),
        ({"blk": {"sectors": 8}}, "blk.sectors is not a setting; there are block_size"),
        ({"settings": {}}, "settings is not a setting; there are blk"),
    ],
)
def test_what_is_refused(values, words):
    with pytest.raises(ConfigError) as error:
        DeviceConfig.from_dict(values)
    assert words in str(error.value)


def test_settings_are_those_of_the_function():
    with pytest.raises(ConfigError, match='must be BlkSettings, since function is "blk"'):
        DeviceConfig(settings=NetSettings())
