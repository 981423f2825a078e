"""Advanced error reporting: what becomes of an error, the header log, and messages to the root complex."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.pci_extended import UncorrectableError
from ..spec.pcie import DeviceControl
from ..spec.tlp import ErrorMessage, RequestKind, request_beat
from ..streams import stream_of
from .ports import ErrorRegisters

__all__ = ["ERROR_SOURCES", "ErrorReporting"]

ERROR_SOURCES = {
    "unsupported_posted": (UncorrectableError.UNSUPPORTED_REQUEST, False),
    "unsupported": (UncorrectableError.UNSUPPORTED_REQUEST, True),
    "poisoned_posted": (UncorrectableError.POISONED, True),
    "poisoned": (UncorrectableError.POISONED, True),
    "poisoned_completion": (UncorrectableError.POISONED, True),
    "timed_out": (UncorrectableError.COMPLETION_TIMEOUT, False),
    "unexpected": (UncorrectableError.UNEXPECTED_COMPLETION, True),
}
"""What can go wrong: its bit, and whether it is advisory while it is not fatal, since the requester learns of
it or the device itself has not asked. Ref: PCIe 3.1, 6.2.3.2.4."""


class ErrorReporting(Component):
    """Decides on one error a cycle, as PCI Express asks; of several in a cycle the first of ERROR_SOURCES.

    - An error sets its uncorrectable status bit. If it is not masked, and no first error is held, its number
      becomes the first error, and the header of its packet the log. It is held until software clears its bit.
    - An advisory error that is not fatal by its severity sets the advisory bit among the correctable ones;
      only if that is not masked, all of the above happens, too.
    - An error that is not masked is reported by a message, if device control enables it: ERR_COR for an
      advisory error, ERR_NONFATAL, or ERR_FATAL by its severity. There is room for one message of each kind;
      further ones are lost.

    Parameters: ``data_width`` (W) in bits.

    Members:

    - In 1 by the names of ERROR_SOURCES, pulses; ``headers`` In 128 by the same names with ``_header``: the
      header of the packet in that cycle, 0 for a time-out
    - ``registers`` In(ErrorRegisters())
    - ``messages`` Out stream of request_beat(W): messages, without a requester ID
    - ``idle`` Out 1: no message is to be sent

    Ref: PCIe 3.1, 6.2.3 to 6.2.5 (figure 6-2), 7.10
    """

    def __init__(self, data_width: int):
        super().__init__(
            {
                **{name: In(1) for name in ERROR_SOURCES},
                **{f"{name}_header": In(128) for name in ERROR_SOURCES},
                "registers": In(ErrorRegisters()),
                "messages": Out(stream_of(request_beat(data_width))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        registers = self.registers
        bit, advises, header, happens = Signal(32), Signal(), Signal(128), Signal()
        for name, (error, advisory) in reversed(ERROR_SOURCES.items()):
            with m.If(getattr(self, name)):
                m.d.comb += [
                    happens.eq(1),
                    bit.eq(int(error)),
                    advises.eq(int(advisory)),
                    header.eq(getattr(self, f"{name}_header")),
                ]
        fatal, advisory, masked, counts = Signal(), Signal(), Signal(), Signal()
        number = Signal(5)
        for error in UncorrectableError:
            with m.If((bit & int(error)) != 0):
                m.d.comb += number.eq(int(error).bit_length() - 1)
        m.d.comb += [
            fatal.eq((registers.severity & bit) != 0),
            advisory.eq(advises & ~fatal),
            masked.eq((registers.mask & bit) != 0),
            counts.eq(happens & ~(advisory & registers.advisory_mask)),
            registers.uncorrectable.eq(Mux(counts, bit, 0)),
            registers.advisory.eq(happens & advisory),
            registers.correctable_error.eq(happens & advisory),
            registers.non_fatal_error.eq(happens & ~advisory & ~fatal),
            registers.fatal_error.eq(happens & fatal),
            registers.signaled.eq(counts & ~masked & ~advisory & registers.serr),
        ]
        held = (registers.status >> registers.first)[0]
        with m.If(counts & ~masked & ~held):
            m.d.sync += [registers.first.eq(number), registers.log.eq(header)]
        reported = counts & ~masked
        self._send(
            m,
            {
                ErrorMessage.FATAL: reported & fatal,
                ErrorMessage.NON_FATAL: reported & ~advisory & ~fatal,
                ErrorMessage.CORRECTABLE: reported & advisory,
            },
            bit,
        )
        return m

    def _send(self, m: Any, wanted: dict[ErrorMessage, Any], bit: Any) -> None:
        """A message for each kind of error that is ``wanted`` and enabled."""
        registers = self.registers
        enables = {
            ErrorMessage.FATAL: (DeviceControl.FATAL_ERROR_ENABLE, registers.serr),
            ErrorMessage.NON_FATAL: (DeviceControl.NON_FATAL_ERROR_ENABLE, registers.serr),
            ErrorMessage.CORRECTABLE: (DeviceControl.CORRECTABLE_ERROR_ENABLE, Const(0)),
        }
        request_errors = (registers.control & int(DeviceControl.UNSUPPORTED_REQUEST_ENABLE)) != 0
        quiet = ((bit & int(UncorrectableError.UNSUPPORTED_REQUEST)) != 0) & ~request_errors
        messages = self.messages
        waiting, sent = Signal(len(wanted)), Signal(len(wanted))
        places: Any = sent
        free = ~messages.valid | messages.ready
        code = Signal(8)
        found: Any = Const(0)
        rises = []
        for n, (kind, asked) in enumerate(wanted.items()):
            flag, other = enables[kind]
            # SERR# stands in for the enables of device control, and for that of unsupported requests.
            rises.append(asked & (other | (((registers.control & int(flag)) != 0) & ~quiet)))
            with m.If(waiting[n] & ~found):
                m.d.comb += [places[n].eq(free), code.eq(kind.value)]
            found = found | waiting[n]
        m.d.sync += waiting.eq((waiting & ~sent) | Cat(rises))
        header = messages.p.header
        m.d.comb += [
            self.idle.eq((waiting == 0) & ~messages.valid),
            header.kind.eq(RequestKind.MESSAGE),
            messages.p.first.eq(1),
            messages.p.last.eq(1),
        ]
        with m.If(free):
            m.d.sync += [
                messages.valid.eq(found),
                header.first_be.eq(code[:4]),
                header.last_be.eq(code[4:]),
            ]
