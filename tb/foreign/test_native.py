"""The DMA engine of examples/foreign_axi on the native engine: what goes wrong, and resets."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ringwalker.pci.capabilities import layout
from ringwalker.spec.pci import HEADER, Command
from ringwalker.spec.pcie import DeviceControl
from ringwalker_sim.engine.native.abi import EventKind
from ringwalker_sim.engine.native.engine import NativeEngine, NativeEvent
from ringwalker_sim.foreign.device import ForeignDevice, foreign_device
from ringwalker_sim.host import HostParameters
from ringwalker_sim.memory import GuestMemory

pytestmark = pytest.mark.slow

FOLDER = Path("examples/foreign_axi")
BAR = 0xE000_0000
ID, CONTROL, STATUS, LENGTH, HOST_LO, HOST_HI, BUFFER, COUNT, SCRATCH, HANG = range(BAR, BAR + 0x28, 4)
START, TO_HOST, BUSY, DONE, FAILED = 1, 2, 1, 2, 4


@pytest.fixture(scope="module")
def device() -> ForeignDevice:
    return foreign_device([FOLDER / "dma_engine.v"], FOLDER / "ports.toml")


@pytest.fixture
def engine(device: ForeignDevice) -> Iterator[NativeEngine]:
    host = HostParameters(completion_timeout=device.timeout, stalls=0.1)
    memory = GuestMemory(1 << 20, 1 << 20)
    with NativeEngine(device.config, memory, component=device.verilog(), host=host) as engine:
        enable(engine)
        yield engine


def enable(engine: NativeEngine) -> None:
    engine.config_write(HEADER.bar0.offset, 4, BAR)
    engine.config_write(HEADER.command.offset, 2, Command.MEMORY_ENABLE | Command.BUS_MASTER_ENABLE)


def begin(engine: NativeEngine, address: int, length: int, to_host: bool) -> None:
    values = (length, address, 0, 0, START | (TO_HOST if to_host else 0))
    for register, value in zip((LENGTH, HOST_LO, HOST_HI, BUFFER, CONTROL), values, strict=True):
        engine.memory_write(register, value, 4)


def transfer(engine: NativeEngine, address: int, length: int, to_host: bool) -> int:
    """A transfer; its status at the end."""
    begin(engine, address, length, to_host)
    while (status := engine.memory_read(STATUS, 4)) & BUSY:
        pass
    return status


def levels(events: list[NativeEvent]) -> list[int]:
    return [event.b for event in events if event.kind is EventKind.INTX]


def test_data_goes_both_ways_and_inta_follows_it(engine: NativeEngine) -> None:
    memory = engine.memory
    source, target = memory.base, memory.base + 0x8018
    memory.array[:8192] = np.random.default_rng(1).integers(0, 256, 8192, dtype=np.uint8)
    assert transfer(engine, source, 8192, to_host=False) == DONE
    engine.memory_write(STATUS, 1, 4)
    engine.run(2000)
    begin(engine, target, 8192, to_host=True)
    while not levels(events := engine.run(100_000)) or not levels(events)[0]:
        pass
    # All is there when the level is seen.
    assert memory.read(target, 8192) == memory.read(source, 8192)
    assert not engine.faults


def test_what_is_not_there_is_an_error_of_the_bus(engine: NativeEngine) -> None:
    assert transfer(engine, 0x4000_0000, 64, to_host=False) == DONE | FAILED


def test_without_bus_mastering_a_read_is_an_error(engine: NativeEngine) -> None:
    engine.config_write(HEADER.command.offset, 2, Command.MEMORY_ENABLE)
    assert transfer(engine, engine.memory.base, 64, to_host=False) == DONE | FAILED
    engine.memory_write(STATUS, 1, 4)
    assert transfer(engine, engine.memory.base, 64, to_host=True) == DONE
    assert not engine.memory.array.any()


@pytest.mark.parametrize("to_host", [False, True])
@pytest.mark.parametrize("cycles", [3, 150, 700])
def test_a_function_level_reset_ends_a_transfer(
    engine: NativeEngine, device: ForeignDevice, to_host: bool, cycles: int
) -> None:
    engine.memory_write(SCRATCH, 5, 4)
    begin(engine, engine.memory.base, 8192, to_host)
    engine.memory_read(SCRATCH, 4)
    engine.run(cycles)
    dword, shift, _ = layout(device.config)["pcie"].locate("device_control")
    engine.config_write(4 * dword + shift // 8, 2, DeviceControl.INITIATE_FUNCTION_LEVEL_RESET)
    engine.run(3000)
    sent = engine.stats()["up_memory_write"]
    engine.run(3000)
    assert engine.stats()["up_memory_write"] == sent
    enable(engine)
    assert [engine.memory_read(register, 4) for register in (SCRATCH, COUNT, STATUS)] == [0, 0, 0]
    engine.memory.array[:64] = 7
    assert transfer(engine, engine.memory.base, 64, to_host=False) == DONE
    assert transfer(engine, engine.memory.base + 4096, 64, to_host=True) == DONE
    assert engine.memory.array[4096:4160].tolist() == [7] * 64


def test_a_register_that_hangs_leaves_configuration_space(
    engine: NativeEngine, device: ForeignDevice
) -> None:
    begun = engine.now
    assert engine.memory_read(HANG, 4) == 0xFFFF_FFFF
    assert device.timeout <= engine.now - begun < device.timeout + 100
    begun = engine.now
    assert engine.config_read(HEADER.vendor_id.offset, 2) == 0x1234
    assert engine.memory_read(SCRATCH, 4) == 0xFFFF_FFFF
    assert engine.now - begun < 1000
    engine.reset()
    enable(engine)
    assert engine.memory_read(ID, 4) == 0x444D4131
