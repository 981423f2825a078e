"""Builds the model and the C++ host into one shared library, once for each content."""

from pathlib import Path

from ringwalker.verilog import PortInfo

from ...toolchain import build_once, content_hash
from ...verilog_cache import TOP
from .compiling import (
    MODEL_FLAGS,
    SANITIZERS,
    Progress,
    Unit,
    built_meanwhile,
    compile_units,
    grouped,
    link,
    shared_parts,
    told,
    variant_flags,
)
from .device_objects import DeviceObjects
from .ports_header import peripherals_header, ports_header
from .translate import VERILATOR_FLAGS, translate

__all__ = ["SANITIZERS", "TOP", "build_library", "model_units"]


def _optimization(quick: bool) -> str:
    """How the model is compiled: ``quick`` takes half the time, and the model is hardly slower."""
    return "-O1" if quick else "-O2"


def model_units(model: Path, optimization: str) -> list[Unit]:
    """What Verilator wrote. Code that runs once is not optimised at all."""
    paths = sorted(model.glob("*.cpp"))
    slow = [path for path in paths if any(part in path.name for part in ("__Slow", "__Syms", "__Trace"))]
    # Who builds quickly builds much, as tests do: other cores are busy with other models.
    fast = grouped([path for path in paths if path not in slow], int(optimization == _optimization(True)))
    units = [Unit(f"fast{n}", names, (*MODEL_FLAGS, optimization)) for n, names in enumerate(fast)]
    return [*units, Unit("slow", tuple(f"model/{path.name}" for path in slow), (*MODEL_FLAGS, "-O0"))]


def build_library(
    verilog: str,
    ports: list[PortInfo],
    *,
    waves: bool = False,
    sanitize: bool = False,
    quick: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The shared library for the Verilog of a top named :data:`TOP` with ``ports``, built if need be.

    ``waves`` chooses the variant that can write FST files (slower); ``sanitize`` builds the
    host with :data:`SANITIZERS`; ``quick`` has the model compiled fast. ``progress`` is called with a line of
    text now and then. Errors: :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    progress = progress or (lambda _text: None)
    host, shared = shared_parts(waves, sanitize, progress)
    headers = [ports_header(ports, edge=False), peripherals_header(ports)]
    # With waves most of the time goes into them.
    optimization = _optimization(quick or waves)
    parts = [verilog, *headers, host.name, *VERILATOR_FLAGS, optimization]
    name = f"lib{TOP}.so"
    with build_once("native", content_hash(parts), (name,), told(progress)) as (folder, missing):
        library = folder / name
        if missing:
            progress("translating the Verilog")
            device = DeviceObjects(ports, waves, False, sanitize)
            with built_meanwhile(device.kept):
                translate(folder, verilog, ports, waves)
                units = model_units(folder / "model", optimization)
                objects = compile_units(folder, units, variant_flags(waves), progress)
            link([*objects, *device.of(folder).values(), *shared], library, waves, sanitize)
            for path in objects:
                Path(path).unlink()
    return library
