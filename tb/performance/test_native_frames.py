"""The load of frames in C++ does what the one in Python does: same buffers, same cycles, same errors."""

import contextlib
from typing import Any

import pytest

from ringwalker.spec.features import Feature
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.bus import VirtioBus
from ringwalker_sim.guest.errors import VirtioError
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.performance.frames import USUAL_FEATURES, FrameLoad, load_driver
from ringwalker_sim.performance.native_frames import NativeFrameLoad
from ringwalker_sim.testing.devices import SMALL_NET as CONFIG

EVENTS = 1 << Feature.EVENT_IDX
DIRECTIONS = ("tx", "rx")


def moved(
    kind: type[FrameLoad], direction, total=300, length=60, depth=64, batch=32, features=USUAL_FEATURES,
    spoil=None, **host,
) -> dict[str, Any]:  # fmt: skip
    """Move frames: what of it can be seen from outside."""
    memory = GuestMemory(1 << 20)
    seen: dict[str, Any] = {"failure": None}
    with open_engine("native", CONFIG, memory, None, host=host, seed=4) as port:

        async def work() -> None:
            transport = await VirtioPciTransport.bind((await enumerate_pci(port))[0])
            bus = VirtioBus()
            driver = load_driver(
                port, kind, direction=direction, length=length, depth=depth, batch=batch, features=features
            )
            await bus.register_virtio_driver(driver)
            await bus.register_virtio_device(transport.device)
            load: FrameLoad = transport.device.priv
            seen["load"] = load
            if spoil:
                spoil(port, load)
            try:
                await load.run(total)
                await load.run(total // 2)
            except VirtioError as error:
                seen["failure"] = str(error)

        with contextlib.suppress(KeyboardInterrupt):
            port.run(work())
        load = seen.pop("load")
        lent = isinstance(load, NativeFrameLoad) and load.lent
        vq: Any = load.vq
        state = vq.state()
        state.outstanding = [(chain.data, chain.number, *chain.place) for chain in state.outstanding]
        latencies = [int(cycles) for part in load.latencies for cycles in part]
        seen |= {"state": state, "cycles": load.cycles, "done": load.done, "now": port.now()}
        return {
            "lent": lent,
            "latencies": latencies,
            "stats": port.engine.stats(),
            **seen,
            "memory": bytes(memory.array),
        }


def both(**case) -> dict[str, Any]:
    """The same with both loads; what they did."""
    fast, slow = moved(NativeFrameLoad, **case), moved(FrameLoad, **case)
    assert fast.pop("lent")
    assert not slow.pop("lent")
    assert fast == slow
    return fast


@pytest.mark.parametrize("features", [0, EVENTS, USUAL_FEATURES])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_way_to_use_a_ring_is_the_same(direction, features):
    seen = both(direction=direction, features=features, latency_jitter=100)
    assert seen["failure"] is None
    assert seen["done"] == 150
    assert len(seen["latencies"]) == 450


@pytest.mark.parametrize(("depth", "batch"), [(1, 1), (7, 7), (50, 16)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_any_depth_and_batch_is_the_same(direction, depth, batch):
    seen = both(direction=direction, depth=depth, batch=batch, length=300, total=101)
    assert seen["failure"] is None


def later(port: Any, cycles: int, action: Any) -> None:
    """Do ``action`` when so many cycles have passed."""

    async def wait() -> None:
        await port.sleep(cycles)
        action()

    port.start(wait())


def test_a_frame_that_is_lost_is_the_same():
    def spoil(port, _load):
        mac = port.engine.ports.mac
        later(port, 1000, lambda: mac.set_link(False))
        later(port, 1100, lambda: mac.set_link(True))

    seen = both(direction="tx", spoil=spoil)
    assert "frames came out of the MAC other than they were sent" in seen["failure"]


def test_frames_that_do_not_come_are_the_same():
    seen = [
        moved(
            kind,
            "rx",
            spoil=lambda port, _load: later(port, 3000, lambda: port.engine.ports.mac.set_link(False)),
        )
        for kind in (NativeFrameLoad, FrameLoad)
    ]
    fast, slow = ({name: one[name] for name in ("failure", "done", "state", "latencies")} for one in seen)
    assert fast == slow
    assert fast["failure"] == f"no buffer came back in 1000000 cycles, after {fast['done']}"
    assert fast["done"] > 0


def test_a_wrong_frame_is_the_same():
    def spoil(port, _load):
        supply = port.engine.ports.mac.supply

        def supply_others(frames, count):
            others = frames.copy()
            others[40, 20] ^= 1
            supply(others, count)

        port.engine.ports.mac.supply = supply_others

    fast, slow = (moved(kind, "rx", spoil=spoil)["failure"] for kind in (NativeFrameLoad, FrameLoad))
    assert fast == slow
    assert "were received wrong" in fast


def test_a_ring_that_makes_no_sense_is_the_same():
    def spoil(port, load):
        later(port, 3000, lambda: load.vq._used_idx.__iadd__(99))

    seen = both(direction="tx", spoil=spoil)
    assert "buffers are outstanding" in seen["failure"]


def test_used_lengths_that_cannot_be_are_the_same():
    def spoil(port, load):
        later(port, 3000, lambda: load.vq._used_len.__setitem__(slice(None), 5000))

    seen = both(direction="rx", spoil=spoil)
    assert seen["failure"] is not None


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_interruption_leaves_the_queue_to_the_driver(direction):
    def interrupt() -> None:
        raise KeyboardInterrupt

    seen = both(direction=direction, total=3000, spoil=lambda port, _load: later(port, 3000, interrupt))
    assert seen["failure"] is None
    assert seen["state"].outstanding
    assert seen["state"].number < 3000
