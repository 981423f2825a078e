"""Headers as on the wire, beside those that cocotbext-pcie packs."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpAttr, TlpTc, TlpType
from cocotbext.pcie.core.utils import PcieId

from ringwalker.component import Component
from ringwalker.spec.tlp import CompletionHeader, RequestHeader
from ringwalker.tlp.raw_header import raw_completion_header, raw_request_header
from ringwalker_sim.engine.cocotb.tlp import completion_header, request_header
from ringwalker_sim.testing.inprocess import Bench, simulated


class Headers(Component):
    request: In(RequestHeader)
    raw_request: Out(128)
    completion: In(CompletionHeader)
    raw_completion: Out(128)

    def elaborate(self, platform):
        m: Any = Module()
        m.d.comb += [
            self.raw_request.eq(raw_request_header(self.request)),
            self.raw_completion.eq(raw_completion_header(self.completion)),
        ]
        return m


class Raw(Bench):
    @classmethod
    def component(cls):
        return Headers()


def _tlp(kind: TlpType, **fields: Any) -> Tlp:
    tlp = Tlp()
    tlp.fmt_type = kind
    tlp.requester_id = PcieId(3, 7, 1)
    tlp.tag, tlp.tc, tlp.attr = 0x5A, TlpTc.TC5, TlpAttr.RO | TlpAttr.IDO
    tlp.length, tlp.first_be, tlp.last_be = 9, 0xE, 0x7
    for name, value in fields.items():
        setattr(tlp, name, value)
    return tlp


REQUESTS = [
    _tlp(TlpType.MEM_READ, address=0xFEED_CAF0),
    _tlp(TlpType.MEM_WRITE_64, address=0x1234_5678_9ABC_DEF0, ep=True),
    _tlp(TlpType.IO_WRITE, address=0xC004, length=1, last_be=0),
    _tlp(TlpType.IO_READ, address=0xC000, length=1, last_be=0),
    _tlp(TlpType.CFG_READ_0, address=0x344, length=1, last_be=0, completer_id=PcieId(2, 1, 5)),
    _tlp(TlpType.CFG_WRITE_1, address=0x10, length=1, last_be=0, completer_id=PcieId(2, 1, 5)),
]


@simulated(Raw)
async def test_requests(bench):
    for tlp in REQUESTS:
        fields = {name.removeprefix("header_"): value for name, value in request_header(tlp).items()}
        bench.drive("request", fields)
        await bench.cycles()
        raw = bench.value("raw_request").to_bytes(16, "big")
        assert raw == tlp.pack_header().ljust(16, b"\0"), tlp


@simulated(Raw)
async def test_completions(bench):
    for kind, status in ((TlpType.CPL_DATA, CplStatus.SC), (TlpType.CPL, CplStatus.UR)):
        more = {"completer_id": PcieId(9, 4, 2), "status": status, "byte_count": 77, "lower_address": 0x54}
        tlp = _tlp(kind, **more, length=9 if kind is TlpType.CPL_DATA else 0)
        fields = {name.removeprefix("header_"): value for name, value in completion_header(tlp).items()}
        bench.drive("completion", fields)
        await bench.cycles()
        assert bench.value("raw_completion").to_bytes(16, "big") == tlp.pack_header().ljust(16, b"\0")
