"""The FuseSoC description of the generated files."""

from ..config import DeviceConfig

__all__ = ["core_file"]

_TEXT = """\
CAPI=2:

name: "ringwalker:virtio:{name}:{version}"
description: "Virtio PCI device ({function}), {data_width} bits"

filesets:
  rtl:
    files:
      - "{name}.v"
    file_type: "verilogSource-2005"
  header:
    files:
      - "{name}_regs.h": {{is_include_file: true}}
    file_type: "cSource"
  waivers:
    files:
      - "{name}.vlt"
    file_type: "vlt"

targets:
  default: &default
    filesets: ["rtl"]
    toplevel: "{name}"
  lint:
    <<: *default
    filesets: ["waivers", "rtl"]
    default_tool: "verilator"
    tools:
      verilator:
        mode: "lint-only"
        verilator_options: ["-Wall"]
  synth:
    <<: *default
    default_tool: "yosys"
    tools:
      yosys:
        arch: "ecp5"
"""


def core_file(config: DeviceConfig, version: str) -> str:
    """A CAPI2 ``.core`` file for the Verilog, its header and its lint waivers.

    Ref: FuseSoC reference, CAPI2 (https://fusesoc.readthedocs.io).
    """
    return _TEXT.format(
        name=config.verilog_name,
        version=version,
        function=config.kind.name,
        data_width=config.data_width,
    )
