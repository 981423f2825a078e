"""AxiLiteMaster: accesses become transfers, and one that is not answered holds up nothing for ever."""

import pytest

from ringwalker.shim.axi_lite import AxiLiteMaster
from ringwalker_sim.testing.inprocess import Bench, simulated

TIMEOUT = 40
BASE = 0x100


class Master(Bench):
    width = 32

    @classmethod
    def component(cls):
        return AxiLiteMaster(cls.width, BASE, TIMEOUT)

    def serve(self, answers=True, resp=0):
        """A slave with a memory of dwords by address; ``asked`` are the addresses of its reads."""
        self.memory, self.asked, self.answers, self.resp = {}, [], answers, resp
        self.each_cycle(self._slave)

    def _slave(self):
        lanes, value = self.width // 32, self.value
        both = value("bus.awvalid") and value("bus.wvalid") and self.random.random() < 0.5
        if value("bus.awready") and value("bus.wready"):
            at = value("bus.awaddr")
            lane = at // 4 % lanes
            strobe = value("bus.wstrb") >> 4 * lane
            assert value("bus.wstrb") == strobe << 4 * lane
            for byte in range(4):
                if strobe >> byte & 1:
                    self.memory[at + byte] = value("bus.wdata") >> 32 * lane + 8 * byte & 0xFF
            self.drive("bus.bvalid", int(self.answers))
            both = False
        elif value("bus.bvalid"):
            self.drive("bus.bvalid", 0)
        self.drive("bus.awready", int(both))
        self.drive("bus.wready", int(both))
        if value("bus.arvalid") and value("bus.arready"):
            at = value("bus.araddr")
            self.asked.append(at)
            word = sum(self.memory.get(at + byte, 0) << 8 * byte for byte in range(4))
            self.drive("bus.rdata", word << 32 * (at // 4 % lanes))
            self.drive("bus.rvalid", int(self.answers))
        elif value("bus.rvalid"):
            self.drive("bus.rvalid", 0)
        self.drive("bus.rresp", self.resp)
        self.drive("bus.arready", int(self.random.random() < 0.5))

    def write(self, offset, data, strobe=0xF):
        self.put("registers.requests", {"offset": offset, "data": data, "strobe": strobe, "write": 1})

    async def read(self, offset):
        self.put("registers.requests", {"offset": offset, "strobe": 0xF})
        return (await self.get("registers.responses"))["data"]


class WideMaster(Master):
    width = 64


@pytest.mark.parametrize("make", [Master, WideMaster])
def test_what_is_written_is_read(make):
    async def body(bench):
        bench.serve()
        for n in range(8):
            bench.write(4 * n, 0x1111_1111 * n)
        bench.write(8, 0xAABB_CCDD, strobe=0b0110)
        assert [await bench.read(4 * n) for n in (0, 1, 7)] == [0, 0x1111_1111, 0x7777_7777]
        assert await bench.read(8) == 0x22BB_CC22
        assert bench.asked == [BASE, BASE + 4, BASE + 28, BASE + 8]

    make().run(body)


@simulated(Master)
async def test_a_read_that_fails_gives_all_ones(bench):
    bench.serve(resp=2)
    assert await bench.read(0) == 0xFFFF_FFFF


@simulated(Master)
async def test_a_read_without_an_answer_gives_all_ones_and_so_do_those_behind_it(bench):
    bench.serve(answers=False)
    begin = bench.cycle
    assert await bench.read(0) == 0xFFFF_FFFF
    assert TIMEOUT <= bench.cycle - begin < TIMEOUT + 10
    begin = bench.cycle
    bench.write(0, 1)
    assert await bench.read(4) == 0xFFFF_FFFF
    assert bench.cycle - begin < 10
    assert bench.asked == [BASE]


@simulated(Master)
async def test_a_late_answer_ends_that(bench):
    bench.serve(answers=False)
    assert await bench.read(0) == 0xFFFF_FFFF
    bench.answers = True
    bench.drive("bus.rvalid", 1)
    await bench.cycles(3)
    bench.memory[BASE + 4] = 5
    assert await bench.read(4) == 5
