"""Registers around a netlist, so that place and route sees a design of three pins.

Every input of the design comes from a register of one long chain that a pin feeds. Every output goes into a
register, and from there by exclusive or into a second chain that ends at a pin. So each path from and to a
port of the design begins or ends at a register beside it, nothing can be left out, and no pin's delay counts.
"""

from collections.abc import Iterator

from .netlist import Module

__all__ = ["WRAPPER", "ecp5_wrapper"]

WRAPPER = "ringwalker_pins"
"""The name of the module around the design."""

_FF = 'TRELLIS_FF #(.GSR("DISABLED"), .CEMUX("1"), .CLKMUX("CLK"), .LSRMUX("LSR"), .REGSET("RESET"))'


def _flip_flop(name: str, source: str, result: str) -> str:
    return f"  {_FF} {name} (.CLK(clk), .DI({source}), .Q({result}));"


def _lines(top: str, module: Module, clock: str) -> Iterator[str]:
    inputs = [(name, len(bits)) for name, (direction, bits) in module.ports.items() if direction == "input"]
    outputs = [(name, len(bits)) for name, (direction, bits) in module.ports.items() if direction != "input"]
    inputs = [(name, width) for name, width in inputs if name != clock]
    fed, seen = sum(width for _name, width in inputs), sum(width for _name, width in outputs)
    yield f"module {WRAPPER} (input clk, input feed, output seen);"
    yield f"  wire [{fed}:0] feeds; wire [{seen}:0] chain; wire [{max(seen, 1) - 1}:0] outs, taken, mixed;"
    yield f"  assign feeds[0] = feed; assign chain[0] = 1'b0; assign seen = chain[{seen}];"
    for bit in range(fed):
        yield _flip_flop(f"feed_{bit}", f"feeds[{bit}]", f"feeds[{bit + 1}]")
    for bit in range(seen):
        yield _flip_flop(f"take_{bit}", f"outs[{bit}]", f"taken[{bit}]")
        pins = f".A(taken[{bit}]), .B(chain[{bit}]), .C(1'b0), .D(1'b0), .Z(mixed[{bit}])"
        yield f"  LUT4 #(.INIT(16'h6666)) mix_{bit} ({pins});"
        yield _flip_flop(f"pass_{bit}", f"mixed[{bit}]", f"chain[{bit + 1}]")
    connections = [f".{clock}(clk)"]
    place = 1
    for name, width in inputs:
        connections.append(f".{name}(feeds[{place + width - 1}:{place}])")
        place += width
    place = 0
    for name, width in outputs:
        connections.append(f".{name}(outs[{place + width - 1}:{place}])")
        place += width
    yield f"  {top} design ({', '.join(connections)});"
    yield "endmodule"


def ecp5_wrapper(top: str, module: Module, clock: str = "clk") -> str:
    """Verilog of the module :data:`WRAPPER` around ``top``, in cells of ECP5.

    Errors: ``ValueError`` when ``module`` has no input ``clock``.
    """
    if module.ports.get(clock, ("", []))[0] != "input":
        raise ValueError(f"{top} has no input {clock!r}; only blocks with registers can be placed and routed")
    return "\n".join(_lines(top, module, clock)) + "\n"
