# amaranth: UnusedElaboratable=no
"""Control commands and the device configuration of the network function against a model."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from ringwalker.config import DeviceConfig
from ringwalker.function.net.device_config import net_features
from ringwalker.function.net.function import NetFunction
from ringwalker.function.net.settings import NetSettings
from ringwalker.spec.net import (
    NET_CONFIG,
    NetClass,
    NetControlAck,
    NetFeature,
    NetMacCommand,
    NetRxCommand,
    NetStatus,
)
from ringwalker_sim.testing import run_bench
from ringwalker_sim.testing.net import HEADER, NetBench

MAC = bytes([0x52, 0x57, 0, 0, 0, 1])
MTU = 400
OK, ERR = int(NetControlAck.OK), int(NetControlAck.ERR)


class Model:
    """What the driver has set, and the commands one after the other."""

    def __init__(self):
        self.mac = MAC
        self.rx_mode = 0
        self.link = True

    def image(self) -> bytes:
        content = bytearray(NET_CONFIG.size)
        values = {
            "mac": int.from_bytes(self.mac, "little"),
            "status": NetStatus.LINK_UP if self.link else 0,
            "mtu": MTU,
            "rx_mode": self.rx_mode,
        }
        for name, value in values.items():
            register = NET_CONFIG[name]
            content[register.offset : register.offset + register.size] = int(value).to_bytes(
                register.size, "little"
            )
        return bytes(content)

    def execute(self, command: bytes, room: int, failed: bool) -> bytes:
        """What is written."""
        if failed or not room:
            return b""
        kind, data = tuple(command[:2]), command[2:]
        if kind in ((NetClass.RX, 0), (NetClass.RX, 1)) and data in (b"\0", b"\1"):
            bit = 1 << kind[1]
            self.rx_mode = self.rx_mode & ~bit | bit * data[0]
            return bytes([OK])
        if kind == (NetClass.MAC, NetMacCommand.ADDR_SET) and len(data) == 6 and not data[0] & 1:
            self.mac = data
            return bytes([OK])
        if kind == (NetClass.MAC, NetMacCommand.TABLE_SET) and len(data) >= 8:
            return bytes([OK])
        if kind == (NetClass.CONFIG, 0) and not data:
            return (bytes([OK]) + self.image())[:room]
        return bytes([ERR])


def random_command() -> bytes:
    station = bytes([random.randrange(0, 256, 2)]) + random.randbytes(5)
    return random.choice(
        [
            bytes([NetClass.RX, NetRxCommand.PROMISCUOUS, random.choice([0, 1])]),
            bytes([NetClass.RX, NetRxCommand.ALL_MULTICAST, random.choice([0, 1])]),
            bytes([NetClass.RX, random.choice([0, 1, 2, 255]), random.randrange(256)]),
            bytes([NetClass.RX, 0]),
            bytes([NetClass.RX, 0, 1, 0]),
            bytes([NetClass.MAC, NetMacCommand.ADDR_SET]) + station,
            bytes([NetClass.MAC, NetMacCommand.ADDR_SET]) + random.randbytes(random.choice([5, 6, 7, 70])),
            bytes([NetClass.MAC, NetMacCommand.TABLE_SET]) + bytes(random.choice([6, 8, 20])),
            bytes([NetClass.CONFIG, 0]),
            bytes([NetClass.CONFIG, 0]),
            bytes([NetClass.CONFIG, 1]),
            bytes([NetClass.CONFIG, 0, 0]),
            random.randbytes(random.choice([0, 1, 2, 3, 8, 64, 200])),
        ]
    )


@cocotb.test()
async def commands_of_every_kind_among_frames(dut):
    bench, model = NetBench(dut, 0.2), Model()
    await bench.start()
    expected = []
    for _ in range(250):
        if random.random() < 0.3:
            bench.transmit(HEADER + random.randbytes(random.choice([3, 20, 100])))
            expected.append(b"")
            continue
        command = random_command()
        room = random.choice([1, 1, 0, 2, 7, 8, 9, 17, 33, 34, 35, 100])
        beats = -(-len(command) // bench.beat_bytes)
        error_at = random.randrange(beats) if beats and random.random() < 0.1 else None
        bench.command(command, room, error_at)
        expected.append(model.execute(command, room, error_at is not None))
    await bench.until(lambda: len(bench.outgoing.answers) == len(expected))
    await bench.settle()
    assert [answer.content for answer in bench.outgoing.answers] == expected
    assert await bench.registers.get("rx_mode") == model.rx_mode
    assert await bench.registers.get("mac") & (1 << 48) - 1 == int.from_bytes(model.mac, "little")
    assert bench.changes.count == 0, "the driver knows what it has set itself"
    bench.check_idle()


@cocotb.test()
async def configuration_reads_as_the_table_says(dut):
    bench, model = NetBench(dut), Model()
    await bench.start()
    image = model.image().ljust(64, b"\0")
    for offset in range(0, 64, 4):
        assert await bench.registers.read(offset) == int.from_bytes(image[offset : offset + 4], "little")
    assert await bench.registers.read(0xFFC) == 0


@cocotb.test()
async def only_address_and_mode_can_be_written_a_byte_at_a_time(dut):
    bench, model = NetBench(dut), Model()
    await bench.start()
    for _ in range(60):
        offset, strobe = random.choice([0, 4, 8, 12, 16, 32, 36, 4092]), random.randrange(16)
        value = random.getrandbits(32)
        await bench.registers.write(offset, value, strobe)
        for lane in range(4):
            at, byte = offset + lane, value >> 8 * lane & 0xFF
            if strobe >> lane & 1 and at < 6:
                model.mac = model.mac[:at] + bytes([byte]) + model.mac[at + 1 :]
            elif strobe >> lane & 1 and at == NET_CONFIG.rx_mode.offset:
                model.rx_mode = byte & 3
        at = random.randrange(0, 36, 4)
        wanted = model.image().ljust(36, b"\0")[at : at + 4]
        assert await bench.registers.read(at) == int.from_bytes(wanted, "little")
    dut.clear.value = 1
    await ClockCycles(dut.clk, 1)
    dut.clear.value = 0
    assert await bench.registers.get("mac") & (1 << 48) - 1 == int.from_bytes(MAC, "little")
    assert await bench.registers.get("rx_mode") == 0


@cocotb.test()
async def generation_and_notification_follow_what_the_device_changes(dut):
    bench = NetBench(dut)
    await bench.start()
    generation = 0
    for count, up in enumerate([0, 1, 0], 1):
        dut.mac_link_up.value = up
        await ClockCycles(dut.clk, 10)
        generation += 1
        assert bench.changes.count == count
        assert int(dut.generation.value) == generation
        assert await bench.registers.get("status") == up
    bench.command(bytes([NetClass.RX, 0, 1]))
    bench.command(bytes([NetClass.MAC, NetMacCommand.ADDR_SET, 2, 0, 0, 0, 0, 7]))
    bench.command(bytes([NetClass.MAC, NetMacCommand.ADDR_SET, 3, 0, 0, 0, 0, 7]))
    bench.command(bytes([NetClass.CONFIG, 0]))
    await bench.settle()
    assert [answer.content[0] for answer in bench.outgoing.answers] == [OK, OK, ERR, OK]
    assert int(dut.generation.value) == generation + 2
    assert bench.changes.count == 3


SLOW, CAMPAIGN = pytest.mark.slow, pytest.mark.campaign
OTHERS = (pytest.param(128, marks=CAMPAIGN), pytest.param(256, marks=CAMPAIGN), pytest.param(512, marks=SLOW))


@pytest.mark.parametrize("data_width", [64, *OTHERS])
def test_net_control(data_width):
    net = NetSettings(mac="52:57:00:00:00:01", mtu=MTU, buffer_bytes=2048, pause=data_width in (64, 512))
    config = DeviceConfig(function="net", data_width=data_width, settings=net)
    run_bench(NetFunction(config), "tb.function.net.test_control", parameters={"data_width": data_width})


def test_features_are_those_that_work():
    names = {bit.name for bit in NetFeature if net_features(DeviceConfig(function="net")) >> bit & 1}
    assert names == {"MAC", "STATUS", "MTU", "CTRL_VQ", "CTRL_RX", "CTRL_MAC_ADDR"}
