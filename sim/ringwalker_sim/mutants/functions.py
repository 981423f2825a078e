"""Mutants of ``function``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

_BLK = ("tb/function/blk/test_function.py",)
_NET = "tb/function/net"

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "function.blk.commander",
        benches=_BLK,
        status_behind_the_chain=Change(
            "the status byte is written behind the last byte of the chain",
            "record.offset.eq(request.writable - 1)",
            "record.offset.eq(request.writable)",
        ),
    ),
    *planted(
        "function.blk.parser",
        benches=("tb/function/blk/test_parser.py", *_BLK),
        first_bad_beat_is_forgotten=Change(
            "of the data of a write only whether its last beat failed is known",
            "current.failed.eq(current.failed | beat.error)",
            "current.failed.eq(beat.error)",
        ),
    ),
    *planted(
        "function.blk.reply",
        benches=_BLK,
        first_bad_command_is_forgotten=Change(
            "of the commands of a request only whether the last one failed is known",
            "failed.eq(failed | self.results.p)",
            "failed.eq(self.results.p)",
        ),
        status_is_not_counted=Change(
            "the length of a used chain leaves out the status byte",
            "beat.written.eq(supplied + 1)",
            "beat.written.eq(supplied)",
        ),
        id_is_as_long_as_its_buffer=Change(
            "the device's id is answered with as many bytes as the buffer has",
            "Mux(record.offset > ID_BYTES, ID_BYTES, record.offset)",
            "record.offset",
        ),
    ),
    *planted(
        "function.net.control",
        "net",
        multicast_address_is_taken=Change(
            "a multicast address is taken as the device's own",
            "\n                & ~value[0]",
            "",
        ),
    ),
    *planted(
        "function.net.frame_buffer",
        "net",
        (f"{_NET}/test_receive.py",),
        refused_frame_is_not_taken_back=Change(
            "the beginning of a frame that is dropped at its end stays in the buffer",
            "m.d.sync += written.eq(committed)",
            "m.d.sync += written.eq(written + 1)",
        ),
    ),
    *planted(
        "function.net.receive",
        "net",
        (f"{_NET}/test_receive.py",),
        buffer_that_fits_is_too_small=Change(
            "a frame is dropped if it would fill its buffer",
            "chains.p.writable >= lengths.p + header_bytes",
            "chains.p.writable > lengths.p + header_bytes",
        ),
        frame_has_no_buffers=Change(
            "num_buffers of a received frame is 0",
            '{"num_buffers": 1}',
            '{"num_buffers": 0}',
        ),
    ),
    *planted(
        "function.net.outgoing",
        "net",
        (f"{_NET}/test_transmit.py",),
        longest_frame_is_dropped=Change(
            "the longest frame is not sent",
            "(info.readable > longest)",
            "(info.readable >= longest)",
        ),
    ),
    *planted(
        "function.console.receive",
        "console",
        ("tb/function/console/test_function.py",),
        one_byte_beyond_the_buffer=Change(
            "a buffer is full one byte too late",
            "done.eq(room == 1),",
            "done.eq(room == 0),",
        ),
        length_is_of_the_last_piece=Change(
            "the length of a used chain is that of its last piece",
            "replies.p.written.eq(offset + count)",
            "replies.p.written.eq(count)",
        ),
    ),
    *planted(
        "function.console.transmit",
        "console",
        ("tb/function/console/test_function.py",),
        bytes_that_were_not_read_are_sent=Change(
            "bytes of a read that failed are sent",
            "Mux(bad | readable.p.error | self.chain.halt, 0, readable.p.count)",
            "Mux(self.chain.halt, 0, readable.p.count)",
        ),
    ),
    *planted(
        "function.entropy.function",
        "rng",
        ("tb/function/entropy/test_function.py", "tb/function/entropy/test_packets.py"),
        packets_on_top_of_each_other=Change(
            "each packet of noise goes to the start of the chain",
            "given.eq(packet.written), room",
            "given.eq(0), room",
        ),
        noise_that_is_not_there=Change(
            "a packet begins before there is noise for its last bytes",
            "needed.eq((length + beat_bytes - 1) >>",
            "needed.eq(length >>",
        ),
        last_packet_alone_counts=Change(
            "the length of a used chain is that of its last packet, and the next goes there",
            "packet.written.eq(given + Mux(halt, 0, length))",
            "packet.written.eq(Mux(halt, 0, length))",
        ),
    ),
    *planted(
        "function.chain_guard",
        forgotten_chains_may_be_held=Change(
            "new chains come while the function still holds forgotten ones",
            "(owed == 0) & (held == 0)",
            "(owed == 0)",
        ),
    ),
    *planted(
        "function.device_config",
        "net",
        set_values_have_no_generation=Change(
            "the generation does not change when a command sets a value",
            "with m.If(changed | was_set):",
            "with m.If(changed):",
        ),
        read_only_bits_can_be_written=Change(
            "bits of device configuration that are read-only can be written",
            "(source & mask) | (old & ~mask & 0xFF)",
            "source",
        ),
    ),
)
