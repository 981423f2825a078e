"""What registers are not asked for, and do not say."""

from ..explained import Explanation

__all__ = ["REGISTERS"]

REGISTERS = (
    Explanation(
        ("core.faces.*__offset", "core.common.request*__offset"),
        "Registers are read and written by dwords.",
        0,
        1,
    ),
    Explanation(("core.faces.*__offset",), "A BAR has 2^14 bytes.", 14, 23),
    Explanation(
        ("core.faces.legacy.asked__offset",),
        "The registers of the legacy face are in its first 60 bytes.",
        6,
        23,
    ),
    Explanation(("core.faces.legacy.asked__bar",), "They are in BAR 0."),
    Explanation(("core.faces.*bar", "core.common.request*__bar"), "There are BARs 0, 1 and 4.", 1, 1),
    Explanation(
        ("core.faces.device__responses__payload",),
        "What the configuration of this disk says is constant.",
        but=(1, 2, 3, 4, 9, 10, 18),
    ),
    Explanation(("core.common.config_generation",), "And so does not change."),
    Explanation(("core.common.clk",), "The clock is not counted."),
)
