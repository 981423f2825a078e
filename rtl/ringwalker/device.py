"""The whole device: the PCI edge and the core, and nothing else. docs/architecture.md draws it."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from .component import Component
from .config import DeviceConfig
from .core import VirtioCore
from .function.parts import function_parts
from .interfaces import TLP_STREAMS, tlp_streams
from .pci.edge import PciEdge

__all__ = ["VirtioPciDevice"]


class VirtioPciDevice(Component):
    """A virtio PCI function behind four TLP streams.

    Members (W is ``config.data_width``; tags have ``config.pci.tag_bits``):

    - ``completer_request`` In stream of request_beat(W): requests of the host
    - ``completer_completion`` Out stream of completion_beat(W): answers to them
    - ``requester_request`` Out stream of request_beat(W): requests of the device
    - ``requester_completion`` In stream of completion_beat(W): the host's answers; ready is always 1
    - ``intx`` Out 1: level of INTA, as a message or a pin would carry it
    - the ports of the function: for the block device ``storage`` Out(StoragePort(W)), ``capacity`` In 64, its
      size in 512-byte sectors, and ``read_only`` In 1; for others see ``ports`` of the function's
      :class:`~.function.kind.FunctionKind`
    - ``idle`` Out 1: nothing will happen before the next request or answer of the host or change of the
      function's ports

    One clock, ``sync``; its reset is the fundamental reset of the function.
    """

    def __init__(self, config: DeviceConfig):
        self.config = config
        width, tag_bits = config.data_width, config.pci.tag_bits
        self._function_ports = function_parts(config).ports
        super().__init__(
            {
                **tlp_streams(width, tag_bits),
                "intx": Out(1),
                **self._function_ports,
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.edge = edge = PciEdge(self.config)
        m.submodules.core = core = VirtioCore(self.config)
        connect(m, edge.core, core.edge)
        for owner, names in ((edge, TLP_STREAMS), (core, self._function_ports)):
            for name in names:
                self._pass(m, name, owner)
        m.d.comb += [self.intx.eq(edge.intx), self.idle.eq(edge.idle & core.idle)]
        return m

    def _pass(self, m: Any, name: str, owner: Any) -> None:
        """The member ``name`` of ``owner`` is ours."""
        member, inner, outer = self.signature.members[name], getattr(owner, name), getattr(self, name)
        if member.is_signature:
            connect(m, inner, flipped(outer))
        else:
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
