"""The map of a design: each mistake is one line that names the port or the key."""

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ringwalker.checks import ConfigError
from ringwalker.pci.capabilities import bars, layout
from ringwalker_sim.foreign.device import foreign_device, mapped
from ringwalker_sim.foreign.keys import KEYS, MapError, read_map, table_of_keys
from ringwalker_sim.foreign.top import DesignError, Top, TopPort, read_top
from ringwalker_sim.markdown import markdown_table

EXAMPLES = Path("examples")
AXI = EXAMPLES / "foreign_axi"
MAP = tomllib.loads((AXI / "ports.toml").read_text())
TOP = read_top([AXI / "dma_engine.v"])
TLP = tomllib.loads((EXAMPLES / "foreign_litepcie/ports.toml").read_text())


def stream(prefix: str, direction: str, width: int = 64) -> list[TopPort]:
    other = "input" if direction == "output" else "output"
    widths = {"valid": 1, "last": 1, "dat": width, "be": width // 8}
    ports = [TopPort(f"{prefix}{name}", direction, bits) for name, bits in widths.items()]
    return [*ports, TopPort(f"{prefix}ready", other, 1)]


def core(width: int = 64) -> Top:
    """The ports of LitePCIe's core."""
    ports = [*stream("rx_", "input", width), *stream("tx_", "output"), *stream("msi_", "output")[:1]]
    ports += [TopPort("msi_ready", "input", 1), TopPort("msi_dat", "output", 8)]
    names = {"id": 16, "max_payload": 16, "max_read_request": 16, "sys_clk": 1, "sys_rst": 1}
    ports += [TopPort(name, "input", bits) for name, bits in names.items()]
    return Top("litepcie_core", {port.name: port for port in ports}, "")


def changed(values: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """``values`` with another value at ``place``, such as ``bar.0.size``; None takes it away."""
    result = copy.deepcopy(values)
    *path, last = place.split(".")
    table: Any = result
    for key in path:
        table = table[int(key)] if key.isdecimal() else table.setdefault(key, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return result


def without(name: str) -> Top:
    return Top(TOP.module, {key: port for key, port in TOP.ports.items() if key != name}, TOP.text)


def with_port(name: str, direction: str, width: int) -> Top:
    return Top(TOP.module, {**TOP.ports, name: TopPort(name, direction, width)}, TOP.text)


def test_a_design_with_axi() -> None:
    device = mapped(table_of_keys(MAP), TOP)
    config = device.config
    assert [(bar.index, bar.size, bar.is_64) for bar in bars(config)] == [(0, 4096, False), (1, 4096, False)]
    header = layout(config).structures[0].values
    found = [header[name] for name in ("vendor_id", "device_id", "subsystem_vendor_id", "subsystem_id")]
    assert found == [0x1234, 0xD3A1, 0x1234, 0xD3A1]
    assert (header["class"], header["subclass"], header["revision_id"]) == (0x08, 0x80, 0)
    assert (config.data_width, config.vectors, config.msix_bar, device.timeout) == (64, 1, 1, 250_000)


def test_a_design_with_streams_of_tlps() -> None:
    config = mapped(table_of_keys(TLP), core()).config
    assert (config.data_width, config.vectors, config.windows[0].size) == (64, 2, 0x10000)


def test_a_wide_bar_takes_two_and_the_table_another() -> None:
    found = mapped(table_of_keys(changed(MAP, "bar.0.bits", 64)), TOP)
    assert found.config.msix_bar == 2
    found = mapped(table_of_keys(changed(MAP, "msix_bar", 5)), TOP)
    assert found.config.msix_bar == 5


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        ("colour", "red", "colour is no key; there are top, timeout,"),
        ("bar.0.colour", 1, "bar[0].colour is no key; there are index, size,"),
        ("bar.0.index", None, "bar[0].index is missing: which BAR: 0 to 5"),
        ("bar.0.index", 6, "bar[0].index is 6"),
        ("bar.0.size", "3K", """bar[0].size is '3K'; it must be a power of two from "4K" to "16M\""""),
        ("bar.0.size", "4G", "bar[0].size is '4G'; it must be a size"),
        ("bar.0.axi_lite", None, "bar[0].axi_lite is missing"),
        ("bar.0.axi_lite", "axil_", "bar[0].axi_lite: dma_engine has no port axil_awvalid"),
        ("bar.0.axi_lite", "m_axi_", "is an output; it must be an input"),
        ("bar", {}, "bar is {}; it must be tables, each under [[bar]]"),
        ("identity.vendor", None, "identity.vendor is missing: vendor ID"),
        ("identity.vendor", 0x12345, "identity.vendor is 74565"),
        ("identity.device", "x", "identity.device is 'x'; it must be a number"),
        ("clock.port", "clk", "clock.port: dma_engine has no port clk"),
        ("clock.reset_level", 2, "clock.reset_level is 2; it must be 0 or 1"),
        ("axi.awlen", "irq", "axi: port irq"),
        ("axi.awlen", "nowhere", "axi.awlen: dma_engine has no port nowhere"),
        ("axi.colour", "irq", "axi.colour is no signal of the bus"),
        ("interrupt.0.port", "s_axil_awaddr", "port s_axil_awaddr is an input; it must be an output"),
        ("interrupt.0.vector", 3, "vectors is 2; interrupts have vectors up to 3"),
        ("interrupt.0.kind", "edge", """interrupt[0].kind is 'edge'; it must be "level" or "pulse\""""),
        ("msix_bar", 0, "msix_bar is 0; it must be a BAR that is free: 1, 2, 3, 4, 5"),
        ("tie.irq", 0, "tie: port irq is an output"),
        ("tie.m_axi_bresp", 4, "tie: 4 does not fit the 2 bits of port m_axi_bresp"),
        ("tie.aclk", 0, "tie: port aclk is that of clock.port already"),
        ("max_payload", 100, "max_payload is 100"),
        ("timeout", 1, "timeout is 1"),
        ("tlp", {"receive": "a", "send": "b"}, "either [tlp], or axi_lite"),
        ("vector", {"valid": "irq"}, "vector is of use with [tlp] only"),
        ("show.id", "m_axi_bresp", "show.id is of use with [tlp] only"),
    ],
)
def test_a_mistake_in_the_map_is_one_line(place: str, value: Any, text: str) -> None:
    values = changed(MAP, "vectors", 2) if place == "interrupt.0.vector" else MAP
    with pytest.raises((ConfigError, ValueError)) as caught:
        mapped(table_of_keys(changed(values, place, value)), TOP)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_port_that_the_map_leaves_out() -> None:
    with pytest.raises(MapError, match=re.escape("input mode is in no table of the map; [tie] mode = 0")):
        mapped(table_of_keys(MAP), with_port("mode", "input", 2))
    mapped(table_of_keys(changed(MAP, "tie.mode", 3)), with_port("mode", "input", 2))
    with pytest.raises(MapError, match="port pad is an inout"):
        mapped(table_of_keys(MAP), with_port("pad", "inout", 1))


def test_a_port_that_the_design_has_not() -> None:
    with pytest.raises(
        MapError, match="axi: dma_engine has no port m_axi_awready; awready names another one"
    ):
        mapped(table_of_keys(MAP), without("m_axi_awready"))
    with pytest.raises(MapError, match=r"clock\.reset: dma_engine has no port aresetn"):
        mapped(table_of_keys(MAP), without("aresetn"))


def test_a_width_that_does_not_fit() -> None:
    for name, width, wanted in (
        ("m_axi_wstrb", 4, "8"),
        ("m_axi_rdata", 32, "64"),
        ("m_axi_wdata", 48, "32, 64, 128, 256 or 512"),
        ("s_axil_wdata", 128, "32 or 64"),
        ("irq", 2, "1"),
    ):
        direction = TOP.ports[name].direction
        with pytest.raises(MapError, match=f"port {name} has {width} bits; it must have {wanted}"):
            mapped(table_of_keys(MAP), with_port(name, direction, width))
    with pytest.raises(MapError, match="tlp: data has 128 bits one way and 64 the other"):
        mapped(table_of_keys(TLP), core(128))


def test_what_a_master_does_not_need_it_may_lack() -> None:
    needless = {"m_axi_awlen", "m_axi_awsize", "m_axi_awburst", "m_axi_wlast", "m_axi_bready"}
    ports = {name: port for name, port in TOP.ports.items() if name not in needless}
    mapped(table_of_keys(MAP), Top(TOP.module, ports, TOP.text))
    read_only = {name: port for name, port in ports.items() if not re.match("m_axi_(aw|w|b)", name)}
    mapped(table_of_keys(MAP), Top(TOP.module, read_only, TOP.text))


def test_a_slave_of_axi_4_is_given_single_beats() -> None:
    widths = {"awlen": 8, "arsize": 3, "awid": 4}
    extra = [TopPort(f"s_axil_{name}", "input", bits) for name, bits in widths.items()]
    top = Top(TOP.module, {**TOP.ports, **{port.name: port for port in extra}}, TOP.text)
    component: Any = mapped(table_of_keys(MAP), top).component
    ties = {pin.name: value for pin, value in component._design.ties}
    assert ties == {"s_axil_awlen": 0, "s_axil_arsize": 2, "s_axil_awid": 0}


def test_the_example_has_at_most_30_lines() -> None:
    for name in ("foreign_axi", "foreign_litepcie"):
        assert len((EXAMPLES / name / "ports.toml").read_text().splitlines()) <= 35
        assert sum(bool(line) for line in (EXAMPLES / name / "ports.toml").read_text().splitlines()) <= 30


def test_a_file_that_is_no_map(tmp_path: Path) -> None:
    path = tmp_path / "ports.toml"
    for content, text in (("[", "not TOML"), ("[identity]", "is missing"), ("bar = 1", "is missing")):
        path.write_text(content)
        with pytest.raises(MapError, match=f"ports.toml: .*{text}"):
            read_map(path)
    with pytest.raises(MapError, match="No such file"):
        read_map(tmp_path / "absent.toml")


def test_what_verilator_does_not_take_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "top.v"
    path.write_text("module top(input clk);\n  assign x = ;\nendmodule\n")
    with pytest.raises(DesignError, match=r"^Verilator: .*top\.v:2:14: syntax error[^\n]*$"):
        read_top([path])
    path.write_text("module other(input clk);\nendmodule\n")
    with pytest.raises(DesignError, match="--top-module 'top' was not found"):
        read_top([path])
    with pytest.raises(DesignError, match=r"absent\.v: no such file"):
        read_top([tmp_path / "absent.v"])
    path.write_text('`include "absent.vh"\n')
    with pytest.raises(DesignError, match=r"absent\.vh"):
        read_top([path])


def test_parameters_and_includes_decide_the_ports(tmp_path: Path) -> None:
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc/width.vh").write_text("`define TWICE 2\n")
    path = tmp_path / "top.v"
    path.write_text(
        '`include "width.vh"\nmodule top #(parameter W = 8)(input [W-1:0] a, output [`TWICE*W-1:0] b);\n'
        "assign b = 0;\nendmodule\n"
    )
    ports = read_top([path], parameters={"W": 16}, include=[tmp_path / "inc"]).ports
    assert {name: port.width for name, port in ports.items()} == {"a": 16, "b": 32}


def test_the_map_is_named_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ports.toml"
    path.write_text((AXI / "ports.toml").read_text().replace("m_axi_", "axi_"))
    with pytest.raises(MapError, match=r"ports.toml: axi: dma_engine has no port axi_awvalid"):
        foreign_device([AXI / "dma_engine.v"], path)


def test_the_page_has_all_keys() -> None:
    rows = [
        (
            f"`[{key.table}]`" if key.table else "",
            f"`{key.name}`",
            key.wanted,
            "must be given" if key.usual is None else key.usual,
            key.meaning,
        )
        for key in KEYS
    ]
    several = {"`[bar]`": "`[[bar]]`", "`[interrupt]`": "`[[interrupt]]`"}
    rows = [(several.get(row[0], row[0]), *row[1:]) for row in rows]
    rows += [
        ("`[parameters]`", "a name", "a number or a string", "", "a parameter of the top"),
        ("`[tie]`", "a name", "a number", "", "an input, and its value"),
    ]
    table = "\n".join(markdown_table(["table", "key", "value", "by itself", "what"], rows))
    page = Path("docs/foreign-rtl.md").read_text()
    assert page.partition("<!-- keys -->\n")[2].partition("\n<!-- end of keys -->")[0] == table, table
