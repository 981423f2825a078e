"""When something that is to become quiet counts as quiet."""

from typing import Any

from amaranth.hdl import Mux

__all__ = ["QUIET_CYCLES", "when_quiet"]

QUIET_CYCLES = 8
"""Consecutive cycles for which a block has to be idle: more than it takes an item to show up in the block
that took it."""


def when_quiet(m: Any, count: Any, condition: Any, state: str) -> None:
    """In a state of an FSM: on to ``state`` when ``condition`` has held for QUIET_CYCLES.

    ``count``, of at least ``range(QUIET_CYCLES)``, is 0 when the state begins and when it ends so.
    """
    m.d.sync += count.eq(Mux(condition, count + 1, 0))
    with m.If(condition & (count == QUIET_CYCLES - 1)):
        m.d.sync += count.eq(0)
        m.next = state
