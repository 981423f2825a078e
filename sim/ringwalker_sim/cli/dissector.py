"""The command ``dissector``: where that is with which Wireshark shows TLPs."""

import argparse
from typing import Any

from ..captures.tlp_link import DISSECTOR
from .options import add_command

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  ringwalker run blk --requests 100 --tlp-pcap tlps.pcapng
  wireshark -X lua_script:$(ringwalker dissector) tlps.pcapng
  tshark -X lua_script:$(ringwalker dissector) -r tlps.pcapng -Y 'pcietlp.kind == "MRd"'
  cp $(ringwalker dissector) ~/.local/lib/wireshark/plugins/
      every Wireshark of this user has it from then on
"""


def add_parser(commands: Any) -> None:
    """Add ``dissector`` to the commands."""
    text = "print the name of the file with which Wireshark shows TLPs"
    add_command(commands, "dissector", text, _EXAMPLES, run)


def run(_options: argparse.Namespace) -> int:
    """``ringwalker dissector``."""
    print(DISSECTOR)
    return 0
