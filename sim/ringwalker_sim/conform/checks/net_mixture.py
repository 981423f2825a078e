"""The network device: random traffic both ways, and random filters. Ref: virtio 1.4, 5.1.6."""

from random import Random
from typing import Any

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import MAC_BYTES, NetClass, NetFeature, NetMacCommand, NetRxCommand

from ..check import WAYS, Nonconformance, check
from ..conditions import has_medium, is_type, offers
from ..net.packets import ETHERNET_BYTES
from ..net.user import BROADCAST, NetUser, make_frame
from ..subject import Subject

__all__: list[str] = []

_NET = is_type(DeviceType.NET)
_F, _RX = NetFeature, NetRxCommand
_STATIONS = [bytes.fromhex("0200deadbe00"), bytes.fromhex("0200deadbe01")]
_GROUPS = [bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")]
_TARGETS = [*_STATIONS, *_GROUPS, b"", BROADCAST]
"""Where packets go; the empty one is the device's own address."""


def _traffic_steps(random: Random) -> list[Any]:
    """``[way, length, first, second]``: a packet out or in, and lengths of its first descriptors."""
    ways, lengths = ("out", "in", "in and out"), (14, 60, 1514)
    steps: list[Any] = []
    for _ in range(24):
        length = random.choice((*lengths, random.randint(14, 1514)))
        steps.append([random.choice(ways), length, random.randint(1, 40), random.randint(1, 80)])
    return steps


@check("net-01.06", "net-03.01", ways=WAYS, needs=[_NET, has_medium], steps=_traffic_steps)
async def packets_both_ways(subject: Subject, steps: list[Any]) -> None:
    """Sends packets of random lengths in random pieces, and lets others come, in random order and at the same
    time.

    Wrong: a packet gets lost, or is another one.
    """
    user = NetUser(subject)
    await user.start()
    most = min(user.mtu or 1500, 1500) + ETHERNET_BYTES
    await user.medium.received()
    for number, (way, length, *cuts) in enumerate(steps):
        frame = make_frame(user.mac, number, min(length, most))
        if "in" in way:
            await user.medium.send(frame)
        if "out" in way:
            pieces = (user.header_bytes, *cuts) if subject.legacy else tuple(cuts)
            await user.send(frame, pieces=pieces)
            (out, *more) = await user.sent(1, "net-01.06", "a packet does not come out")
            if more or out[: len(frame)] != frame:
                raise Nonconformance("net-01.06", f"{out[:40].hex()} comes out for {frame[:40].hex()}")
        if "in" in way:
            arrival = await user.next_arrival("net-03.01", "a packet is not received")
            await user.offer(arrival.buffers)
            if not arrival.is_that(frame):
                raise Nonconformance("net-03.01", f"{arrival.frame[:40].hex()} is received")


def _filter_steps(random: Random) -> list[Any]:
    """``["mode", command, on]``, ``["table", stations, groups]``, and ``["packet", target]``."""
    steps: list[Any] = []
    for _ in range(30):
        if random.random() < 0.75:
            mode = random.choice(list(_RX))
            on = random.random() < (0.2 if mode is _RX.PROMISCUOUS else 0.6)
            steps.append(["mode", int(mode), int(on)])
        else:
            steps.append(["table", *([item for item in range(2) if random.random() < 0.3] for _ in range(2))])
        steps += [["packet", target] for target in random.sample(range(len(_TARGETS)), 2)]
    return steps


class _Filter:
    """What the driver has set, and what that means for a packet."""

    def __init__(self, mac: bytes):
        self.mac = mac
        self.modes: set[NetRxCommand] = set()
        self.table: list[bytes] = []

    def verdict(self, target: bytes) -> tuple[bool, str] | None:
        """Whether a packet is to be received, and the clause that says so; None where none does.

        A device may receive more than the table says as soon as there is something in it.
        """
        modes = self.modes
        if _RX.PROMISCUOUS in modes:
            return True, "net-05.02"
        if target == BROADCAST:
            return (False, "net-05.12") if _RX.NO_BROADCAST in modes else (True, "net-05.09")
        if target[0] & 1:
            every, none, clauses = (
                _RX.ALL_MULTICAST,
                _RX.NO_MULTICAST,
                ("net-05.04", "net-05.07", "net-05.08"),
            )
        else:
            every, none, clauses = _RX.ALL_UNICAST, _RX.NO_UNICAST, ("net-05.06", "net-05.10", "net-05.11")
        if none in modes:
            return False, clauses[2 if every in modes else 1]
        if every in modes:
            return True, clauses[0]
        if target == self.mac or target in self.table:
            return True, "net-06.02"
        return None if self.table else (False, "net-06.04")


@check(
    *(f"net-05.{number:02d}" for number in (2, 4, 6, 7, 8, 9, 10, 11, 12)),
    *("net-06.02", "net-06.04"),
    ways=WAYS,
    needs=[_NET, offers(_F.CTRL_VQ, _F.CTRL_RX, _F.MAC), has_medium],
    steps=_filter_steps,
)
async def filters_in_any_order(subject: Subject, steps: list[Any]) -> None:
    """Turns modes of reception on and off and sets tables of addresses in random order, and lets packets come
    between.

    Wrong: a packet is dropped that what was set lets pass, or the other way round.
    """
    user = NetUser(subject)
    extra = subject.offers(_F.CTRL_RX_EXTRA)
    await user.start(_F.CTRL_VQ, _F.CTRL_RX, *([_F.CTRL_RX_EXTRA] if extra else []))
    known = _Filter(user.mac)
    await user.order(NetClass.RX, _RX.PROMISCUOUS, b"\0", "net-05.01")
    for number, (what, *values) in enumerate(steps):
        if what == "mode":
            mode = _RX(values[0])
            if extra or mode in (_RX.PROMISCUOUS, _RX.ALL_MULTICAST):
                await user.order(NetClass.RX, mode, bytes([values[1]]), "net-05.01")
                (known.modes.add if values[1] else known.modes.discard)(mode)
        elif what == "table":
            parts = [[_STATIONS[item] for item in values[0]], [_GROUPS[item] for item in values[1]]]
            data = b"".join(len(part).to_bytes(4, "little") + b"".join(part) for part in parts)
            pieces = (2, *(4 + MAC_BYTES * len(part) for part in parts))
            await user.order(NetClass.MAC, NetMacCommand.TABLE_SET, data, "net-06.02", pieces)
            known.table = [*parts[0], *parts[1]]
        else:
            target = _TARGETS[values[0]] or user.mac
            verdict = known.verdict(target)
            if verdict is not None:
                receive = user.accepts if verdict[0] else user.refuses
                modes = ", ".join(sorted(mode.name for mode in known.modes)) or "no mode"
                await receive(make_frame(target, number), verdict[1], f"a packet with {modes}")
