"""Small programs for a PC's firmware, a boot sector and an expansion ROM, made byte by byte.

They are 16-bit real-mode code of the 80186, and print to the first serial port, which is 0x3F8.

Ref: Intel SDM 2 (instructions); INCITS 484, EDD-4 (INT 13h); PCI Firmware Specification 3.3, 5 (ROMs).
"""

from dataclasses import dataclass, field

from ringwalker.spec.expansion_rom import (
    ROM_POINTER,
    ROM_SIGNATURE,
    ROM_SIZE,
    ROM_UNIT_BYTES,
    pci_data_structure,
)

from ..errors import ParameterError

__all__ = ["SECTOR_BYTES", "boot_disk", "boot_sector", "expansion_rom"]

SECTOR_BYTES = 512
_ORIGIN = 0x7C00
"""Where the firmware loads the boot sector, and the top of its stack."""
_BUFFER = 0x7E00
"""Where the boot sector reads to: the first byte behind it."""


@dataclass
class _Code:
    """Instructions from address ``origin`` on. A name in place of a number is a label of :meth:`label`."""

    origin: int
    data: bytearray = field(default_factory=bytearray)
    _labels: dict[str, int] = field(default_factory=dict)
    _open: list[tuple[int, int, str, bool]] = field(default_factory=list)

    def label(self, name: str) -> None:
        """``name`` is the address of what comes next."""
        self._labels[name] = self.origin + len(self.data)

    def code(self, text: str) -> None:
        """Bytes in hexadecimal."""
        self.data += bytes.fromhex(text)

    def refer(self, text: str, name: str, size: int, relative: bool = False) -> None:
        """Bytes, then the address of label ``name`` in ``size`` bytes, or its distance from their end."""
        self.code(text)
        self._open.append((len(self.data), size, name, relative))
        self.data += bytes(size)

    def address(self, text: str, name: str) -> None:
        """An instruction with the 16-bit address of a label."""
        self.refer(text, name, 2)

    def call(self, name: str) -> None:
        """CALL of a label."""
        self.refer("E8", name, 2, True)

    def jump(self, text: str, name: str) -> None:
        """A jump to a label that is at most 127 bytes away; ``text`` is its opcode."""
        self.refer(text, name, 1, True)

    def finish(self) -> bytes:
        """The bytes, with all labels known."""
        for at, size, name, relative in self._open:
            value = self._labels[name] - (self.origin + at + size if relative else 0)
            self.data[at : at + size] = value.to_bytes(size, "little", signed=relative)
        return bytes(self.data)


def _printer(code: _Code) -> None:
    """The subroutine ``print``: the text at DS:SI, up to a zero byte. It changes AX and SI."""
    code.label("print")
    code.code("52")  #               push dx
    code.label("next")
    code.code("AC 84 C0")  #         lodsb; test al, al
    code.jump("74", "printed")  #    jz printed
    code.code("88 C4 BA FD 03")  #   mov ah, al; mov dx, 0x3FD (line status)
    code.label("full")
    code.code("EC A8 20")  #         in al, dx; test al, 0x20 (room for a byte)
    code.jump("74", "full")  #       jz full
    code.code("88 E0 BA F8 03 EE")  # mov al, ah; mov dx, 0x3F8; out dx, al
    code.jump("EB", "next")  #       jmp next
    code.label("printed")
    code.code("5A C3")  #            pop dx; ret


def _line(text: str) -> bytes:
    if not text.isascii():
        raise ParameterError(f"the line is {text!r}; it must be ASCII")
    return text.encode() + b"\r\n\0"


def _packet(sector: int) -> bytes:
    """The disk address packet of INT 13h for one sector at the buffer."""
    where = _BUFFER.to_bytes(2, "little") + bytes(2)
    return bytes([16, 0, 1, 0]) + where + sector.to_bytes(8, "little")


def boot_sector(line: str) -> bytes:
    """A boot sector, 512 bytes. It prints ``line`` to the first serial port, then the text in sector 1, up to
    a zero byte; copies sector 1 to sector 2; and switches the machine off.

    It reads and writes the disk through INT 13h of the firmware. An error of the disk ends it early. The
    power is switched where QEMU's q35 has its control (port 0x604); elsewhere the processor halts.
    Errors: :class:`ParameterError` for a line that is not ASCII, or too long.
    """
    code = _Code(_ORIGIN)
    code.label("start")
    code.code("FA 31 C0 8E D8 8E C0 8E D0")  # cli; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax
    code.address("BC", "start")  #             mov sp, start
    code.code("FB FC")  #                      sti; cld
    code.address("BE", "line")  #              mov si, line
    code.call("print")
    code.address("BE", "read")  #              mov si, read
    code.code("B4 42 CD 13")  #                mov ah, 0x42 (extended read); int 0x13, of the drive in DL
    code.jump("72", "off")  #                  jc off
    code.code("BE 00 7E")  #                   mov si, 0x7E00
    code.call("print")
    code.address("BE", "write")  #             mov si, write
    code.code("B8 00 43 CD 13")  #             mov ax, 0x4300 (extended write); int 0x13
    code.label("off")
    code.code("BA 04 06 B8 00 20 EF")  #       mov dx, 0x604; mov ax, 0x2000 (soft off); out dx, ax
    code.label("halt")
    code.code("FA F4")  #                      cli; hlt
    code.jump("EB", "halt")  #                 jmp halt
    _printer(code)
    for name, data in (("read", _packet(1)), ("write", _packet(2)), ("line", _line(line))):
        code.label(name)
        code.data += data
    made = code.finish()
    room = SECTOR_BYTES - 2
    if len(made) > room:
        raise ParameterError(f"the line is {len(made) - room} bytes too long for a boot sector")
    return made.ljust(room, b"\0") + b"\x55\xaa"


def boot_disk(line: str, text: str, sectors: int = 2048) -> bytes:
    """A disk of ``sectors`` that a PC boots from: :func:`boot_sector` of ``line``, with ``text`` in sector 1.

    The firmware boots no disk of less than a cylinder, 1008 sectors.
    Errors: :class:`ParameterError` for a text that is not ASCII, or longer than a sector.
    """
    second = _line(text)
    if len(second) > SECTOR_BYTES:
        raise ParameterError(f"the text is {len(second)} bytes; it must fit in a sector")
    return (boot_sector(line) + second).ljust(sectors * SECTOR_BYTES, b"\0")


def expansion_rom(line: str, vendor: int, device: int, class_code: int) -> bytes:
    """An expansion ROM that prints ``line`` to the first serial port when the firmware initializes it.

    The firmware takes it from a function with this ``vendor`` and ``device``. Its size is a power of two, at
    least 512 bytes; its bytes add up to 0. Errors: :class:`ParameterError` for a line that is not ASCII.
    """
    code = _Code(0)
    code.data += ROM_SIGNATURE + bytes(1)  # the size is written last
    code.jump("EB", "entry")  #          jmp entry: the firmware calls it here, at offset 3
    code.data = code.data.ljust(ROM_POINTER, b"\0")
    code.address("", "data")
    code.code("0000")  #                 no Plug and Play header
    code.label("data")
    begin = len(code.data)
    code.data += pci_data_structure(vendor, device, class_code, 0)
    end = len(code.data)
    code.label("entry")
    code.code("60 1E 0E 1F FC")  #       pusha; push ds; push cs; pop ds; cld
    code.address("BE", "line")  #        mov si, line
    code.call("print")
    code.code("1F 61 CB")  #             pop ds; popa; retf
    _printer(code)
    code.label("line")
    code.data += _line(line)
    made = bytearray(code.finish())
    size = max(ROM_UNIT_BYTES, 1 << len(made).bit_length())
    made = made.ljust(size, b"\0")
    made[ROM_SIZE] = size // ROM_UNIT_BYTES
    made[begin:end] = pci_data_structure(vendor, device, class_code, size // ROM_UNIT_BYTES)
    made[-1] = -sum(made) & 0xFF
    return bytes(made)
