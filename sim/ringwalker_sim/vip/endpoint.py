"""The other way round: the generated Verilog as a device under a root complex of cocotbext-pcie."""

from ..engine.cocotb.endpoint import RtlEndpoint

__all__ = ["RtlEndpoint"]
