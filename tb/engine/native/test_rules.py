"""The host sees it when a device breaks a rule of PCI Express or of a stream."""

import functools

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.tlp import ErrorMessage, RequestKind
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import NativeEngine, ProtocolError
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.offender import Offence, Offender, RawRequest
from ringwalker_sim.testing.traffic import CopyRegisters

OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}
READ, WRITE = RequestKind.MEMORY_READ, RequestKind.MEMORY_WRITE


@functools.cache
def offender_verilog():
    return to_verilog(Offender(64), TOP)


@pytest.fixture
def engine():
    config, memory = DeviceConfig(data_width=64), GuestMemory(1 << 20)
    host = HostParameters(stalls={"requester_request": 0.7}, max_payload=256, max_read_request=512)
    with NativeEngine(config, memory, component=offender_verilog(), host=host) as engine:
        engine.config_write(0x10, 4, 0)
        yield engine


def send(engine, kind, address, length, first_be=0xF, last_be=0xF, tag=0, offence=0):
    """Let the device send one request and run until it is done; events but for those of its line."""
    values = {
        "length": length,
        "first_be": first_be,
        "last_be": last_be,
        "tag": tag,
        "kind": kind.value,
        "offence": int(offence),
    }
    raw = sum(value << RawRequest[name].offset for name, value in values.items())
    engine.memory_write(OFFSETS["source"], address, 8)
    engine.memory_write(OFFSETS["destination"], raw, 8)
    engine.memory_write(OFFSETS["control"], 1, 4)
    levels, others = [], []
    while len(levels) < 2:
        events = engine.run(1000)
        assert events
        for event in events:
            (levels if event.kind == EventKind.INTX else others).append(event)
    assert [event.b for event in levels] == [1, 0], "busy, then not"
    return others


LEGAL = [
    (READ, 0x1000, 128, 0xF, 0xF),
    (READ, 0x1FFC, 1, 0x6, 0x0),
    (READ, 0x1FF8, 2, 0x5, 0xA),
    (READ, 0x1FF4, 3, 0x8, 0x1),
    (READ, 0x1000, 1, 0x0, 0x0),
    (WRITE, 0x1F00, 64, 0xC, 0x3),
]


@pytest.mark.parametrize(("kind", "address", "length", "first_be", "last_be"), LEGAL)
def test_legal_requests_pass(engine, kind, address, length, first_be, last_be):
    send(engine, kind, address, length, first_be, last_be)
    engine.run(1000)
    assert engine.violations == []


ILLEGAL = [
    ((READ, 0x1F00, 128), "read of 512 bytes at 0x1f00 crosses 4 KiB"),
    ((WRITE, 0x1FF8, 3), "write of 12 bytes at 0x1ff8 crosses 4 KiB"),
    ((READ, 0x1000, 129), "read of 516 bytes; the limit is 512"),
    ((WRITE, 0x1000, 65), "write of 260 bytes; the limit is 256"),
    ((READ, 0x1002, 1, 0xF, 0x0), "is not at a dword"),
    ((READ, 0x1000, 1, 0xF, 0xF), "byte enables 0xf and 0xf"),
    ((READ, 0x1000, 2, 0xF, 0x0), "byte enables 0xf and 0x0"),
    ((READ, 0x1004, 2, 0x5, 0xA), "byte enables 0x5 and 0xa"),
    ((READ, 0x1000, 3, 0x7, 0xF), "byte enables 0x7 and 0xf"),
    ((READ, 0x1000, 0), "read of 0 dwords"),
    ((RequestKind.IO_READ, 0x1000, 1), "request of kind 2"),
    ((RequestKind.CONFIG_WRITE_0, 0x1000, 1), "request of kind 5"),
]


@pytest.mark.parametrize(("request_", "text"), ILLEGAL)
def test_illegal_requests_are_named(engine, request_, text):
    with pytest.raises(ProtocolError, match=text):
        send(engine, *request_)


@pytest.mark.parametrize("code", ErrorMessage)
def test_a_message_of_an_error_is_counted_and_told(engine, code):
    events = send(engine, RequestKind.MESSAGE, 0, 0, code.value & 0xF, code.value >> 4)
    assert [event.status for event in events] == [code.value]
    assert engine.tlps()["up_error_message"] == 1
    assert engine.violations == []


ILLEGAL_MESSAGES = [
    ((0, 0, 0x0, 0x2), "message with code 0x20 is of no error"),
    ((0, 0, 0x2, 0x3), "message with code 0x32 is of no error"),
    ((0, 1, 0x1, 0x3), "message of an error with a length of 1 dwords"),
    ((0x1000, 0, 0x1, 0x3), "message of an error with reserved fields: address 0x1000"),
]


@pytest.mark.parametrize(("request_", "text"), ILLEGAL_MESSAGES)
def test_illegal_messages_are_named(engine, request_, text):
    with pytest.raises(ProtocolError, match=text):
        send(engine, RequestKind.MESSAGE, *request_)


def test_a_message_with_the_wrong_requester_is_named(engine):
    with pytest.raises(ProtocolError, match="message with requester id 0101, not 0100"):
        send(engine, RequestKind.MESSAGE, 0, 0, 0x0, 0x3, offence=Offence.REQUESTER.value)


OFFENCES = [
    (Offence.UNSTABLE, "the payload changed while it waited"),
    (Offence.WITHDRAWN, "valid was withdrawn before ready"),
    (Offence.FIRST, "first is 0"),
    (Offence.LAST, "last is"),
    (Offence.DWORDS, "dwords is 0x2, not 0x3"),
    (Offence.HEADER, "the header changed inside a packet"),
    (Offence.REQUESTER, "requester id 0101, not 0100"),
]


@pytest.mark.parametrize(("offence", "text"), OFFENCES)
def test_stream_rules_are_checked(engine, offence, text):
    with pytest.raises(ProtocolError, match=text):
        send(engine, WRITE, 0x1000, 16, offence=offence.value)


def test_tags_in_flight_are_not_used_again(engine):
    send(engine, READ, 0x1000, 16, tag=9)
    send(engine, READ, 0x2000, 16, tag=10)
    engine.run(1000)
    send(engine, READ, 0x1000, 16, tag=9)
    with pytest.raises(ProtocolError, match="tag 9 is used again"):
        send(engine, READ, 0x1000, 16, tag=9)


def test_byte_enables_choose_what_is_written(engine):
    memory = engine.memory
    for length, first_be, last_be in (
        (1, 0b0110, 0),
        (1, 0b1001, 0),
        (2, 0b0101, 0b1010),
        (5, 0b1100, 0b0001),
    ):
        memory.fill(0, 0x100, 0xEE)
        send(engine, WRITE, 0x20, length, first_be, last_be)
        expected = bytearray(b"\xee" * 0x100)
        for index in range(4 * length):
            dword = index // 4
            enables = first_be if dword == 0 else last_be if dword == length - 1 else 0xF
            if enables >> index % 4 & 1:
                # The device's payload dwords count from 0.
                expected[0x20 + index] = dword.to_bytes(4, "little")[index % 4]
        assert memory.read(0, 0x100) == bytes(expected), (length, first_be, last_be)


def test_a_lenient_host_collects_complaints():
    config, memory = DeviceConfig(data_width=64), GuestMemory(1 << 20)
    with NativeEngine(config, memory, component=offender_verilog(), strict=False) as engine:
        send(engine, READ, 0x1002, 1, 0xF, 0xF)
        assert len(engine.violations) == 2
        assert engine.stats()["violations"] == 2
