"""The field list of 2007 in front of the registers: its values are views of them."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import RegisterPort
from ..spec.fields import FIELD_QUEUE_STRIDE, FIELDS_BASE, CommonField
from ..spec.modern import FACE_BAR, CapabilityType
from ..streams import RegisterRequest
from .face import RegisterFace, Window, pass_on, within
from .field_list import FieldDword, field_list, queue_field

__all__ = ["FIELD_FACE", "FieldFace"]

_STRIDE_BITS = FIELD_QUEUE_STRIDE.bit_length() - 1


class _Place(data.Struct):
    """What a dword of the list is: see :class:`~ringwalker.transport.field_list.FieldDword`."""

    value: unsigned(32)
    view: unsigned(1)
    register: unsigned(24)
    rotate: unsigned(2)
    readable: unsigned(4)
    writable: unsigned(4)
    selected: unsigned(1)
    select_register: unsigned(24)
    select_strobe: unsigned(4)
    select_value: unsigned(32)


def _content(dword: FieldDword) -> dict[str, int]:
    """``dword`` as the fields of a :class:`_Place`."""
    select = dword.select
    return {
        "value": dword.value,
        "view": int(dword.register is not None),
        "register": dword.register or 0,
        "rotate": dword.rotate,
        "readable": dword.readable,
        "writable": dword.writable,
        "selected": int(select is not None),
        "select_register": select.register if select else 0,
        "select_strobe": select.strobe if select else 0,
        "select_value": select.value if select else 0,
    }


def _to_register(value: Any, unit: int, rotate: Any) -> Any:
    """Four units of ``unit`` bits of the list in the order of the register: rotated up."""
    return (Cat(value, value) << rotate * unit)[4 * unit : 8 * unit]


def _to_list(dword: Any, place: Any) -> Any:
    """The dword of a register in the order of the list, and without the bytes that are not of the field."""
    mask = Cat(bit.replicate(8) for bit in place.readable)
    return (Cat(dword, dword) >> place.rotate * 8)[:32] & mask


class FieldFace(Component):
    """Shows the list at FIELDS_BASE of the register BAR, and passes on all other accesses.

    An access to a view is carried out as an access of the register. Where that needs a select register, it is
    read, written, and written back after the access, with nothing else in between, so a driver of the virtio
    structures does not notice. Bytes that are not writable ignore writes. During a device reset
    the select registers take no writes, so what a view that needs one shows or changes then is undefined, as
    it is for the registers.

    Latency: none outside the list, requests and responses pass in the same cycle. Constants are answered in 2
    cycles; views take 3 cycles more than the register, and with a select register those of its read and of
    two writes too. While a read waits for its response no further access is taken.

    Ref: "virtio with config abstraction and ring implementation", 20 September 2007.
    """

    i: In(RegisterPort())
    """The initiator."""
    o: Out(RegisterPort())
    """The registers."""
    idle: Out(1)
    """No access is in flight."""

    def __init__(self, config: DeviceConfig):
        self._config = config
        self._list = field_list(config)
        self._own: Any = Signal(RegisterRequest, name="own")
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        asked: Any = Signal(RegisterRequest)
        answer, saved, passing = Signal(32), Signal(32), Signal()
        taken, answers = self.o.requests.ready, self.o.responses
        found = self._look_up(m, asked)
        place: Any = Signal(_Place)
        with m.FSM() as fsm:
            m.d.comb += [
                self.o.requests.p.eq(Mux(fsm.ongoing("WAIT_REQUEST"), self.i.requests.p, self._own)),
                self.i.responses.p.eq(Mux(fsm.ongoing("WAIT_TAKEN"), answer, self.o.responses.p)),
            ]
            with m.State("WAIT_REQUEST"):
                m.d.comb += self.idle.eq(~passing)
                with m.If(~passing & self._inside(self.i.requests.p)):
                    m.d.comb += self.i.requests.ready.eq(1)
                    m.d.sync += asked.eq(self.i.requests.p)
                    with m.If(self.i.requests.valid):
                        m.next = "WAIT_PLACE"
                with m.Else():
                    pass_on(m, self.i, self.o, passing)
            with m.State("WAIT_PLACE"):
                m.d.sync += [answer.eq(found.value), place.eq(found)]
                with m.If(asked.write & ((asked.strobe & found.writable) == 0)):
                    m.next = "WAIT_REQUEST"
                with m.Elif(~found.view):
                    m.next = "WAIT_TAKEN"
                with m.Elif(found.selected):
                    self._ask_select(m, found, 0)
                    m.next = "WAIT_SELECT_READ"
                with m.Else():
                    self._ask_register(m, found, asked)
                    m.next = "WAIT_REGISTER"
            self._select(m, asked, place, saved)
            with m.State("WAIT_REGISTER"):
                m.d.comb += self.o.requests.valid.eq(1)
                with m.If(taken):
                    # For WAIT_RESTORE, if there will be one.
                    self._ask_select(m, place, 1, saved)
                    m.next = "WAIT_ANSWER"
                    with m.If(asked.write):
                        m.next = "WAIT_REQUEST"
                        with m.If(place.selected):
                            m.next = "WAIT_RESTORE"
            with m.State("WAIT_ANSWER"):
                m.d.comb += answers.ready.eq(1)
                m.d.sync += answer.eq(_to_list(answers.p.data, place))
                with m.If(answers.valid):
                    m.next = "WAIT_TAKEN"
                    with m.If(place.selected):
                        m.next = "WAIT_RESTORE"
            with m.State("WAIT_RESTORE"):
                m.d.comb += self.o.requests.valid.eq(1)
                with m.If(taken):
                    m.next = "WAIT_TAKEN"
                    with m.If(asked.write):
                        m.next = "WAIT_REQUEST"
            with m.State("WAIT_TAKEN"):
                m.d.comb += self.i.responses.valid.eq(1)
                with m.If(self.i.responses.ready):
                    m.next = "WAIT_REQUEST"
        return m

    def _select(self, m: Any, asked: Any, place: Any, saved: Any) -> None:
        """Read the register that selects what the view shows into ``saved``, and write it."""
        with m.State("WAIT_SELECT_READ"):
            m.d.comb += self.o.requests.valid.eq(1)
            with m.If(self.o.requests.ready):
                m.next = "WAIT_SAVED"
        with m.State("WAIT_SAVED"):
            m.d.comb += self.o.responses.ready.eq(1)
            m.d.sync += saved.eq(self.o.responses.p.data)
            with m.If(self.o.responses.valid):
                self._ask_select(m, place, 1, place.select_value)
                m.next = "WAIT_SELECT"
        with m.State("WAIT_SELECT"):
            m.d.comb += self.o.requests.valid.eq(1)
            with m.If(self.o.requests.ready):
                self._ask_register(m, place, asked)
                m.next = "WAIT_REGISTER"

    def _inside(self, request: Any) -> Any:
        return (request.bar == FACE_BAR) & within(request.offset, FIELDS_BASE, self._list.size)[0]

    def _ask_select(self, m: Any, place: Any, write: Any, value: Any = 0) -> None:
        """The next access is one of the register that selects what the view at ``place`` shows."""
        self._ask(m, place.select_register, write, place.select_strobe, value)

    def _ask_register(self, m: Any, place: Any, asked: Any) -> None:
        """The next access is ``asked``, of the register that the view at ``place`` shows."""
        strobe = asked.strobe & Mux(asked.write, place.writable, place.readable)
        turned = [_to_register(value, n, place.rotate) for value, n in ((strobe, 1), (asked.data, 8))]
        self._ask(m, place.register, asked.write, *turned)

    def _ask(self, m: Any, register: Any, write: Any, strobe: Any, value: Any) -> None:
        content = {"bar": FACE_BAR, "offset": register, "write": write, "strobe": strobe, "data": value}
        m.d.sync += [self._own[name].eq(item) for name, item in content.items()]

    def _look_up(self, m: Any, request: Any) -> Any:
        """What stands at the place of ``request``: in front of the queues by dword, then queue for queue."""
        first, last_queue = self._list.first_queue, self._config.queues - 1
        place: Any = Signal(_Place)
        offset, queue = Signal(range(self._list.size)), Signal(range(last_queue + 1))
        m.d.comb += [
            offset.eq(within(request.offset, FIELDS_BASE, self._list.size)[1]),
            queue.eq((offset - first) >> _STRIDE_BITS),
        ]
        with m.If(offset < first):
            with m.Switch(offset[2:]):
                for dword in self._list.dwords[: first // 4]:
                    with m.Case(dword.offset // 4):
                        m.d.comb += place.eq(_Place.const(_content(dword)))
        with m.Else():
            # What differs between queues does so in proportion to their numbers.
            zero, one = (queue_field(first, number).dwords for number in range(2))
            with m.Switch(offset[2:_STRIDE_BITS]):
                for number, pair in enumerate(zip(zero, one, strict=True)):
                    low, high = map(_content, pair)
                    with m.Case(number):
                        for name, value in low.items():
                            m.d.comb += place[name].eq(value + queue * (high[name] - value))
                with m.Default():
                    header = self._list.find(CommonField.QUEUE, 0).header.value
                    end = self._list.fields[-1].header.value
                    m.d.comb += place.value.eq(Mux(queue == last_queue, end, header))
        return place


def _windows(config: DeviceConfig) -> tuple[Window, ...]:
    size = field_list(config).size
    return (Window("fields", FACE_BAR, FIELDS_BASE, size, CapabilityType.VENDOR),)


FIELD_FACE = RegisterFace("fields", lambda config: config.has_fields, _windows, FieldFace)
"""The list, for devices that are found by the vendor of 2007."""
