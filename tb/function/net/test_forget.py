"""The network function forgets its chains at any moment: whole frames or errors, and later ones are right."""

from typing import Any

import pytest

from ringwalker.function.net.receive import NetReceive
from ringwalker.function.net.transmit import NetTransmit
from ringwalker.function.net.types import HEADER_BYTES
from ringwalker_sim.testing.dma import bytes_of, packet_beats
from ringwalker_sim.testing.inprocess import Bench, simulated

WIDTH = 64


class Transmit(Bench):
    """The way of packets to the MAC. ``frames`` are those that it got, with whether they end in an error."""

    @classmethod
    def component(cls) -> NetTransmit:
        return NetTransmit(WIDTH)

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[bytes, bool]] = []
        self._beats: list[Any] = []
        self.on("tx", self._beat)

    def _beat(self, beat: Any) -> None:
        self._beats.append(beat)
        if beat["last"]:
            self.frames.append((bytes_of(self._beats, WIDTH), bool(beat["error"])))
            self._beats = []

    def send(self, frame: bytes) -> None:
        """A packet with this frame."""
        beats = packet_beats(bytes(HEADER_BYTES) + frame, WIDTH)
        self.put("i", *({f"beat_{key}": value for key, value in beat.items()} for beat in beats))

    async def forget(self) -> None:
        """The walker forgets everything in flight."""
        self.drive("forget", 1)
        await self.cycles()
        self.drive("forget", 0)
        self.begin_anew("i")

    async def check_new(self, frame: bytes) -> None:
        """A new frame is sent as it is."""
        self.send(frame)
        await self.until(lambda: self.frames and self.frames[-1] == (frame, False), "the new frame")


@simulated(Transmit)
async def test_a_frame_in_the_middle_ends_with_an_error(bench: Transmit) -> None:
    bench.send(bytes(range(200)))
    await bench.cycles(12)
    await bench.forget()
    await bench.until(lambda: bench.frames)
    ((content, error),) = bench.frames
    assert error
    assert 0 < len(content) < 200
    await bench.check_new(b"another frame of some bytes")
    assert len(bench.frames) == 2


@simulated(Transmit)
async def test_a_mac_that_takes_nothing_holds_up_nothing(bench: Transmit) -> None:
    bench.stall("tx")
    bench.send(bytes(range(100)))
    await bench.until(lambda: bench.value("tx.valid"))
    await bench.forget()
    bench.send(b"sent when the MAC goes on")
    await bench.cycles(30)
    assert bench.value("tx.valid")
    bench.stall("tx", probability=0)
    await bench.until(lambda: len(bench.frames) == 2)
    assert bench.frames[0][1]
    assert bench.frames[1] == (b"sent when the MAC goes on", False)


@pytest.mark.parametrize("seed", range(2))
def test_forgetting_frames_to_send_at_any_moment(seed: int) -> None:
    async def body(bench: Transmit) -> None:
        bench.random.seed(seed)
        for turn in range(60):
            bench.stall("tx", probability=bench.random.choice([0, 0.5, 0.95]))
            sent = [bench.random.randbytes(bench.random.randrange(14, 90)) for _ in range(3)]
            for frame in sent:
                bench.send(frame)
            await bench.cycles(bench.random.randrange(50))
            await bench.forget()
            bench.stall("tx", probability=0)
            last = bytes([turn]) * (14 + turn)
            await bench.check_new(last)
            whole = [content for content, error in bench.frames if not error]
            assert whole == [*sent[: len(whole) - 1], last]
            assert len(bench.frames) - len(whole) <= 1
            bench.frames.clear()

    Transmit().run(body)


class Receive(Bench):
    """The way of frames to chains. ``answers`` are the frames in the replies, None for one without."""

    @classmethod
    def component(cls) -> NetReceive:
        return NetReceive(WIDTH)

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytes | None] = []
        self.frames: list[bytes] = []
        self._beats: list[Any] = []
        self.on("chain.replies", self._beat)

    def _beat(self, beat: Any) -> None:
        self._beats.append(beat)
        if beat["last"]:
            content = bytes_of(self._beats, WIDTH)
            assert len(content) == beat["written"]
            self.answers.append(content[HEADER_BYTES:] if content else None)
            self._beats = []

    def arrive(self, count: int) -> None:
        """So many frames come in, each unlike all others."""
        for _ in range(count):
            number = len(self.frames)
            frame = number.to_bytes(2, "little") * self.random.randrange(8, 40)
            self.frames.append(frame)
            self.put("lengths", len(frame))
            self.put("data", *(beat["data"] for beat in packet_beats(frame, WIDTH)))

    async def forget(self) -> None:
        """The walker forgets everything in flight."""
        self.drive("chain.forget", 1)
        await self.cycles()
        self.drive("chain.forget", 0)
        self.begin_anew("chain.chains", "chain.readable", "chain.replies")
        self._beats = []


@simulated(Receive)
async def test_frames_that_no_chain_was_taken_for_stay(bench: Receive) -> None:
    bench.arrive(2)
    await bench.cycles(20)
    await bench.forget()
    bench.put("chain.chains", {"writable": 500}, {"writable": 500})
    await bench.until(lambda: len(bench.answers) == 2)
    assert bench.answers == bench.frames


@simulated(Receive)
async def test_the_frame_of_a_forgotten_chain_is_dropped(bench: Receive) -> None:
    bench.stall("chain.replies")
    bench.put("chain.chains", {"writable": 500})
    bench.arrive(1)
    await bench.cycles(30)
    await bench.forget()
    assert bench.value("chain.idle")
    bench.stall("chain.replies", probability=0)
    bench.arrive(1)
    bench.put("chain.chains", {"writable": 500})
    await bench.until(lambda: bench.answers)
    assert bench.answers == bench.frames[1:]


@pytest.mark.parametrize("seed", range(3))
def test_forgetting_chains_of_frames_at_any_moment(seed: int) -> None:
    async def body(bench: Receive) -> None:
        bench.random.seed(seed)
        for _ in range(50):
            bench.stall(probability=bench.random.choice([0, 0.3]))
            bench.stall("chain.replies", probability=bench.random.choice([0, 0.5, 0.95]))
            bench.arrive(bench.random.randrange(6))
            writable = [bench.random.choice([20, 500, 500]) for _ in range(bench.random.randrange(6))]
            bench.put("chain.chains", *({"writable": room} for room in writable))
            await bench.cycles(bench.random.randrange(60))
            await bench.forget()
            assert bench.value("chain.idle")
            bench.stall(probability=0)
            bench.answers.clear()
            bench.arrive(1)
            last = bench.frames[-1]

            def done(last: bytes = last) -> bool:
                if not bench.pending("chain.chains"):
                    bench.put("chain.chains", {"writable": 500})
                return last in bench.answers

            await bench.until(done, "the last frame")
            # All whole, in order, none twice.
            places = [bench.frames.index(answer) for answer in bench.answers if answer]
            assert places == sorted(set(places))
            await bench.forget()
            await bench.cycles(100)

    Receive().run(body)
