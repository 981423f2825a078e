"""`ringwalker run net` and `run console`: files go in and come out, through the real device and models."""

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import rdpcap, wrpcap

from ringwalker.config import DeviceConfig
from ringwalker.spec.ids import CLASS_CODES, DeviceType
from ringwalker_sim.captures.captures import NO_CAPTURES
from ringwalker_sim.cli.main import main
from ringwalker_sim.testing.devices import SMALL
from ringwalker_sim.waves.fst import read_fst_end
from ringwalker_sim.workload import net_task
from ringwalker_sim.workload.job import Job

ETHER = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for function in ("net", "console"):
        (tmp_path / f"{function}.toml").write_text(SMALL[function].to_toml())
    return tmp_path


def sized(packet: Packet, size: int) -> Packet:
    """``packet`` with a payload that makes it ``size`` bytes long."""
    return packet / Raw(bytes(n * 7 & 0xFF for n in range(size - len(packet))))


def packets(longest: int) -> list[Packet]:
    """Frames as there are on real networks, from 60 bytes to ``longest``."""
    ipv4, ipv6 = IP(src="192.0.2.1", dst="192.0.2.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
    frames: list[Packet] = [
        sized(Ether(src=ETHER["src"], dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="192.0.2.2"), 60),
        sized(Ether(src=ETHER["src"], dst="01:00:5e:00:00:fb") / ipv4 / UDP(dport=5353), 90),
        sized(Ether(src=ETHER["src"], dst="33:33:00:00:00:01") / ipv6 / UDP(dport=5353), 110),
        sized(Ether(**ETHER) / ipv4 / ICMP(), 98),
        sized(Ether(**ETHER) / Dot1Q(vlan=5, prio=3) / ipv4 / TCP(dport=80), 64),
        sized(Ether(**ETHER) / Dot1Q(vlan=4094) / ipv6 / TCP(dport=443), longest + 4),
    ]
    sizes = (60, 61, 63, 64, 65, 67, 127, 128, 129, 500, 1024, longest - 1, longest)
    for size in sizes:
        frames.append(sized(Ether(**ETHER) / ipv4 / UDP(dport=size), size))
    frames += [sized(Ether(**ETHER) / ipv6 / UDP(dport=size), size) for size in sizes if size > 62]
    return frames


def replay(*options: str, longest: int = 1514) -> dict:
    wrpcap("in.pcap", packets(longest))
    arguments = ["run", "net", "--config", "net.toml", "--replay", "in.pcap", "--capture", "out.pcap"]
    assert main([*arguments, "--json", "result.json", *options]) == 0
    sent, came = rdpcap("in.pcap"), rdpcap("out.pcap")
    assert [bytes(packet) for packet in came] == [bytes(packet) for packet in sent]
    times = [float(packet.time) for packet in came]
    assert times == sorted(times)
    result = json.loads(Path("result.json").read_text())
    assert result["directions"][0]["received"] == len(sent)
    assert result["errors"] == 0
    return result


def test_a_capture_goes_out_and_comes_back_byte_for_byte():
    result = replay()
    assert result["engine"] == "native"
    assert result["tlps"]["up_memory_write"] > 0


def test_jumbo_frames_where_they_are_configured():
    # Without hardware: another size of buffer would be another device to build.
    assert replay("--transport", "memory", "--mtu", "9000", longest=9014)["errors"] == 0


@pytest.mark.slow
def test_jumbo_frames_through_the_device():
    assert replay("--mtu", "9000", longest=9014)["engine"] == "native"


@pytest.mark.parametrize("transport", ["memory", "pipe"])
@pytest.mark.parametrize("interface", ["2007-05", "draft3", "2007-09", "2.6.24"])
def test_a_capture_by_every_interface_without_hardware(interface, transport):
    result = replay("--interface", interface, "--transport", transport)
    assert (result["interface"], result["transport"]) == (interface, transport)


@pytest.mark.parametrize("interface", ["2007-05", "draft3", "2007-09", "2.6.24"])
def test_a_capture_by_every_interface_through_the_device(interface):
    assert replay("--interface", interface)["engine"] == "native"


@pytest.mark.parametrize("transport", ["pci", "memory"])
def test_two_guests_exchange_frames(transport):
    options = ["--inter-guest", "--transport", transport, "--frames", "60", "--json", "result.json"]
    assert main(["run", "net", "--config", "net.toml", *options]) == 0
    directions = json.loads(Path("result.json").read_text())["directions"]
    assert [item["received"] for item in directions] == [60, 60]
    assert [item["errors"] for item in directions] == [0, 0]


def test_waves_of_two_guests_are_those_of_the_first(monkeypatch):
    asked = []

    @contextmanager
    def engine(_name, _config, _memory, *, waves, **_others):
        asked.append(waves)
        yield None

    monkeypatch.setattr(net_task, "open_engine", engine)
    job = Job(net_task.ExchangeTask(sizes=(60,), count=1))
    for number in range(2):
        with net_task._port(DeviceConfig(function="net"), job, number, "run.fst", NO_CAPTURES, None):
            pass
    assert asked == ["run.fst", None]


@pytest.mark.parametrize("transport", ["pci", "memory", "pipe"])
def test_a_console_echoes_a_file(transport):
    content = bytes(range(256)) * 9 + b"end"
    Path("in.bin").write_bytes(content)
    options = ["--input", "in.bin", "--output", "out.bin", "--transport", transport]
    assert main(["run", "console", "--config", "console.toml", *options]) == 0
    assert Path("out.bin").read_bytes() == content


def test_what_the_terminal_shows_is_alone_on_standard_output(capfdbinary):
    Path("in.txt").write_bytes(b"hello, console\n")
    options = ["--input", "in.txt", "--output", "-", "--transport", "memory"]
    assert main(["run", "console", *options]) == 0
    assert capfdbinary.readouterr().out == b"hello, console\n"


@pytest.mark.parametrize(
    "guests",
    [
        pytest.param([], marks=pytest.mark.slow, id="one guest"),
        pytest.param(["--inter-guest"], marks=pytest.mark.campaign, id="two guests"),
    ],
)
def test_waves_of_frames_have_a_layout(guests):
    options = ["--frames", "20", "--waves", "run.fst", *guests]
    assert main(["run", "net", "--config", "net.toml", *options]) == 0
    assert read_fst_end("run.fst") > 0
    assert Path("run.fst").stat().st_size > 1000
    assert 'function = "net"' in Path("run.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net", "--replay", "none.pcap"), "none.pcap: No such file"),
        (("net", "--replay", "net.toml"), "net.toml: not a capture"),
        (("net", "--replay", "long.pcap"), "frame 1 has 3000 bytes, the device takes 1518; use --mtu 2986"),
        (("net", "--replay", "empty.pcap"), "empty.pcap: there are no frames"),
        (("net", "--replay", "long.pcap", "--frames", "3"), "--frames: the frames are those of --replay"),
        (("net", "--inter-guest", "--capture", "x.pcap"), "--capture is for one guest"),
        (("net", "--sizes", "60,4000"), "--sizes 4000: the device takes frames of at most 1518"),
        (("net", "--mtu", "20"), "net.mtu is 20"),
        (("net", "--transport", "pipe", "--waves", "x.fst"), "transport pipe has no signals"),
        (("net", "--inter-guest", "--transport", "pipe"), "--inter-guest: guests meet on transports pci"),
        (("net", "--config", "console.toml"), "its function is console, not net"),
        (("net", "--queues", "2"), "queues is 2; it must be 3"),
        (("console", "--input", "none.txt"), "--input none.txt: No such file"),
        (("console", "--output", "no/where"), "there is no folder no"),
        (("console", "--output", "-", "--json", "-"), "cannot both have standard output"),
    ],
)
def test_what_cannot_be_is_explained(arguments, message, capsys):
    wrpcap("long.pcap", [sized(Ether(**ETHER), 3000)])
    wrpcap("empty.pcap", [])
    assert main(["run", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_identity_of_a_network_device(capsys):
    assert main(["lspci", "--function", "net", "--config", "net.toml", "--json", "net.json"]) == 0
    (function,) = json.loads(Path("net.json").read_text())["functions"]
    header = function["header"]
    shown = header["class"] << 16 | header["subclass"] << 8 | header["programming_interface"]
    assert shown == CLASS_CODES[DeviceType.NET]
    assert header["device_id"] == DeviceType.NET


def test_the_command_line_tells_of_its_examples():
    for function in ("net", "console"):
        done = subprocess.run(["ringwalker", "run", function, "--help"], capture_output=True, text=True)
        assert done.returncode == 0
        assert f"ringwalker run {function}" in done.stdout
        assert "--interface" in done.stdout
