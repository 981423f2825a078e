"""Simulators that interpret a design or run it in Python, and replay a recording themselves."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from ringwalker.verilog import FlatTop

from ...toolchain import ToolError
from ...verilog_cache import TOP
from .contender import Status, Timing, run_measured
from .recording import Recording, Slot

__all__ = ["amaranth", "icarus", "no_icarus", "replay_component"]

_SOURCES = Path(__file__).parent / "src"


def no_icarus() -> str | None:
    """How Icarus Verilog is installed, if it is not."""
    return None if shutil.which("iverilog") and shutil.which("vvp") else "apt-get install iverilog"


def _values(rows: np.ndarray, slot: Slot) -> list[int]:
    """What a port is in each row."""
    columns = np.ascontiguousarray(rows[:, slot.first : slot.first + slot.words]).astype("<u4")
    return [int.from_bytes(row.tobytes(), "little") for row in columns]


def _hex(rows: np.ndarray, slots: Sequence[Slot]) -> str:
    """Each row as one number in hexadecimal, the first port highest."""
    width = sum(slot.port.width for slot in slots)
    numbers = [0] * len(rows)
    for slot in slots:
        for row, value in enumerate(_values(rows, slot)):
            numbers[row] = numbers[row] << slot.port.width | value
    return "".join(f"{number:0{-(-width // 4)}x}\n" for number in numbers)


def _instance(recording: Recording) -> str:
    """``device.vh``: the device, and where its ports are in the numbers of :func:`_hex`."""
    lines = [f"wire [{slot.port.width - 1}:0] {slot.port.name};" for slot in _all_slots(recording)]
    for slots, number, forward in (
        (recording.input_slots, "put", True),
        (recording.output_slots, "found", False),
    ):
        names = ", ".join(slot.port.name for slot in slots)
        lines.append(f"assign {{{names}}} = {number};" if forward else f"assign {number} = {{{names}}};")
    ports = ", ".join(f".{slot.port.name}({slot.port.name})" for slot in _all_slots(recording))
    return "\n".join([*lines, f"{TOP} device (.clk(clk), {ports});", ""])


def _all_slots(recording: Recording) -> tuple[Slot, ...]:
    return (*recording.input_slots, *recording.output_slots)


def icarus(recording: Recording, status: Status) -> Callable[[Recording], Timing]:
    """The device's Verilog in a testbench in Verilog. Time is that of all cycles less that of the first."""

    def replay(part: Recording) -> Timing:
        with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
            folder = Path(name)
            (folder / f"{TOP}.v").write_text(recording.verilog)
            (folder / "device.vh").write_text(_instance(part))
            (folder / "inputs.hex").write_text(_hex(part.inputs, part.input_slots))
            (folder / "outputs.hex").write_text(_hex(part.outputs, part.output_slots))
            widths = [
                sum(slot.port.width for slot in slots) for slots in (part.input_slots, part.output_slots)
            ]
            macros = {"INPUTS": widths[0], "OUTPUTS": widths[1], "CYCLES": part.cycles}
            command = ["iverilog", "-g2005", "-o", "replay", "-s", "replay"]
            command += [f"-D{macro}={value}" for macro, value in macros.items()]
            run_measured([*command, str(_SOURCES / "replay.v"), f"{TOP}.v"], folder)
            found, begun = (
                run_measured(["vvp", "-n", "replay", f"+cycles={cycles}"], folder)
                for cycles in (part.cycles, part.begin)
            )
        seconds = found[1] - begun[1]
        lines = found[0].split()
        if not lines or not lines[-1].isdecimal():
            raise ToolError(f"vvp: {found[0]!r} is no number")
        return Timing(part.cycles - part.begin, seconds, seconds, int(lines[-1]))

    return replay


def amaranth(recording: Recording, status: Status) -> Callable[[Recording], Timing]:
    """The device as Amaranth's own simulator runs it, without any Verilog."""
    from ringwalker.device import VirtioPciDevice

    def replay(part: Recording) -> Timing:
        status("making Python of the device")
        return replay_component(VirtioPciDevice(part.config), part)

    return replay


def replay_component(component: wiring.Component, recording: Recording) -> Timing:
    """The recording of ``component`` in Amaranth's simulator."""
    top = FlatTop(component)
    simulator = Simulator(top)
    simulator.add_clock(1e-6 / recording.config.clock_mhz)
    _clock, reset, *signals = top.port_signals()
    named = {"rst": reset, **dict(zip(top.signals, signals, strict=True))}
    inputs = [(named[slot.port.name], _values(recording.inputs, slot)) for slot in recording.input_slots]
    outputs = [(named[slot.port.name], _values(recording.outputs, slot)) for slot in recording.output_slots]
    different, begin = 0, (0.0, 0.0)

    async def testbench(context: Any) -> None:
        nonlocal different, begin
        driven: dict[int, int] = {}
        for cycle in range(recording.cycles):
            if cycle == recording.begin:
                begin = time.process_time(), time.perf_counter()
            _put(context, driven, inputs, cycle)
            different += any(context.get(signal) != values[cycle] for signal, values in outputs)
            await context.tick()

    simulator.add_testbench(testbench)
    simulator.run()
    cpu, wall = time.process_time() - begin[0], time.perf_counter() - begin[1]
    return Timing(recording.cycles - recording.begin, cpu, wall, different)


def _put(context: Any, driven: dict[int, int], inputs: list[tuple[Signal, list[int]]], cycle: int) -> None:
    """Set the inputs that have changed."""
    for number, (signal, values) in enumerate(inputs):
        if driven.get(number) != values[cycle]:
            driven[number] = values[cycle]
            context.set(signal, values[cycle])
