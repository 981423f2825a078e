"""Cases are the same in both forms, and lines are what a person reads."""

import random

import pytest

from ringwalker.spec.modern import COMMON
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.fuzz import operations as make
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.operations import OPERATION_BYTES, Recovery, from_binary, to_binary
from ringwalker_sim.fuzz.spaces import Space
from ringwalker_sim.fuzz.text import operation_text, parse_operation

LINES = {
    "write common.queue_size 2 0x7": make.write(Space.COMMON, COMMON.queue_size.offset, 2, 7),
    "read legacy.isr_status 1": make.read(Space.LEGACY, 0x13, 1),
    "read common+0x19 1": make.read(Space.COMMON, 0x19, 1),
    "memory 0x9000 8 0x1122334455667788": make.memory(0x9000, bytes.fromhex("8877665544332211")),
    "descriptor 0x1000 0x9000 64 NEXT|WRITE 3": make.descriptor(0x1000, 0x9000, 64, 3, 3),
    "packed 0x1000 0x9000 64 WRITE|AVAIL 3": make.packed(0x1000, 0x9000, 64, 0x82, 3),
    "fill 0x9000 512 0x5a": make.fill(0x9000, 512, 0x5A),
    "notify 0": make.notify(0),
    "notify 1 0x70001": make.notify(1, 0x70001),
    "wait 200": make.wait(200),
    "settle 2000": make.settle(2000),
    "fault LOST 2": make.fault(3, 2),
    "fault LATE 0 300": make.fault(4, 0, 300),
    "tlp MEMORY_READ common+0x4 length 4 enables 0xf 0x1 poisoned 1": make.tlp(
        RequestKind.MEMORY_READ.value, Space.COMMON, 4, make.tlp_shape(4, 15, 1, poisoned=1)
    ),
    "reset status common within 4000": make.reset(Recovery.STATUS, 4000),
    "reset function within 400": make.reset(Recovery.FUNCTION, 400, Space.CONFIG),
    "expect memory 0x5002 2 0x1 within 4000": make.expect_memory(0x5002, 2, 1, 4000),
    "expect register common.device_status 1 0x0 mask 0x40 within 100 unless broken": make.expect_register(
        Space.COMMON, 0x14, 1, 0, 100, 0x40, unless=True
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_its_operation(line):
    operation = parse_operation(line)
    assert operation == LINES[line]
    assert parse_operation(operation_text(operation)) == operation


def test_binary_and_back():
    operations = tuple(LINES.values())
    raw = to_binary(operations)
    assert len(raw) == OPERATION_BYTES * len(operations)
    assert tuple(from_binary(raw)) == operations


def test_any_numbers_survive_both_forms():
    draw = random.Random(1)
    for _ in range(300):
        address, wide, word, half = (draw.getrandbits(width) for width in (64, 64, 32, 16))
        for operation in (
            make.write(Space(draw.randrange(12)), half, draw.randint(1, 8), wide),
            make.memory(address, draw.randbytes(draw.randint(1, 16))),
            make.descriptor(address, wide, word, half, draw.getrandbits(16)),
            make.packed(address, wide, word, half, draw.getrandbits(16)),
            make.tlp(draw.randrange(10), Space.MEMORY, address, draw.getrandbits(26), wide, half),
            make.expect_memory(address, 8, wide, word, draw.getrandbits(64), draw.random() < 0.5),
        ):
            assert parse_operation(operation_text(operation)) == operation
            assert tuple(from_binary(operation.pack())) == (operation,)


def test_a_case_is_read_as_it_was_written():
    case = Case("blk:split:modern", "msix", tuple(LINES.values()), Recovery.FUNCTION)
    text = case.text()
    assert Case.parse(text) == case
    assert Case.parse(text.replace("wait 200", "wait 200  # long enough\n\n")) == case


@pytest.mark.parametrize(
    "line", ["", "jump 3", "wait", "wait long", "wait 3 4", "write nowhere.at_all 1 0x0"]
)
def test_what_is_no_operation_is_refused_with_its_line(line):
    with pytest.raises(ValueError, match=f"'{line}'"):
        parse_operation(line)
