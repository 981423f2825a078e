"""The terminal behind the UART port of the native engine: bytes both ways, its events, and broken rules."""

import functools
import random

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.console.settings import ConsoleSettings
from ringwalker.verilog import to_verilog
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.build import TOP
from ringwalker_sim.engine.native.engine import NativeEngine, ProtocolError
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.traffic import CopyRegisters
from ringwalker_sim.testing.uart_echo import UartEcho, UartOffence

OFFSETS = {name: field.offset // 8 for name, field in CopyRegisters}
PAUSE, MOST_UNANNOUNCED, MOST_BYTES = 64, 4096, 1 << 20


@functools.cache
def echo_verilog():
    return to_verilog(UartEcho(64), TOP)


def open_echo(**host) -> NativeEngine:
    config = DeviceConfig(function="console", data_width=64, settings=ConsoleSettings(cols=300, rows=7))
    memory, parameters = GuestMemory(1 << 12), HostParameters(**host)
    engine = NativeEngine(config, memory, component=echo_verilog(), host=parameters)
    engine.config_write(0x10, 4, 0)
    return engine


def settle(engine: NativeEngine, cycles: int) -> list[int]:
    """Run so long; how many bytes each event announced."""
    end, counts = engine.now + cycles, []
    while engine.now < end:
        counts += [event.a for event in engine.run(end - engine.now) if event.kind is EventKind.BYTES]
    return counts


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_bytes_come_back_in_order(stalls):
    with open_echo(stalls=stalls) as engine:
        content = random.randbytes(3000)
        engine.ports.uart.send(content[:1000])
        engine.ports.uart.send(content[1000:])
        assert sum(settle(engine, 12_000)) == 3000
        assert engine.ports.uart.receive() == content
        assert engine.ports.uart.receive() == b""
        stats = engine.stats()
        assert stats["uart_tx_bytes"] == stats["uart_rx_bytes"] == 3000


def test_there_is_an_event_at_a_pause_or_when_there_is_much():
    with open_echo() as engine:
        engine.ports.uart.send(bytes(MOST_UNANNOUNCED + 10))
        assert settle(engine, MOST_UNANNOUNCED + 60) == [MOST_UNANNOUNCED]
        assert settle(engine, 100) == [10]
        # A byte a cycle: the first event comes after the last byte and the pause.
        begin = engine.now
        engine.ports.uart.send(b"abc")
        (event,) = engine.run(1000)
        assert (event.kind, event.a) == (EventKind.BYTES, 3)
        assert PAUSE <= event.cycle - begin < PAUSE + 12
        # There is no event for what was fetched.
        engine.ports.uart.send(b"abc")
        settle(engine, 20)
        assert engine.ports.uart.receive()[-3:] == b"abc"
        assert settle(engine, 200) == []


def test_loopback_needs_no_help():
    with open_echo() as engine:
        engine.ports.uart.loopback(True)
        engine.ports.uart.send(b"round")
        assert settle(engine, 1000) == []
        assert engine.stats()["uart_rx_bytes"] > 500
        engine.ports.uart.loopback(False)
        assert settle(engine, 200) == [5]
        assert sorted(engine.ports.uart.receive()) == sorted(b"round")


def test_what_nobody_fetches_is_bounded():
    with open_echo() as engine:
        engine.ports.uart.send(b"lost" + bytes(MOST_BYTES))
        settle(engine, MOST_BYTES + 200)
        assert engine.ports.uart.receive() == bytes(MOST_BYTES)
        assert engine.stats()["uart_lost"] == 4


def test_the_terminal_has_the_configured_size_at_first():
    with open_echo() as engine:
        assert engine.memory_read(OFFSETS["errors"], 4) == 307
        engine.ports.uart.set_terminal(1000, 2)
        assert engine.memory_read(OFFSETS["errors"], 4) == 1002
        with pytest.raises(ValueError, match="cols is 0"):
            engine.ports.uart.set_terminal(0, 2)


def test_a_reset_drops_nothing_of_what_the_terminal_has():
    with open_echo(stalls={"uart_tx": 0.9}) as engine:
        content = bytes(range(100))
        engine.ports.uart.send(content)
        settle(engine, 50)
        engine.reset()
        engine.ports.uart.receive()
        taken = engine.stats()["uart_rx_bytes"]
        assert 16 <= taken < 100
        settle(engine, 5000)
        assert engine.ports.uart.receive() == content[taken:]


@pytest.mark.parametrize(
    ("offence", "complaint"),
    [
        (UartOffence.UNSTABLE, "uart_tx: the payload changed"),
        (UartOffence.WITHDRAWN, "uart_tx: valid was withdrawn"),
    ],
)
def test_a_broken_rule_is_noticed(offence, complaint):
    with open_echo(stalls={"uart_tx": 0.6}) as engine:
        engine.memory_write(OFFSETS["destination"], int(offence), 4)
        assert engine.memory_read(OFFSETS["destination"], 4) == offence
        engine.ports.uart.send(bytes(400))
        with pytest.raises(ProtocolError, match=complaint):
            settle(engine, 1000)
