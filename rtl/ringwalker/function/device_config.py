"""The device configuration of any function: registers made from a table."""

from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Member, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..spec.modern import PAGE
from ..spec.registers import Access, Register, RegisterTable

__all__ = ["DeviceConfigFace"]


class DeviceConfigFace(Component):
    """Shows a device configuration structure to the driver, as ``table`` describes it.

    Parameters:

    - ``table``: the registers; what lies between them reads 0
    - ``values``: what a register holds after reset, by name; others have ``reset`` of the table
    - ``inputs``: names of read-only registers whose value comes from a member; other read-only registers are
      constant
    - ``writable``: for a read-write register the mask of the bits that the driver can change; default: all

    A read-write register is kept here: the driver writes single bytes of it, the function single bits. A
    write-only register keeps nothing, and reads 0. Whatever features were negotiated has no effect here.

    Members:

    - ``registers`` In(RegisterPort()): accesses of the driver; of ``offset`` the part inside a page counts
    - for each register of ``inputs`` its name In, with the width of the register: what it is to show
    - for each read-write register its name Out: what it holds, ``set_<name>`` In: a bit for each of its bits
      that is to change, and ``new_<name>`` In: what these bits become
    - for each write-only register ``write_<name>`` Out: a pulse for each of its bytes that is being written,
      and its name Out: the bytes, valid with the pulses
    - ``clear`` In 1: read-write registers get back what they hold after reset; wins over all else
    - ``image`` Out: the structure as the driver reads it, byte 0 in the lowest bits; see :meth:`shown`
    - ``generation`` Out 8: goes up in the cycle in which an input's change shows, and after one with a
      ``set_<name>``; never by what the driver writes. However often it does, it is not again what it was
      when a register was read last
    - ``config_change`` Out 1: a pulse with each change of an input

    Latency: 1 cycle for a read. An input shows a cycle later, what was written in the cycle after it. A bit
    that is set and written in the same cycle is set. The first sample of the inputs after reset is no
    change.

    Errors: ``ValueError`` for a table larger than a page, a register with another kind of access, a name that
    is not in the table or not of the right access, a value that does not fit, and a name that is taken.

    Ref: virtio 1.4, 2.5.1 and 4.1.4.3.1 (generation), 4.1.4.6.
    """

    def __init__(
        self,
        table: RegisterTable,
        *,
        values: Mapping[str, int] | None = None,
        inputs: Collection[str] = (),
        writable: Mapping[str, int] | None = None,
    ):
        self._table = table
        self._values = {row.name: row.reset for row in table} | dict(values or {})
        self._inputs = [row for row in table if row.name in inputs]
        self._kept = [row for row in table if row.access is Access.RW]
        self._passed = [row for row in table if row.access is Access.WO]
        self._writable = {row.name: (1 << row.width) - 1 for row in self._kept} | dict(writable or {})
        self._check_rows(inputs)
        super().__init__(self._members())

    def _check_rows(self, inputs: Collection[str]) -> None:
        table = self._table
        if table.size > PAGE:
            raise ValueError(f"{table.name} has {table.size} bytes; a page has {PAGE}")
        for row in table:
            if row.access not in (Access.RO, Access.RW, Access.WO):
                raise ValueError(
                    f"{table.name}.{row.name} is {row.access.value}, which no register here can be"
                )
        for text, names, access in (
            ("inputs", inputs, (Access.RO,)),
            ("writable", self._writable, (Access.RW,)),
            ("values", self._values, (Access.RO, Access.RW, Access.WO)),
        ):
            for name in names:
                if not any(row.name == name and row.access in access for row in table):
                    kinds = " or ".join(kind.value for kind in access)
                    raise ValueError(
                        f"{text} has {name!r}; {table.name} has no {kinds} register of that name"
                    )
        for text, numbers in (("values", self._values), ("writable", self._writable)):
            for name, number in numbers.items():
                if not 0 <= number < 1 << table[name].width:
                    raise ValueError(f"{text} of {name} is {number!r}; it has {table[name].width} bits")

    def _members(self) -> dict[str, Member]:
        fixed = {
            "registers": In(RegisterPort()),
            "clear": In(1),
            "image": Out(8 * self._table.size),
            "generation": Out(8),
            "config_change": Out(1),
        }
        groups: list[dict[str, Member]] = [fixed]
        for row in self._inputs:
            groups.append({row.name: In(row.width, init=self._values[row.name])})
        for row in self._kept:
            value = {row.name: Out(row.width, init=self._values[row.name])}
            groups.append({**value, f"set_{row.name}": In(row.width), f"new_{row.name}": In(row.width)})
        for row in self._passed:
            groups.append({row.name: Out(row.width), f"write_{row.name}": Out(row.size)})
        members: dict[str, Member] = {}
        for group in groups:
            for name, member in group.items():
                if name in members:
                    raise ValueError(f"{self._table.name} needs two members called {name}")
                members[name] = member
        return members

    def shown(self, name: str) -> Any:
        """The register ``name`` as the driver reads it. Errors: ``KeyError``."""
        row = self._table[name]
        return self.image[8 * row.offset : 8 * row.offset + row.width]

    def elaborate(self, platform):
        m: Any = Module()
        changed, was_set = Signal(), Signal()
        written = self._keep(m, was_set)
        self._show(m, changed)
        request, response = self.registers.requests, self.registers.responses
        m.d.comb += request.ready.eq(~response.valid | response.ready)
        following, read = Signal.like(self.generation), Signal.like(self.generation)
        m.d.comb += following.eq(self.generation + 1)
        with m.If(changed | was_set):
            m.d.sync += self.generation.eq(following + (following == read))
        with m.If(request.valid & request.ready & ~request.p.write):
            m.d.sync += read.eq(self.generation)
        m.d.sync += self.config_change.eq(changed)

        with m.If(request.ready):
            m.d.sync += [response.valid.eq(request.valid & ~request.p.write), response.p.data.eq(0)]
            with m.Switch(request.p.offset[2 : PAGE.bit_length() - 1]):
                for number in range(-(-self._table.size // 4)):
                    with m.Case(number):
                        m.d.sync += response.p.data.eq(self.image[32 * number : 32 * number + 32])
                        with m.If(request.valid & request.p.write):
                            self._write(m, number, request.p, written)
        return m

    def _show(self, m: Any, changed: Signal) -> None:
        """Drive ``image``; ``changed`` is up when a sample of the inputs differs from the one before."""
        started = Signal()
        differs: list[Any] = []
        m.d.sync += started.eq(1)
        for row in self._table:
            value: Any = self._values[row.name]
            if row in self._inputs:
                value = Signal(row.width, init=self._values[row.name], name=f"shown_{row.name}")
                m.d.sync += value.eq(getattr(self, row.name))
                differs.append(value != getattr(self, row.name))
            elif row in self._kept:
                value = getattr(self, row.name)
            elif row in self._passed:
                value = 0
            m.d.comb += self.shown(row.name).eq(value)
        if differs:
            m.d.comb += changed.eq(started & reduce(or_, differs))

    def _keep(self, m: Any, was_set: Signal) -> dict[str, Any]:
        """Drive the registers that are kept; gives, for each, what the driver's write makes of it."""
        written: dict[str, Any] = {}
        sets: list[Any] = []
        for row in self._kept:
            value, mask, new = (getattr(self, f"{prefix}{row.name}") for prefix in ("", "set_", "new_"))
            written[row.name] = Signal(row.width, name=f"written_{row.name}")
            sets.append(mask.any())
            m.d.comb += written[row.name].eq(value)
            m.d.sync += value.eq((written[row.name] & ~mask) | (new & mask))
            with m.If(self.clear):
                m.d.sync += value.eq(self._values[row.name])
        if sets:
            m.d.comb += was_set.eq(reduce(or_, sets))
        return written

    def _write(self, m: Any, number: int, request: Any, written: Mapping[str, Any]) -> None:
        """What a write of dword ``number`` does."""
        for row, byte, lane in self._bytes(number):
            source = request.data.word_select(lane, 8)
            place = slice(8 * byte, 8 * byte + 8)
            if row in self._passed:
                m.d.comb += getattr(self, f"write_{row.name}")[byte].eq(request.strobe[lane])
                m.d.comb += getattr(self, row.name)[place].eq(source)
            elif row in self._kept:
                mask = self._writable[row.name] >> 8 * byte & 0xFF
                old = getattr(self, row.name)[place]
                with m.If(request.strobe[lane]):
                    m.d.comb += written[row.name][place].eq((source & mask) | (old & ~mask & 0xFF))

    def _bytes(self, number: int) -> Iterator[tuple[Register, int, int]]:
        """Each byte of dword ``number`` that belongs to a register: the register, its byte, the lane."""
        for row in self._table:
            for byte in range(row.size):
                where, lane = divmod(row.offset + byte, 4)
                if where == number:
                    yield row, byte, lane
