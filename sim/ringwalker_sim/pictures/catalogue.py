"""The pages of blocks: which diagram each has, which run is shown, and where its sources are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib.wiring import In, Out

from ringwalker.config import DeviceConfig
from ringwalker.device import VirtioPciDevice
from ringwalker.function.blk.function import BlkFunction
from ringwalker.pci.edge import PciEdge
from ringwalker.queue.packed.ring import PackedRing
from ringwalker.queue.split.ring import SplitRing
from ringwalker.queue.walker import RingWalker
from ringwalker.shim.axi_ports import AxiLitePort, AxiPort

from ..foreign.device import mapped
from ..foreign.keys import table_of_keys
from ..foreign.top import Top, TopPort
from .design import Graph, design_graph
from .drawing import Drawing, drawn
from .scene import Scene
from .scenes import functions, memory, registers, rings

__all__ = ["PAGES", "BlockPage"]

_WHOLE = ("PciEdge", "VirtioCore", "Lanes", "GuardedFunction")
_TABLE = ("QueueRead", "QueueClear", "QueueRestore")


def _config(function: str = "blk", **options: Any) -> DeviceConfig:
    return DeviceConfig(function=function, data_width=64, **options)


@dataclass(frozen=True)
class BlockPage:
    """A page. ``title``: what it is about.

    The diagram is of what ``component`` makes, with the classes ``opened`` looked into, and of ``hidden``,
    ``folded``, ``without`` and ``centre`` as :func:`.drawing.drawn` has them; data goes ``direction``.
    ``scenes`` by the name of their picture. ``modules``: packages and modules of ``ringwalker`` that the page
    is about. ``area``: where they stand in the devices of docs/synthesis.json; ``rings``: the area of the
    ring formats is shown. ``tests``: test files besides those that mirror the modules.
    """

    name: str
    title: str
    component: Callable[[], Any]
    modules: Sequence[str]
    scenes: Sequence[tuple[str, Scene]] = ()
    opened: Sequence[str] = ()
    hidden: Sequence[str] = ()
    folded: Sequence[str] = ()
    without: Sequence[str] = ()
    centre: Sequence[str] = ()
    direction: str = "DOWN"
    area: Sequence[str] = ()
    rings: bool = False
    tests: Sequence[str] = ()

    def drawing(self) -> Drawing:
        """What its diagram shows."""
        graph: Graph = design_graph(self.component(), self.opened)
        return drawn(graph, self.hidden, self.folded, self.centre, self.without)


def _axi_endpoint() -> Any:
    """An endpoint around a design with registers on AXI-Lite and a master on AXI."""
    signals = {"clk": ("input", 1), "rst": ("input", 1), "irq": ("output", 1)}
    for prefix, port, flow in (("s_axil_", AxiLitePort(32), Out), ("m_axi_", AxiPort(64), In)):
        for name, member in port.members.items():
            direction = "input" if member.flow is flow else "output"
            signals[f"{prefix}{name}"] = (direction, Shape.cast(member.shape).width)
    ports = {name: TopPort(name, *pin) for name, pin in signals.items()}
    found = {
        "clock": {"port": "clk", "reset": "rst"},
        "bar": [{"index": 0, "size": "4K", "axi_lite": "s_axil_"}],
        "axi": {"prefix": "m_axi_"},
        "identity": {"vendor": 0x1234, "device": 0xD3A1, "class_code": 0x088000},
        "interrupt": [{"port": "irq"}],
    }
    return mapped(table_of_keys(found), Top("design", ports, "")).component


def _device() -> Any:
    return VirtioPciDevice(_config())


PAGES: tuple[BlockPage, ...] = (
    BlockPage(
        "index",
        "A block device",
        _device,
        (),
        opened=_WHOLE,
        hidden=("QueueWrite", "QueueClear", "QueueRestore", "FunctionState"),
    ),
    BlockPage(
        "edge",
        "PCI edge",
        lambda: PciEdge(_config()),
        ("pci",),
        (("edge-timing", registers.REQUESTS),),
        area=(
            "edge",
            "edge.config_space",
            "edge.completer",
            "edge.msix",
            "edge.requester",
        ),
    ),
    BlockPage(
        "registers",
        "Registers",
        _device,
        ("transport",),
        (("registers-timing", registers.REGISTERS),),
        opened=_WHOLE,
        centre=("core.faces", "core.common", "core.sequencer"),
        area=(
            "core.faces",
            "core.common",
            "core.sequencer",
        ),
    ),
    BlockPage(
        "doorbells",
        "Doorbells and the scheduler",
        _device,
        ("transport.notify", "queue.scheduler"),
        (("doorbells-timing", registers.DOORBELL), ("doorbells-visits", rings.SCHEDULER)),
        opened=("PciEdge", "VirtioCore", "Lanes", "GuardedFunction", "RingWalker"),
        hidden=("QueueClear",),
        centre=("core.notify", "core.walker.lane0.scheduler"),
        area=(
            "core.notify",
            "core.walker.lane0.scheduler",
        ),
    ),
    BlockPage(
        "walker",
        "Ring walker",
        lambda: RingWalker(_config()),
        ("queue.walker", "queue.lanes"),
        hidden=_TABLE,
        folded=("DmaReader",),
        without=("SegmentStore",),
        area=(
            "core.walker.lane0",
            "core.walker.lane0.ring",
            "core.walker.lane0.descriptors",
            "core.walker.lane0.gather",
            "core.walker.lane0.scatter",
        ),
    ),
    BlockPage(
        "split",
        "Split ring",
        lambda: SplitRing(_config()),
        ("queue.split",),
        (("split-timing", rings.SPLIT), ("split-used", rings.USED)),
        hidden=_TABLE,
        area=(
            "core.walker.lane0.ring",
            "core.walker.lane0.ring.index",
            "core.walker.lane0.ring.entries",
            "core.walker.lane0.ring.speculation",
            "core.walker.lane0.ring.used",
            "core.walker.lane0.ring.notification",
            "core.walker.lane0.ring.event",
        ),
    ),
    BlockPage(
        "packed",
        "Packed ring",
        lambda: PackedRing(_config(ring="packed")),
        ("queue.packed",),
        (("packed-timing", rings.PACKED),),
        hidden=_TABLE,
        rings=True,
    ),
    BlockPage(
        "chains",
        "Descriptor chains",
        lambda: RingWalker(_config()),
        ("queue.chain",),
        (("chains-timing", rings.CHAINS),),
        hidden=_TABLE,
        folded=("DmaReader",),
        centre=("descriptors", "segments", "dispatch"),
        area=(
            "core.walker.lane0.descriptors",
            "core.walker.lane0.descriptors.lines",
            "core.walker.lane0.descriptors.check",
            "core.walker.lane0.segments",
            "core.walker.lane0.dispatch",
        ),
    ),
    BlockPage(
        "payload",
        "Gather and scatter",
        lambda: RingWalker(_config()),
        ("dma.gather", "dma.scatter", "dma.run_reader", "dma.planner", "dma.realign", "dma.cutter"),
        (("payload-timing", memory.WRITES),),
        opened=("Gather", "Scatter"),
        hidden=_TABLE,
        centre=("gather.runs", "scatter.planner", "gather.walker", "scatter.realign"),
        area=(
            "core.walker.lane0.gather",
            "core.walker.lane0.scatter",
        ),
    ),
    BlockPage(
        "reader",
        "DMA reader and its tags",
        lambda: RingWalker(_config()),
        ("dma.reader", "dma.completions", "dma.slots", "tlp.tags", "tlp.completion_router"),
        (("reader-timing", memory.READS), ("reader-late", memory.LATE)),
        without=("Scatter", "SegmentStore", "ChainDispatch", "Scheduler", "StreamMerge", "PacketBuffer"),
        hidden=(*_TABLE, "byte_beat", "Head", "16"),
        centre=tuple(f"{name}_reader" for name in ("index", "entry", "ordered", "descriptor", "payload")),
        area=(
            "core.walker.lane0.payload_reader",
            "core.walker.lane0.descriptor_reader",
            "core.walker.lane0.entry_reader",
            "core.walker.lane0.index_reader",
            "core.walker.lane0.ordered_reader",
            "core.walker.lane0.completion_router",
        ),
        direction="RIGHT",
    ),
    BlockPage(
        "posted",
        "Posted path and arbiters",
        lambda: RingWalker(_config()),
        ("dma.posted", "tlp"),
        (("posted-timing", memory.POSTED), ("posted-arbiter", memory.ARBITER)),
        hidden=_TABLE,
        folded=("DmaReader",),
        centre=("posted_mux", "posted_buffer", "posted_gate", "read_arbiter"),
        area=(
            "core.walker.lane0.posted_mux",
            "core.walker.lane0.posted_buffer",
            "core.walker.lane0.posted_gate",
            "core.walker.lane0.read_arbiter",
            "edge.requester",
        ),
    ),
    BlockPage(
        "interrupts",
        "Interrupts",
        _device,
        ("transport.interrupt_router", "transport.isr", "pci.msix", "pci.msi"),
        (("interrupts-timing", registers.MESSAGE),),
        opened=_WHOLE,
        centre=("core.interrupts", "edge.msix", "core.isr"),
        area=(
            "core.interrupts",
            "core.isr",
            "edge.msix",
        ),
    ),
    BlockPage(
        "blk",
        "Block function",
        lambda: BlkFunction(_config()),
        ("function.blk",),
        (("blk-timing", functions.BLK),),
        area=(
            "core.function",
            "core.function.parser",
            "core.function.buffer",
            "core.function.commander",
            "core.function.reply",
            "core.function.face",
        ),
    ),
    BlockPage(
        "net",
        "Network function",
        lambda: VirtioPciDevice(_config("net")),
        ("function.net",),
        (("net-timing", functions.NET),),
        opened=(*_WHOLE, "NetFunction", "NetOutgoing"),
        hidden=_TABLE,
        without=("QueueTable",),
        centre=tuple(f"core.function.{name}" for name in ("buffer", "receive", "face", "outgoing.transmit")),
    ),
    BlockPage(
        "console",
        "Console function",
        lambda: VirtioPciDevice(_config("console")),
        ("function.console",),
        (("console-timing", functions.CONSOLE),),
        opened=(*_WHOLE, "ConsoleFunction"),
        hidden=_TABLE,
        without=("QueueTable",),
        centre=tuple(f"core.function.{name}" for name in ("receiver", "transmitter", "face")),
    ),
    BlockPage(
        "entropy",
        "Entropy function",
        lambda: VirtioPciDevice(_config("rng")),
        ("function.entropy",),
        (("entropy-timing", functions.ENTROPY),),
        opened=_WHOLE,
        hidden=_TABLE,
        centre=("core.function",),
    ),
    BlockPage(
        "shim",
        "Designs with AXI",
        _axi_endpoint,
        ("shim",),
        (("shim-timing", functions.AXI),),
    ),
)
