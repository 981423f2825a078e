"""The header of frames with a legacy driver has 10 bytes, both ways, and 12 with any other."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.function.net.outgoing import NetOutgoing
from ringwalker.function.net.receive import NetReceive
from ringwalker.function.net.settings import NetSettings
from ringwalker.spec.net import NET_TRANSMIT_QUEUE
from ringwalker_sim.testing.dma import bytes_of, packet_beats
from ringwalker_sim.testing.inprocess import Bench

WIDTHS = (64, 128, 256, 512)
LONGEST = 1518
CONFIGS = {width: DeviceConfig(function="net", data_width=width, face="transitional") for width in WIDTHS}


def make(width: int, received: bool) -> type[Bench]:
    class Side(Bench):
        @classmethod
        def component(cls) -> Any:
            return NetReceive(width, has_legacy=True) if received else NetOutgoing(CONFIGS[width])

    return Side


RECEIVES = {width: make(width, True) for width in WIDTHS}
SENDS = {width: make(width, False) for width in WIDTHS}


def packets(beats: list[Any], width: int) -> list[bytes]:
    """The packets in ``beats``, which they are taken from."""
    found, first = [], 0
    for n, beat in enumerate(beats):
        if beat["last"]:
            found.append(bytes_of(beats[first : n + 1], width))
            first = n + 1
    return found


@pytest.mark.parametrize("legacy", [0, 1])
@pytest.mark.parametrize("width", WIDTHS)
def test_received_frames_have_the_header_of_their_driver(width: int, legacy: int) -> None:
    header = bytes(10) if legacy else bytes(10) + b"\1\0"

    async def body(bench: Bench) -> None:
        bench.drive("legacy", legacy)
        frames = [bench.random.randbytes(length) for length in (14, 60, 64, 61, 118, 502, LONGEST, 15)]
        for frame in frames:
            bench.put("lengths", len(frame))
            bench.put("data", *(beat["data"] for beat in packet_beats(frame, width)))
            bench.put("chain.chains", {"writable": len(header) + len(frame)})
        bench.put("lengths", 40)
        bench.put("data", *(beat["data"] for beat in packet_beats(bytes(40), width)))
        bench.put("chain.chains", {"writable": len(header) + 39})
        bench.count("undersized")
        await bench.cycles(900)
        beats = bench.got("chain.replies")
        assert packets(beats, width) == [*(header + frame for frame in frames), b""]
        ends = [beat["written"] for beat in beats if beat["last"]]
        assert ends == [*(len(header) + len(frame) for frame in frames), 0]
        assert bench.counts["undersized"] == 1

    RECEIVES[width]().run(body)


@pytest.mark.parametrize("legacy", [0, 1])
@pytest.mark.parametrize("width", WIDTHS)
def test_frames_are_sent_without_the_header_of_their_driver(width: int, legacy: int) -> None:
    header = 10 if legacy else 12
    most = NetSettings().frame_bytes

    async def body(bench: Bench) -> None:
        bench.drive("legacy", legacy)
        frames = [bench.random.randbytes(length) for length in (14, 60, 13, 61, 118, 502, most, most + 1, 15)]
        for frame in frames:
            packet = bench.random.randbytes(header) + frame
            bench.put("chain.chains", {"queue": NET_TRANSMIT_QUEUE, "readable": len(packet)})
            bench.put("chain.readable", *packet_beats(packet, width))
        await bench.until(lambda: not bench.pending("chain.readable"))
        await bench.cycles(30)
        assert packets(bench.got("tx"), width) == [frame for frame in frames if 14 <= len(frame) <= most]
        assert len(bench.got("chain.replies")) == len(frames)

    SENDS[width]().run(body)
