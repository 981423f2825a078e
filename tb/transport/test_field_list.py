"""The field list as plain data: a walk as a driver does it, alignment, and what each dword is a view of."""

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.fields import (
    FIELD_QUEUE_BYTES,
    FIELD_QUEUE_STRIDE,
    QUEUE_FIELD,
    BlkField,
    CommonField,
    ConsoleField,
    FieldFlag,
    FieldHeader,
    NetField,
)
from ringwalker.spec.modern import COMMON, COMMON_BASE, NO_VECTOR, NOTIFY_BASE, NOTIFY_MULTIPLIER
from ringwalker.spec.registers import Access
from ringwalker.transport.field_list import FieldDword, field_list, image, queue_field

OWN = {"blk": BlkField, "net": NetField, "console": ConsoleField}
CONFIGS = [*(DeviceConfig(function=name) for name in OWN), DeviceConfig(queues=256, queue_size=8)]


def walk(raw: bytes) -> list[tuple[int, int, bytes]]:
    """Type, flags and value of each field, found as a driver does that knows none of them."""
    found, at = [], 0
    while True:
        header = FieldHeader.from_bits(int.from_bytes(raw[at : at + 4], "little"))
        found.append((header.type, header.flags, raw[at + 4 : at + 4 + header.length]))
        at += 4 + (header.length + 3) // 4 * 4
        if header.type == CommonField.END:
            assert at == len(raw), "END is the last of it"
            return found


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.function}{config.queues}")
def test_a_driver_walks_the_list(config):
    found = [kind for kind, _flags, _value in walk(image(config)) if kind != CommonField.FILLER]
    first = [CommonField.STATUS, CommonField.DEVICE_FEATURES, CommonField.DRIVER_FEATURES]
    first += [CommonField.GENERATION, CommonField.CONFIG_VECTOR]
    queues = [CommonField.QUEUE] * config.queues
    assert found == [*first, *OWN[config.function], *queues, CommonField.END]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.function}{config.queues}")
def test_dwords_follow_one_another(config):
    fields = field_list(config)
    assert [dword.offset for dword in fields.dwords] == list(range(0, fields.size, 4))
    for dword in fields.dwords:
        assert dword.writable & ~dword.readable == 0
        assert dword.register is not None or not dword.writable
        assert dword.register is None or (dword.register % 4 == 0 and dword.value == 0)
    for item in fields.fields:
        assert len(item.dwords) == -(-item.length // 4)
        assert any(dword.writable for dword in item.dwords) == bool(item.flags & FieldFlag.WRITABLE)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.function}{config.queues}")
def test_queues_stand_at_a_stride(config):
    fields = field_list(config)
    assert fields.first_queue % FIELD_QUEUE_STRIDE == 0
    for queue in range(config.queues):
        item = fields.find(CommonField.QUEUE, queue)
        assert item == queue_field(fields.first_queue, queue)
        assert item.offset == fields.first_queue + queue * FIELD_QUEUE_STRIDE
        assert item.length == FIELD_QUEUE_BYTES
    with pytest.raises(KeyError, match=f"queue {config.queues}"):
        fields.find(CommonField.QUEUE, config.queues)


def test_queue_registers_are_views():
    item = field_list(DeviceConfig(function="net")).find(CommonField.QUEUE, 2)
    lane = COMMON.queue_select.offset % 4
    for row in QUEUE_FIELD:
        for byte in range(row.offset, row.offset + row.size):
            dword: FieldDword = item.dwords[byte // 4]
            assert dword.rotate == 0
            if row.name == "index":
                assert dword.register is None
                assert dword.value == 2
            elif row.name == "doorbell":
                assert dword.register == NOTIFY_BASE + 2 * NOTIFY_MULTIPLIER
                assert dword.select is None
            else:
                other = {"vector": "queue_msix_vector"}.get(row.name, f"queue_{row.name}")
                place = COMMON[other].offset + byte - row.offset
                assert dword.register == COMMON_BASE + place // 4 * 4
                assert byte % 4 == place % 4
                assert dword.select
                assert dword.select.value == 2 << 8 * lane
                assert dword.select.strobe == 0b11 << lane
            assert dword.register is None or dword.readable >> byte % 4 & 1
            assert dword.writable >> byte % 4 & 1 == (row.access is not Access.RO)


def test_views_of_registers_that_are_not_aligned():
    fields = field_list(DeviceConfig(function="net"))
    (media,) = fields.find(NetField.MEDIA).dwords
    assert media.shown(0xAABB_0001) == 0xAABB
    (generation,) = fields.find(CommonField.GENERATION).dwords
    assert generation.shown(0x1122_3344) == 0x33
    mac = fields.find(NetField.MAC).dwords
    assert [dword.shown(0x1122_3344) for dword in mac] == [0x1122_3344, 0x3344]
    assert [dword.writable for dword in mac] == [0b1111, 0b0011]


def test_the_image_is_what_reset_leaves():
    config = DeviceConfig(function="console", queue_size=64)
    raw = image(config, features=1 << 32 | 5, device_config=bytes([80, 0, 25, 0]))
    found = {kind: value for kind, _flags, value in walk(raw)}
    assert found[CommonField.STATUS] == b"\0"
    assert int.from_bytes(found[CommonField.DEVICE_FEATURES], "little") == 1 << 32 | 5
    assert int.from_bytes(found[CommonField.CONFIG_VECTOR], "little") == NO_VECTOR
    assert found[ConsoleField.SIZE] == bytes([80, 0, 25, 0])
    queue = found[CommonField.QUEUE]
    read = {row.name: int.from_bytes(queue[row.offset :][: row.size], "little") for row in QUEUE_FIELD}
    wanted = {"size": 64, "vector": NO_VECTOR, "index": 1, "notify_off": 1}
    assert read == {row.name: wanted.get(row.name, 0) for row in QUEUE_FIELD}
