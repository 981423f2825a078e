"""Ports of the blocks of the PCI edge. Signatures are written from the side that asks, the initiator."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, Signature

from ..spec.pci import EXPANSION_ROM
from ..streams import RegisterResponse, stream_of

__all__ = ["ConfigPort", "ConfigRequest", "ErrorRegisters", "FunctionState", "MsiState"]


class ConfigRequest(data.Struct):
    """One dword access to configuration space.

    - ``register``: the dword's number (0 to 1023).
    - ``strobe``: a bit for each byte to write.
    - ``target_id``: the bus, device and function that the request was addressed to.
    """

    register: unsigned(10)
    write: unsigned(1)
    strobe: unsigned(4)
    data: unsigned(32)
    target_id: unsigned(16)


class ConfigPort(Signature):
    """Dword accesses to configuration space.

    - ``requests`` Out stream of ConfigRequest.
    - ``responses`` In stream of RegisterResponse: one for each request, read or write, in order.
    """

    def __init__(self):
        super().__init__(
            {
                "requests": Out(stream_of(ConfigRequest)),
                "responses": In(stream_of(RegisterResponse)),
            }
        )


class FunctionState(Signature):
    """The state of configuration space that the rest of the device needs. Its side is the initiator.

    - ``bar0`` to ``bar5`` Out 32: base address registers as software wrote them, type bits zero. The upper
      half of a 64-bit BAR is the next one.
    - ``bar6`` Out 32, ``rom_enable`` Out 1: address and enable bit of the expansion ROM.
    - ``io_enable``, ``memory_enable``, ``bus_master_enable``, ``intx_disable`` Out 1: bits of the command
      register.
    - ``requester_id`` Out 16: the bus and device number that were captured.
    - ``max_payload``, ``max_read_request`` Out 13: bytes, already bounded by the configuration.
    - ``extended_tags`` Out 1: tags above 31 are allowed.
    - ``msix_enable``, ``msix_function_mask`` Out 1: bits of the message control register of MSI-X.
    - ``reset`` Out 1, a pulse: a function-level reset. In the next cycle all of the above are as after reset,
      but for ``requester_id`` and ``max_payload``.
    """

    def __init__(self):
        super().__init__(
            {
                **{f"bar{n}": Out(32) for n in range(6)},
                f"bar{EXPANSION_ROM}": Out(32),
                "rom_enable": Out(1),
                "io_enable": Out(1),
                "memory_enable": Out(1),
                "bus_master_enable": Out(1),
                "intx_disable": Out(1),
                "requester_id": Out(16),
                "max_payload": Out(13),
                "max_read_request": Out(13),
                "extended_tags": Out(1),
                "msix_enable": Out(1),
                "msix_function_mask": Out(1),
                "reset": Out(1),
            }
        )


class MsiState(Signature):
    """What configuration space says about MSI. Its side is the initiator.

    - ``enable`` Out 1: messages are sent in place of INTx
    - ``two`` Out 1: two messages are enabled, not one
    - ``address`` Out 64, ``data`` Out 16: of message 0
    - ``mask`` Out 2: a bit a message
    """

    def __init__(self):
        super().__init__(
            {"enable": Out(1), "two": Out(1), "address": Out(64), "data": Out(16), "mask": Out(2)}
        )


class ErrorRegisters(Signature):
    """Advanced error reporting: its registers are the initiator.

    - ``status``, ``mask``, ``severity`` Out 32: registers of uncorrectable errors; ``advisory_mask`` Out 1
    - ``control`` Out 16: device control; ``serr`` Out 1: SERR# is enabled
    - ``uncorrectable`` In 32: bits to be set in this cycle; ``advisory`` In 1: as well
    - ``correctable_error``, ``non_fatal_error``, ``fatal_error`` In 1, pulses: what device status logs
    - ``signaled`` In 1, pulse: an error was reported as SERR#
    - ``first`` In 5, ``log`` In 128: the first error, and the header of its packet, first byte highest
    """

    def __init__(self):
        pulses = ("advisory", "correctable_error", "non_fatal_error", "fatal_error", "signaled")
        super().__init__(
            {
                "status": Out(32),
                "mask": Out(32),
                "severity": Out(32),
                "advisory_mask": Out(1),
                "control": Out(16),
                "serr": Out(1),
                "uncorrectable": In(32),
                **{name: In(1) for name in pulses},
                "first": In(5),
                "log": In(128),
            }
        )
