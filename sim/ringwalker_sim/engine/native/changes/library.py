"""Builds a change-driven model: first the plain one, to be watched, then the chunks, to be compared."""

from pathlib import Path
from typing import Protocol

from ringwalker.verilog import PortInfo

from ....toolchain import build_once, built, content_hash
from ....verilog_cache import TOP
from ..compiling import (
    MODEL_FLAGS,
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
from ..device_objects import PLAIN_STEPS, DeviceObjects
from ..ports_header import peripherals_header, ports_header
from ..translate import PREFIX, VERILATOR_FLAGS, translate
from .emit import Chunks, write_chunks
from .graph import Graph, nodes_in_order
from .partition import cut
from .rates import Rates
from .registers import Layout, find_registers, with_layout
from .signals import signals_source
from .source import FLAGS, Model, NotUnderstood, read_model

__all__ = ["ChangeDriven", "Exercise", "change_driven_library", "watched_library"]

_CHUNK_FLAGS = (*MODEL_FLAGS, "-O3")
_KIND = "native"
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


_READING = ("source", "statements", "graph", "registers", "signals", "library")
"""Modules of this package that have a part in the plain model."""

_CUTTING = ("rates", "partition", "emit")
"""Those that have a part in the chunks alone."""


def _sources(*names: str) -> list[str]:
    """The text of modules of this package."""
    return [(Path(__file__).parent / f"{name}.py").read_text() for name in names]


def _model(folder: Path) -> Model:
    return read_model(folder / "model", PREFIX)


def _lay_out(folder: Path, model: Model) -> None:
    """Move the model's registers, and what they get, side by side."""
    header = folder / "model" / f"{model.root}.h"
    layout = Layout(find_registers(model, Graph(model)), model.types)
    header.write_text(with_layout(header.read_text(), layout))


def _chunks(model: Model, rates: Rates) -> Chunks:
    graph = Graph(model)
    registers = find_registers(model, graph)
    before, behind = nodes_in_order(graph, rates, {item.node for item in registers})
    return Chunks.of(model, Layout(registers, model.types), cut(before, rates), cut(behind, rates))


def _device(ports: list[PortInfo], sanitize: bool) -> DeviceObjects:
    return DeviceObjects(ports, waves=False, changes=True, sanitize=sanitize)


def _watched(verilog: str, ports: list[PortInfo], sanitize: bool, progress: Progress) -> tuple[Path, Path]:
    """The folders with the plain model of :func:`watched_library`, and with the host's sources.

    Errors: :class:`NotUnderstood`.
    """
    host, shared = shared_parts(False, sanitize, progress)
    headers = [ports_header(ports, edge=True), peripherals_header(ports)]
    key = content_hash([verilog, *headers, host.name, *VERILATOR_FLAGS, *FLAGS, *_sources(*_READING)])
    with build_once("native-plain", key, _PRODUCTS, told(progress)) as (folder, missing):
        refusal = folder / _REFUSAL
        if missing:
            progress("translating the Verilog")
            device = _device(ports, sanitize)
            try:
                with built_meanwhile(device.kept):
                    objects = _plain_objects(folder, verilog, ports, host, progress)
                objects += device.of(folder).values()
                link([*objects, *shared], folder / f"lib{TOP}.so", False, sanitize)
            except NotUnderstood as error:
                refusal.write_text(str(error))
        if refusal.exists():
            raise NotUnderstood(refusal.read_text())
    return folder, host


def _plain_objects(
    folder: Path, verilog: str, ports: list[PortInfo], host: Path, progress: Progress
) -> list[str]:
    """The objects of the plain model. Runs begin on it, and exercises: compiled fast, not fast to run."""
    if not translate(folder, verilog, ports, False, FLAGS):
        raise NotUnderstood("the code of the clock")
    model = _model(folder)
    _lay_out(folder, model)
    (folder / "signals.cpp").write_text(signals_source(model, PREFIX))
    groups = grouped(list((folder / "model").glob("*.cpp")))
    groups[-1] += ("signals.cpp",)
    flags = (*MODEL_FLAGS, "-O0", "-I", str(host))
    units = [Unit(f"model{number}", names, flags) for number, names in enumerate(groups)]
    return compile_units(folder, units, variant_flags(waves=False, changes=True), progress)


def watched_library(verilog: str, ports: list[PortInfo], *, progress: Progress) -> Path:
    """A library with the plain model, which can say which variables change. It is slow.

    Errors: :class:`NotUnderstood`, :class:`~ringwalker_sim.toolchain.ToolError`.
    """
    return _watched(verilog, ports, False, progress)[0] / f"lib{TOP}.so"


class ChangeDriven:
    """The change-driven model of ``verilog``, of which the plain one is there from the start.

    Errors: :class:`NotUnderstood` when there is no such model, also one from an earlier attempt;
    :class:`~ringwalker_sim.toolchain.ToolError`. So of all its methods.
    """

    def __init__(
        self,
        verilog: str,
        ports: list[PortInfo],
        exercise: Exercise,
        *,
        sanitize: bool = False,
        progress: Progress,
    ):
        self._exercise = exercise
        self._sanitize = sanitize
        self._progress = progress
        self._ports = ports
        self._plain, self._host = _watched(verilog, ports, sanitize, progress)
        self._key = content_hash([self._plain.name, exercise.key, *_sources(*_CUTTING)])

    @property
    def plain(self) -> Path:
        """The library with the plain model. With ``rw_adopt`` it goes on as a change-driven one."""
        return self._plain / f"lib{TOP}.so"

    def built(self) -> Path | None:
        """The library with the change-driven model, if it has been built."""
        folder = built(_KIND, self._key)
        return None if folder is None else self._checked(folder)

    def build(self) -> Path:
        """The library with the change-driven model, built if need be."""
        with build_once(_KIND, self._key, _PRODUCTS, told(self._progress)) as (folder, missing):
            if missing:
                self._make(folder)
            return self._checked(folder)

    def _objects(self) -> list[str]:
        """Those of the plain model and the host but for the plain model's steps."""
        device = _device(self._ports, self._sanitize).of(self._plain)
        host = [path for name, path in device.items() if name != PLAIN_STEPS]
        shared = shared_parts(False, self._sanitize, self._progress)[1]
        return [*(str(path) for path in sorted(self._plain.glob("model*.o"))), *host, *shared]

    @staticmethod
    def _checked(folder: Path) -> Path:
        refusal = folder / _REFUSAL
        if refusal.exists():
            raise NotUnderstood(refusal.read_text())
        return folder / f"lib{TOP}.so"

    def _make(self, folder: Path) -> None:
        progress, library = self._progress, folder / f"lib{TOP}.so"
        progress("watching which signals change")
        rates = self._exercise.watch(self.plain)
        progress("cutting the model into chunks")
        names = write_chunks(_chunks(_model(self._plain), rates), folder, PREFIX)
        (folder / "model").unlink(missing_ok=True)
        (folder / "model").symlink_to(self._plain / "model")
        flags = (*_CHUNK_FLAGS, "-I", str(self._host))
        units = [Unit(Path(name).stem, (name,), flags) for name in names]
        made = compile_units(folder, units, variant_flags(waves=False, changes=True), progress)
        link([*made, *self._objects()], library, False, self._sanitize)
        for path in made:
            Path(path).unlink()
        progress("comparing with the plain model")
        try:
            self._exercise.check(library)
        except NotUnderstood as error:
            (folder / _REFUSAL).write_text(str(error))


def change_driven_library(
    verilog: str, ports: list[PortInfo], exercise: Exercise, *, sanitize: bool = False, progress: Progress
) -> Path:
    """The library of :class:`ChangeDriven`, built if need be; as ``build_library``. Errors: as there."""
    return ChangeDriven(verilog, ports, exercise, sanitize=sanitize, progress=progress).build()
