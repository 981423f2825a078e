"""AXI buses as groups of signals, from the side that asks."""

from amaranth.lib.wiring import In, Out, Signature

__all__ = ["ADDRESS_BITS", "LINE_BITS", "AxiLitePort", "AxiPort"]

ADDRESS_BITS, LINE_BITS = 64, 8
"""Widths of addresses and of the numbers of transactions; a design may have fewer."""


class AxiLitePort(Signature):
    """AXI4-Lite, or AXI4 with transfers of one beat. Parameters: ``data_width``, 32 or 64 bits.

    The members are AXI's own; addresses have 32 bits. Ref: AMBA AXI, IHI 0022E, B1.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                "awaddr": Out(32),
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(data_width),
                "wstrb": Out(data_width // 8),
                "bvalid": In(1),
                "bready": Out(1),
                "bresp": In(2),
                "arvalid": Out(1),
                "arready": In(1),
                "araddr": Out(32),
                "rvalid": In(1),
                "rready": Out(1),
                "rdata": In(data_width),
                "rresp": In(2),
            }
        )


class AxiPort(Signature):
    """AXI4. Parameters: ``data_width``, 32 to 512 bits. The members are AXI's own. Ref: IHI 0022E, A2."""

    def __init__(self, data_width: int):
        self.data_width = data_width
        request = {"id": LINE_BITS, "addr": ADDRESS_BITS, "len": 8, "size": 3, "burst": 2}
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                **{f"aw{name}": Out(width) for name, width in request.items()},
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(data_width),
                "wstrb": Out(data_width // 8),
                "wlast": Out(1),
                "bvalid": In(1),
                "bready": Out(1),
                "bid": In(LINE_BITS),
                "bresp": In(2),
                "arvalid": Out(1),
                "arready": In(1),
                **{f"ar{name}": Out(width) for name, width in request.items()},
                "rvalid": In(1),
                "rready": Out(1),
                "rid": In(LINE_BITS),
                "rdata": In(data_width),
                "rresp": In(2),
                "rlast": In(1),
            }
        )
