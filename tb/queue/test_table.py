# amaranth: UnusedElaboratable=no
"""The queue table against a model that is a list of byte arrays."""

import random
from typing import Any

import cocotb
import pytest
from amaranth.lib import data
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.interfaces import QueueRow
from ringwalker.queue.table import QueueTable
from ringwalker_sim.testing import parameters, run_bench, start

_LAYOUT: Any = data.Layout.cast(QueueRow)
FIELDS = {name: (field.offset // 8, field.width // 8) for name, field in _LAYOUT}
ROW_BYTES = 32
READERS = ("walker", "common", "probe")


def drive_row(dut: Any, raw: bytes) -> None:
    for name, (offset, size) in FIELDS.items():
        getattr(dut, f"write_row_{name}").value = int.from_bytes(raw[offset : offset + size], "little")


def shown_row(dut: Any, reader: str) -> bytes:
    return b"".join(
        int(getattr(dut, f"{reader}_row_{name}").value).to_bytes(size, "little")
        for name, (_offset, size) in FIELDS.items()
    )


@cocotb.test()
async def rows_keep_their_bytes(dut):
    queues, readers = parameters()["queues"], READERS[: parameters()["readers"]]
    dut.write_en.value = 0
    for reader in readers:
        getattr(dut, f"{reader}_en").value = 0
        getattr(dut, f"{reader}_index").value = 0
    await start(dut)
    model = [bytes(ROW_BYTES)] * queues
    expected: dict[str, bytes | None] = dict.fromkeys(readers)
    full = (1 << ROW_BYTES) - 1
    for cycle in range(4000):
        # The first cycles write every row once: before that rows are undefined.
        filling = cycle < queues
        write = filling or random.random() < 0.6
        index = cycle if filling else random.randrange(queues + 2)
        mask = full if filling else random.choice((full, random.getrandbits(ROW_BYTES), 0))
        raw = random.randbytes(ROW_BYTES)
        dut.write_en.value = int(write)
        dut.write_index.value = index
        dut.write_mask.value = mask
        drive_row(dut, raw)
        reads = {}
        for reader in readers:
            enable = not filling and random.random() < 0.5
            # Often the row that is written in this very cycle.
            row = index if index < queues and random.random() < 0.3 else random.randrange(queues)
            getattr(dut, f"{reader}_en").value = int(enable)
            getattr(dut, f"{reader}_index").value = row
            reads[reader] = row if enable else None
        await RisingEdge(dut.clk)
        for reader in readers:
            held = expected[reader]
            if held is not None:
                assert shown_row(dut, reader) == held, f"reader {reader} in cycle {cycle}"
            row = reads[reader]
            if row is not None:
                expected[reader] = model[row]
        if write and index < queues:
            old = model[index]
            model[index] = bytes(raw[n] if mask >> n & 1 else old[n] for n in range(ROW_BYTES))


@pytest.mark.parametrize(("queues", "readers"), [(1, 1), (5, 3)])
def test_table(queues, readers):
    component = QueueTable(DeviceConfig(queues=queues), READERS[:readers])
    run_bench(component, "tb.queue.test_table", parameters={"queues": queues, "readers": readers})


def test_table_needs_a_reader():
    with pytest.raises(ValueError, match="readers is empty"):
        QueueTable(DeviceConfig(), ())
