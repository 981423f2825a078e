"""The host's sources that depend on a model's ports alone: compiled once for all models with these ports.

What they include of a model is the header of its outermost class. A model that has nothing but the ports has
the same one, so that it need not be waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ringwalker.verilog import PortInfo

from ...toolchain import build_once, content_hash
from ...verilog_cache import TOP
from ..peripherals import peripherals_of
from .compiling import (
    DEVICE_UNITS,
    HOST_FLAGS,
    Unit,
    compile_units,
    sanitizer_flags,
    shared_parts,
    variant_flags,
)
from .ports_header import peripherals_header, ports_header, registered_inputs
from .translate import PREFIX, VERILATOR_FLAGS, translate

__all__ = ["PLAIN_STEPS", "DeviceObjects"]

PLAIN_STEPS = "plain_steps"
"""The object of a plain model that chunks can follow, in their place."""

_HEADERS = (f"model/{PREFIX}.h", "ports.h")


def _ports_alone(ports: Sequence[PortInfo]) -> str:
    """Verilog of a top with ``ports``, as a device has them: inputs first. Something hangs on the clock."""
    ordered = sorted(ports, key=lambda port: port.direction == "output")
    lines = [f"module {TOP}({', '.join(port.name for port in ordered)});"]
    for port in ordered:
        width = f"[{port.width - 1}:0] " if port.width > 1 else ""
        lines.append(f"  {port.direction} {width}{port.name};\n  wire {width}{port.name};")
    lines.append(f"  assign {ordered[-1].name} = ^{{{', '.join(registered_inputs(ports))}}};")
    return "\n".join([*lines, "endmodule", ""])


def _say_nothing(_text: str) -> None:
    """Whoever waits for the model hears of that."""


@dataclass(frozen=True)
class DeviceObjects:
    """The objects for models with ``ports``, with or without ``waves`` and chunks (``changes``).

    Errors of its methods: :class:`~ringwalker_sim.toolchain.ToolError`.
    """

    ports: list[PortInfo]
    waves: bool
    changes: bool
    sanitize: bool

    def _units(self, host: Path) -> list[Unit]:
        kinds = [kind.name for kind in peripherals_of({port.name for port in self.ports})]
        inspector = ["inspector"] if self.changes else []
        flags = (*HOST_FLAGS, *sanitizer_flags(self.sanitize), "-I", str(host))
        names = tuple(f"{name}.cpp" for name in [*DEVICE_UNITS, *kinds, *inspector])
        steps = [Unit(PLAIN_STEPS, (f"{PLAIN_STEPS}.cpp",), flags)] if self.changes else []
        return [Unit("device", names, flags), *steps]

    def _compile(self, folder: Path, host: Path) -> None:
        compile_units(folder, self._units(host), variant_flags(self.waves, self.changes), _say_nothing)

    def kept(self) -> Path:
        """The folder with the objects for a model whose clock is known, compiled if need be."""
        host, _shared = shared_parts(self.waves, self.sanitize, _say_nothing)
        text = _ports_alone(self.ports)
        headers = [ports_header(self.ports, edge=not self.waves), peripherals_header(self.ports)]
        parts = [text, *headers, host.name, *VERILATOR_FLAGS, str(self.changes), Path(__file__).read_text()]
        with build_once("native-device", content_hash(parts), ("*.o", *_HEADERS)) as (folder, missing):
            if missing:
                translate(folder, text, self.ports, self.waves)
                self._compile(folder, host)
        return folder

    def of(self, folder: Path) -> dict[str, str]:
        """The objects, by name, for the model in ``folder``: those that are kept, unless it is another model.

        Then they are compiled in ``folder``.
        """
        kept = self.kept()
        if any((kept / name).read_text() != (folder / name).read_text() for name in _HEADERS):
            kept = folder
            self._compile(folder, shared_parts(self.waves, self.sanitize, _say_nothing)[0])
        return {path.stem: str(path) for path in (kept / f"{unit.name}.o" for unit in self._units(kept))}
