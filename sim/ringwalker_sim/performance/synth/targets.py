"""The families of FPGA that can be synthesized for: their cells, and the paths through them."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CELL_CLASSES", "TARGETS", "Arc", "CellPaths", "Target"]

CELL_CLASSES = ("lut", "ff", "bram", "lutram", "carry", "mux", "dsp")
"""What cells are counted as."""


@dataclass(frozen=True)
class Arc:
    """A path from input pins to output pins of a cell without a clock, each a (port, bit) pair.

    ``kind`` is ``"lut"``, ``"carry"`` or ``"mux"``: what it counts as on a path; ``""`` counts as nothing.
    """

    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    kind: str


CellPaths = tuple[Arc, ...]


def _pins(*names: str) -> tuple[tuple[str, int], ...]:
    return tuple((name, 0) for name in names)


def _bus(name: str, width: int) -> tuple[tuple[str, int], ...]:
    return tuple((name, bit) for bit in range(width))


def _gate(inputs: str, output: str, kind: str) -> CellPaths:
    return (Arc(_pins(*inputs.split()), _pins(output), kind),)


@dataclass(frozen=True)
class Target:
    """One family.

    ``command`` is the command of yosys; ``classes`` says what each type of cell is counted as, with how many
    of its class it is worth; ``paths`` has the cells that pass signals on without a clock, every other cell
    begins and ends paths. ``note`` says for readers how area is counted. ``flat_option``: the command
    flattens only with ``-flatten``; the others flatten unless ``-noflatten`` is there.
    """

    name: str
    family: str
    command: str
    classes: Mapping[str, tuple[str, int]]
    paths: Mapping[str, CellPaths]
    note: str
    flat_option: bool = False


_ECP5_PATHS: dict[str, CellPaths] = {
    "LUT4": _gate("A B C D", "Z", "lut"),
    "PFUMX": _gate("ALUT BLUT C0", "Z", "mux"),
    "L6MUX21": _gate("D0 D1 SD", "Z", "mux"),
    # Two LUTs and their carry: what enters by a data pin passes a LUT, what enters by the carry does not.
    "CCU2C": (
        Arc(_pins("A0", "B0", "C0", "D0"), _pins("S0", "S1", "COUT"), "lut"),
        Arc(_pins("A1", "B1", "C1", "D1"), _pins("S1", "COUT"), "lut"),
        Arc(_pins("CIN"), _pins("S0", "S1", "COUT"), "carry"),
    ),
    "TRELLIS_DPR16X4": (Arc(_bus("RAD", 4), _bus("DO", 4), "lut"),),
    "INV": _gate("A", "Z", "lut"),
}

_ICE40_PATHS: dict[str, CellPaths] = {
    "SB_LUT4": _gate("I0 I1 I2 I3", "O", "lut"),
    "SB_CARRY": _gate("I0 I1 CI", "CO", "carry"),
    "ICESTORM_LC": (
        Arc(_pins("I0", "I1", "I2", "I3"), _pins("O"), "lut"),
        Arc(_pins("I1", "I2", "CIN"), _pins("COUT"), "carry"),
    ),
    "$__ICE40_CARRY_WRAPPER": (
        Arc(_pins("A", "B", "CI"), _pins("CO"), "carry"),
        Arc(_pins("A", "B", "I0", "I3"), _pins("O"), "lut"),
    ),
}


def _xilinx_carry(width: int) -> CellPaths:
    def results(first: int) -> tuple[tuple[str, int], ...]:
        return tuple((port, bit) for port in ("O", "CO") for bit in range(first, width))

    entries = [Arc((*_pins("CI", "CYINIT", "CI_TOP"),), results(0), "carry")]
    entries += [Arc((("S", bit), ("DI", bit)), results(bit), "carry") for bit in range(width)]
    return tuple(entries)


def _xilinx_memory(ports: str, depth_bits: int, width: int) -> CellPaths:
    return tuple(Arc(_bus(f"ADDR{port}", depth_bits), _bus(f"DO{port}", width), "lut") for port in ports)


def _xilinx_paths() -> dict[str, CellPaths]:
    paths = {
        f"LUT{inputs}": _gate(" ".join(f"I{bit}" for bit in range(inputs)), "O", "lut")
        for inputs in range(1, 7)
    }
    paths["LUT6_2"] = (Arc(_pins(*(f"I{bit}" for bit in range(6))), _pins("O5", "O6"), "lut"),)
    for name in ("MUXF7", "MUXF8", "MUXF9"):
        paths[name] = _gate("I0 I1 S", "O", "mux")
    paths |= {"CARRY4": _xilinx_carry(4), "CARRY8": _xilinx_carry(8), "INV": _gate("I", "O", "lut")}
    for name, ports, depth_bits, width in (
        ("RAM32M", "ABCD", 5, 2),
        ("RAM32M16", "ABCDEFGH", 5, 2),
        ("RAM64M", "ABCD", 6, 1),
        ("RAM64M8", "ABCDEFGH", 6, 1),
    ):
        paths[name] = _xilinx_memory(ports, depth_bits, width)
    for depth_bits in (5, 6):
        pins = _pins(*(f"A{bit}" for bit in range(depth_bits)))
        reads = _pins(*(f"DPRA{bit}" for bit in range(depth_bits)))
        arcs = (Arc(pins, _pins("SPO"), "lut"), Arc(reads, _pins("DPO"), "lut"))
        paths[f"RAM{1 << depth_bits}X1D"] = arcs
    paths["RAM128X1D"] = (Arc(_bus("A", 7), _pins("SPO"), "lut"), Arc(_bus("DPRA", 7), _pins("DPO"), "lut"))
    paths["SRL16E"] = _gate("A0 A1 A2 A3", "Q", "lut")
    paths["SRLC32E"] = (Arc(_bus("A", 5), _pins("Q"), "lut"),)
    return paths


_XILINX_CLASSES: dict[str, tuple[str, int]] = {
    **{f"LUT{inputs}": ("lut", 1) for inputs in range(1, 7)},
    **dict.fromkeys(("LUT6_2", "INV", "SRL16E", "SRLC32E"), ("lut", 1)),
    **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), ("ff", 1)),
    **dict.fromkeys(("RAMB18E1", "RAMB18E2"), ("bram", 1)),
    **dict.fromkeys(("RAMB36E1", "RAMB36E2"), ("bram", 2)),
    **dict.fromkeys(("RAM32M", "RAM64M"), ("lutram", 4)),
    **dict.fromkeys(("RAM32M16", "RAM64M8"), ("lutram", 8)),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D"), ("lutram", 2)),
    "RAM128X1D": ("lutram", 4),
    **dict.fromkeys(("CARRY4", "CARRY8"), ("carry", 1)),
    **dict.fromkeys(("MUXF7", "MUXF8", "MUXF9"), ("mux", 1)),
    **dict.fromkeys(("DSP48E1", "DSP48E2"), ("dsp", 1)),
}

_ICE40_CLASSES: dict[str, tuple[str, int]] = {
    "SB_LUT4": ("lut", 1),
    "SB_CARRY": ("carry", 1),
    "SB_RAM40_4K": ("bram", 1),
    "SB_MAC16": ("dsp", 1),
    **{f"SB_DFF{kind}": ("ff", 1) for kind in ("", "E", "SR", "ESR", "SS", "ESS", "R", "ER", "S", "ES")},
}

_ECP5_CLASSES: dict[str, tuple[str, int]] = {
    "LUT4": ("lut", 1),
    "INV": ("lut", 1),
    "PFUMX": ("mux", 1),
    "L6MUX21": ("mux", 1),
    "CCU2C": ("carry", 1),
    "TRELLIS_FF": ("ff", 1),
    "TRELLIS_DPR16X4": ("lutram", 1),
    "DP16KD": ("bram", 1),
    "PDPW16KD": ("bram", 1),
    "MULT18X18D": ("dsp", 1),
}

_XILINX_WIRE_PS = 1200
"""What yosys is to take a wire for, in place of 300 ps. A block RAM answers after 2,500 ps: with short wires
that is eight LUTs, and other paths may grow by as many for the sake of area."""

_XILINX_COMMAND = (
    f"scratchpad -set synth_xilinx.abc9.W {_XILINX_WIRE_PS}; "
    "synth_xilinx -family {family} -noiopad -noclkbuf"
)

_XILINX_NOTE = (
    "LUTs have six inputs; a carry is a CARRY{carry}, LUT RAM is counted in LUTs (beside LUT), block RAM in "
    f"halves (18 Kb). LUTs are chosen for wires of {_XILINX_WIRE_PS:,} ps; with the 300 ps that yosys takes "
    "by itself there are fewer LUTs, and more of them on the longest path."
)

TARGETS = {
    target.name: target
    for target in (
        Target(
            "ecp5",
            "Lattice ECP5",
            "synth_ecp5 -nowidelut",
            _ECP5_CLASSES,
            _ECP5_PATHS,
            "LUTs have four inputs; a carry is a CCU2C (two LUTs more), LUT RAM a TRELLIS_DPR16X4 "
            "(four LUTs more), block RAM a DP16KD (18 Kb).",
        ),
        Target(
            "ice40",
            "Lattice iCE40",
            "synth_ice40",
            _ICE40_CLASSES,
            _ICE40_PATHS,
            "LUTs have four inputs; a carry is an SB_CARRY, block RAM an SB_RAM40_4K (4 Kb); there is no LUT "
            "RAM.",
        ),
        Target(
            "xilinx7",
            "Xilinx Series 7",
            _XILINX_COMMAND.format(family="xc7"),
            _XILINX_CLASSES,
            _xilinx_paths(),
            _XILINX_NOTE.format(carry=4),
            flat_option=True,
        ),
        Target(
            "xilinxup",
            "Xilinx UltraScale+",
            _XILINX_COMMAND.format(family="xcup"),
            _XILINX_CLASSES,
            _xilinx_paths(),
            _XILINX_NOTE.format(carry=8),
            flat_option=True,
        ),
    )
}
"""The families by name."""
