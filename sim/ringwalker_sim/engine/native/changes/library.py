"""Builds a change-driven model: first the plain one, to be watched, then the chunks, to be compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ringwalker.verilog import PortInfo

from ....toolchain import build_once, content_hash
from ....verilog_cache import TOP
from ..build import device_sources, groups_by_size
from ..compiling import (
    HOST_FLAGS,
    MODEL_FLAGS,
    Progress,
    Unit,
    compile_units,
    link,
    sanitizer_flags,
    shared_parts,
    told,
    variant_flags,
)
from ..ports_header import peripherals_header, ports_header
from ..translate import PREFIX, VERILATOR_FLAGS, translate
from .emit import Chunks, write_chunks
from .graph import nodes_in_order
from .partition import cut
from .rates import Rates
from .signals import signals_source
from .source import FLAGS, Model, NotUnderstood, read_model

__all__ = ["Exercise", "change_driven_library", "watched_library"]

_CHUNK_OPTIMIZATION = "-O3"
_REFUSAL = "refused.txt"
_PRODUCTS = (f"lib{TOP}.so", "*.o", _REFUSAL)


class Exercise(Protocol):
    """Something that uses the device, on an engine with a library that is given."""

    @property
    def key(self) -> str:
        """What distinguishes it from others."""
        ...

    def watch(self, library: Path) -> Rates:
        """How often the variables change in it."""
        ...

    def check(self, library: Path) -> None:
        """Compare the model with the plain one in every cycle. Errors: :class:`NotUnderstood`."""
        ...


_READING = ("source", "statements", "signals", "library")
"""Modules of this package that have a part in the plain model."""

_CUTTING = ("graph", "rates", "partition", "emit")
"""Those that have a part in the chunks alone."""


def _sources(*names: str) -> list[str]:
    """The text of modules of this package."""
    return [(Path(__file__).parent / f"{name}.py").read_text() for name in names]


def _model(folder: Path) -> Model:
    return read_model(folder / "model", PREFIX)


def _watched(
    verilog: str, ports: list[PortInfo], sanitize: bool, progress: Progress
) -> tuple[Path, list[str], list[str]]:
    """The folder with the plain model of :func:`watched_library`; objects of the model and the host, and the
    further ones that make them a library. Errors: :class:`NotUnderstood`.
    """
    host, shared = shared_parts(False, sanitize, progress)
    headers = [ports_header(ports, edge=True), peripherals_header(ports)]
    key = content_hash([verilog, *headers, host.name, *VERILATOR_FLAGS, *FLAGS, *_sources(*_READING)])
    with build_once("native-plain", key, _PRODUCTS, told(progress)) as (folder, missing):
        refusal = folder / _REFUSAL
        if missing:
            progress("translating the Verilog")
            edge = translate(folder, verilog, ports, False, FLAGS)
            try:
                if not edge:
                    raise NotUnderstood("the code of the clock")
                (folder / "signals.cpp").write_text(signals_source(_model(folder), PREFIX))
                _compile_plain(folder, ports, host, shared, sanitize, progress)
            except NotUnderstood as error:
                refusal.write_text(str(error))
        if refusal.exists():
            raise NotUnderstood(refusal.read_text())
    objects = [str(path) for path in sorted(folder.glob("*.o"))]
    steps = str(folder / "plain_steps.o")
    return folder, [*(path for path in objects if path != steps), *shared], [steps]


def _compile_plain(
    folder: Path, ports: list[PortInfo], host: Path, shared: Sequence[str], sanitize: bool, progress: Progress
) -> None:
    """Compile the plain model. It runs in exercises only: compiled fast, rather than fast to run."""
    flags = (*HOST_FLAGS, *sanitizer_flags(sanitize), "-I", str(host))
    units = [
        Unit("device", (*device_sources(ports), "inspector.cpp"), flags),
        Unit("plain_steps", ("plain_steps.cpp",), flags),
        Unit("signals", ("signals.cpp",), (*MODEL_FLAGS, "-O0", "-I", str(host))),
        *(
            Unit(f"plain{number}", names, (*MODEL_FLAGS, "-O0"))
            for number, names in enumerate(groups_by_size((folder / "model").glob("*.cpp")))
        ),
    ]
    objects = compile_units(folder, units, variant_flags(waves=False, changes=True), progress)
    link([*objects, *shared], folder / f"lib{TOP}.so", False, sanitize)


def watched_library(verilog: str, ports: list[PortInfo], *, progress: Progress) -> Path:
    """A library with the plain model, which can say which variables change. It is slow.

    Errors: :class:`NotUnderstood`, :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    return _watched(verilog, ports, False, progress)[0] / f"lib{TOP}.so"


def change_driven_library(
    verilog: str, ports: list[PortInfo], exercise: Exercise, *, sanitize: bool = False, progress: Progress
) -> Path:
    """The library with the change-driven model of ``verilog``, built if need be; as ``build_library``.

    Errors: :class:`NotUnderstood` when there is no such model, also one from an earlier attempt;
    :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    plain, objects, _steps = _watched(verilog, ports, sanitize, progress)
    key = content_hash([plain.name, exercise.key, *_sources(*_CUTTING)])
    with build_once("native", key, _PRODUCTS, told(progress)) as (folder, missing):
        library, refusal = folder / f"lib{TOP}.so", folder / _REFUSAL
        if missing:
            progress("watching which signals change")
            rates = exercise.watch(plain / f"lib{TOP}.so")
            progress("cutting the model into chunks")
            model = _model(plain)
            chunks = Chunks.of(model, cut(nodes_in_order(model, rates), rates))
            names = write_chunks(chunks, folder, PREFIX)
            (folder / "model").unlink(missing_ok=True)
            (folder / "model").symlink_to(plain / "model")
            units = [Unit(Path(name).stem, (name,), (*MODEL_FLAGS, _CHUNK_OPTIMIZATION)) for name in names]
            made = compile_units(folder, units, variant_flags(waves=False, changes=True), progress)
            link([*made, *objects], library, False, sanitize)
            for path in made:
                Path(path).unlink()
            progress("comparing with the plain model")
            try:
                exercise.check(library)
            except NotUnderstood as error:
                refusal.write_text(str(error))
        if refusal.exists():
            raise NotUnderstood(refusal.read_text())
    return library
