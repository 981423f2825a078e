"""The console device. Ref: virtio 1.4, 5.3."""

from ringwalker.spec.console import (
    CONSOLE_CONFIG,
    CONSOLE_CONTROL_RECEIVE_QUEUE,
    CONSOLE_CONTROL_TRANSMIT_QUEUE,
    CONSOLE_RECEIVE_QUEUE,
    CONSOLE_TRANSMIT_QUEUE,
    ConsoleControl,
    ConsoleEvent,
    ConsoleFeature,
)
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus

from ...memory import dtype_of
from ..changes import config_base, read_field
from ..check import WAYS, Nonconformance, NotApplicable, check
from ..conditions import has_medium, is_type, offers
from ..medium import ConsoleMedium
from ..rings.queues import Queue
from ..stimulus import cut
from ..subject import Subject

__all__: list[str] = []

_CONSOLE = is_type(DeviceType.CONSOLE)
_F = ConsoleFeature
_PORT_0 = (CONSOLE_RECEIVE_QUEUE, CONSOLE_TRANSMIT_QUEUE)
_MESSAGE = dtype_of(ConsoleControl)
_LONGEST = 256
"""Bytes of the buffers for control messages."""


def _terminal(subject: Subject) -> ConsoleMedium:
    if not isinstance(subject.medium, ConsoleMedium):
        raise NotApplicable("what is behind the device cannot be reached from here")
    return subject.medium


async def _shown(subject: Subject, count: int, clause: str, text: str) -> bytes:
    """Wait until so many bytes have come out."""
    shown = bytearray()

    async def enough() -> bool:
        shown.extend(await _terminal(subject).received())
        return len(shown) >= count

    await subject.until(enough, clause, text)
    return bytes(shown)


async def _write_emergency(subject: Subject, value: int) -> None:
    bar, base = await config_base(subject)
    row = CONSOLE_CONFIG.emerg_wr
    await subject.pci.bar_write_wide(bar, base + row.offset, row.size, value)


@check("core-04.01", ways=WAYS, needs=[_CONSOLE, offers(_F.SIZE)])
async def size_of_the_terminal_can_be_read(subject: Subject) -> None:
    """Reads columns and rows before and after negotiation.

    Wrong: they change, though nobody has changed the terminal.
    """
    before = await read_field(subject, CONSOLE_CONFIG.cols), await read_field(subject, CONSOLE_CONFIG.rows)
    await subject.start(_F.SIZE, queues=_PORT_0, interrupt="none")
    after = await read_field(subject, CONSOLE_CONFIG.cols), await read_field(subject, CONSOLE_CONFIG.rows)
    if before != after:
        raise Nonconformance("core-04.01", f"the terminal has {before}, then {after} columns and rows")


@check("console-01.01", ways=WAYS, needs=[_CONSOLE, offers(_F.EMERG_WRITE)])
async def emergency_write_needs_no_driver(subject: Subject) -> None:
    """Writes emergency characters at each step of the initialization, from after a reset on, and brings the
    device to work.

    Wrong: a write changes the status, or the device does not work afterwards.
    """
    reached = 0
    for step in (0, DeviceStatus.ACKNOWLEDGE, DeviceStatus.DRIVER):
        reached |= step
        if step:
            await subject.set_status(reached)
        await _write_emergency(subject, ord("a"))
        status = await subject.status()
        if status != reached:
            text = f"the status is {status:#x} after an emergency write, and was {reached:#x}"
            raise Nonconformance("console-01.01", text)
    await subject.start(queues=_PORT_0, interrupt="none")
    await _write_emergency(subject, ord("b"))
    queue = subject.queues[CONSOLE_TRANSMIT_QUEUE]
    queue.offer(cut(subject.buffer(4, b"ok\r\n"), (), False))
    queue.publish()
    await subject.kick(queue)
    await subject.used(queue, 1, "console-01.01")


@check("console-01.02", ways=WAYS, needs=[_CONSOLE, offers(_F.EMERG_WRITE), has_medium])
async def emergency_write_is_put_out(subject: Subject) -> None:
    """Writes emergency characters with other bits set above them, before and after initialization.

    Wrong: the lower byte does not come out, which should be.
    """
    await _terminal(subject).received()
    for works in (False, True):
        if works:
            await subject.start(queues=_PORT_0, interrupt="none")
        for value in (0x41, 0x1234_5642, 0xFFFF_FF00 | ord("c")):
            await _write_emergency(subject, value)
            shown = await _shown(subject, 1, "console-01.02", f"nothing comes out for {value:#x}")
            if shown != bytes([value & 0xFF]):
                raise Nonconformance("console-01.02", f"{shown.hex()} comes out for {value:#x}")


@check("core-06.01", ways=WAYS, needs=[_CONSOLE, has_medium])
async def output_comes_out(subject: Subject) -> None:
    """Puts out buffers of many lengths, in one and in several pieces.

    Wrong: other bytes come out, or in another order.
    """
    await subject.start(queues=_PORT_0, interrupt="none")
    await _terminal(subject).received()
    queue = subject.queues[CONSOLE_TRANSMIT_QUEUE]
    wanted = b""
    for number, (length, pieces) in enumerate(
        ((1, ()), (2, (1,)), (63, ()), (64, (7, 1)), (500, (3, 100, 1)))
    ):
        content = bytes(32 + (number * 17 + at) % 90 for at in range(length))
        queue.offer(cut(subject.buffer(length, content), pieces, False))
        queue.publish()
        await subject.kick(queue)
        (used,) = await subject.used(queue, 1)
        if used.length and not subject.legacy:
            raise Nonconformance("core-10.02", f"{used.length} bytes are written into a buffer of output")
        wanted += content
    shown = await _shown(subject, len(wanted), "core-06.01", "output does not come out")
    if shown != wanted:
        raise Nonconformance("core-06.01", f"{shown[:60]!r} comes out for {wanted[:60]!r}")


@check("core-06.01", ways=WAYS, needs=[_CONSOLE, has_medium])
async def input_comes_in(subject: Subject) -> None:
    """Types some characters into receive buffers of many lengths, in one and in several pieces.

    Wrong: other characters come in, or in another order, or beyond the used length.
    """
    await subject.start(queues=_PORT_0, interrupt="none")
    queue = subject.queues[CONSOLE_RECEIVE_QUEUE]
    typed = bytes(32 + at % 90 for at in range(150))
    got = b""

    async def offer(length: int, pieces: tuple[int, ...]) -> None:
        queue.offer(cut(subject.buffer(length, bytes(length)), pieces, True))
        queue.publish()
        await subject.kick(queue)

    async def enough() -> bool:
        nonlocal got
        for used in queue.take():
            assert used.offer is not None
            left = used.length
            for piece in used.offer.pieces:
                part = subject.memory.view(piece.address, piece.length).tobytes()
                got, left = got + part[:left], max(0, left - piece.length)
            if not queue.in_flight:
                await offer(64, ())
        return len(got) >= len(typed)

    for length, pieces in ((1, ()), (7, (2, 1)), (40, (39,))):
        await offer(length, pieces)
    await _terminal(subject).send(typed)
    await subject.until(enough, "core-06.01", "what is typed does not come in")
    if got != typed:
        raise Nonconformance("core-06.01", f"{got[:60]!r} comes in for {typed[:60]!r}")
    subject.check_guards()


# --- several ports -----------------------------------------------------------------------------------------


class _Ports:
    """Control messages of a console with several ports. ``ports`` are those that exist."""

    def __init__(self, subject: Subject, most: int):
        self.subject = subject
        self.most = most
        self.ports: set[int] = set()

    @property
    def incoming(self) -> Queue:
        return self.subject.queues[CONSOLE_CONTROL_RECEIVE_QUEUE]

    async def offer(self) -> None:
        self.incoming.offer(cut(self.subject.buffer(_LONGEST), (), True))
        self.incoming.publish()
        await self.subject.kick(self.incoming)

    async def tell(self, port: int, event: ConsoleEvent, value: int) -> None:
        """Send a message to the device."""
        content = port.to_bytes(4, "little") + event.to_bytes(2, "little") + value.to_bytes(2, "little")
        queue = self.subject.queues[CONSOLE_CONTROL_TRANSMIT_QUEUE]
        queue.offer(cut(self.subject.buffer(len(content), content), (), False))
        queue.publish()
        await self.subject.kick(queue)
        await self.subject.used(queue, 1)

    async def listen(self) -> None:
        """Take what the device has to say, and answer, until it has no more to say."""
        quiet = False
        while not quiet:
            await self.subject.settle()
            found = self.incoming.take()
            quiet = not found
            for used in found:
                assert used.offer is not None
                if used.length < _MESSAGE.itemsize:
                    raise Nonconformance("console-02.01", f"a control message has {used.length} bytes")
                place = used.offer.pieces[0].address
                message = self.subject.memory.struct_view(place, ConsoleControl)[0]
                await self.offer()
                await self._take(int(message["id"]), int(message["event"]))

    async def _take(self, port: int, event: int) -> None:
        if event == ConsoleEvent.DEVICE_ADD:
            if port >= self.most:
                text = f"port {port} is added, and there are at most {self.most}"
                raise Nonconformance("console-02.01", text)
            if port in self.ports:
                raise Nonconformance("console-02.01", f"port {port} is added, which exists")
            self.ports.add(port)
            await self.tell(port, ConsoleEvent.PORT_READY, 1)
        elif event == ConsoleEvent.DEVICE_REMOVE:
            if port not in self.ports:
                raise Nonconformance("console-02.02", f"port {port} is removed, which does not exist")
            self.ports.remove(port)
        elif event == ConsoleEvent.CONSOLE_PORT:
            await self.tell(port, ConsoleEvent.PORT_OPEN, 1)


@check("console-02.01", "console-02.02", ways=WAYS, needs=[_CONSOLE, offers(_F.MULTIPORT)])
async def ports_are_added_and_removed_in_order(subject: Subject) -> None:
    """Says that it is ready for control messages, answers them, and keeps a list of the ports; twice, with a
    reset between.

    Wrong: a port is added that exists, or beyond the number of ports; or one is removed that does not exist.
    """
    most = await read_field(subject, CONSOLE_CONFIG.max_nr_ports)
    for _round in range(2):
        queues = (*_PORT_0, CONSOLE_CONTROL_RECEIVE_QUEUE, CONSOLE_CONTROL_TRANSMIT_QUEUE)
        await subject.start(_F.MULTIPORT, queues=queues, interrupt="none")
        ports = _Ports(subject, most)
        for _ in range(min(8, ports.incoming.size)):
            await ports.offer()
        await ports.tell(0, ConsoleEvent.DEVICE_READY, 1)
        await ports.listen()
        subject.note("ports", sorted(ports.ports))
