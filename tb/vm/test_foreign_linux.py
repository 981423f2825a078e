"""A Linux with the DMA engine of examples/foreign_axi: its BAR, its interrupt, its data."""

from pathlib import Path

import pytest

from ringwalker_sim.foreign.device import foreign_device
from ringwalker_sim.host import HostParameters
from ringwalker_sim.vfio_user.serving import ServedDevice, serve_devices
from ringwalker_sim.vm.boot import GuestJob
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.session import run_guest
from ringwalker_sim.vm.setup import GuestSetup

FOLDER = Path("examples/foreign_axi")

WORK = """
set -e
device=/sys/bus/pci/devices/0000:00:02.0
cat $device/vendor $device/device $device/class
echo 1234 d3a1 >/sys/bus/pci/drivers/uio_pci_generic/new_id
printf '\\006' | dd of=$device/config bs=1 seek=4 conv=notrunc 2>/dev/null
bar=$(head -n 1 $device/resource | cut -d' ' -f1)
register() { printf '0x%x' $((bar + $1)); }
put() { devmem $(register $1) 32 $2; }
transfer() {
    put 0x0c 16; put 0x10 $1; put 0x14 0; put 0x18 64
    put 0x04 $2
    dd bs=4 count=1 <&3 2>/dev/null | od -An -td4
    devmem $(register 0x08) 32
    put 0x08 1
    printf '\\006\\000' | dd of=$device/config bs=1 seek=4 conv=notrunc 2>/dev/null
}
exec 3</dev/uio0
devmem $(register 0)
for n in 0 1 2 3; do devmem $((0x6000000 + 4 * n)) 32 $((0x11223344 + n)); done
transfer 0x6000000 1
transfer 0x6008000 3
for n in 0 1 2 3; do devmem $((0x6008000 + 4 * n)) 32; done
devmem $(register 0x24)
"""
"""Memory from 96 MiB on is not Linux's own, so that it can be written from outside a kernel."""


@pytest.mark.slow
def test_a_linux_reads_the_bar_sees_the_interrupt_and_gets_the_data(
    setup: GuestSetup, tmp_path: Path
) -> None:
    found = foreign_device([FOLDER / "dma_engine.v"], FOLDER / "ports.toml")
    host = HostParameters(completion_timeout=found.timeout)
    device = ServedDevice(
        found.config, None, tmp_path / "dma.socket", host=host, design=found.verilog(), name="dma_engine"
    )
    job = GuestJob(WORK, modules=("uio_pci_generic",), append="memmap=1M$0x6000000", timeout_s=300)
    with serve_devices([device]) as (handle,):
        session = run_guest(setup, [], job, others=[VfioUserDevice(handle.socket)])
        stats = handle.stats()
    assert session.result.status == 0, session.result.stderr.decode() + session.result.console[-2000:]
    assert session.result.stdout.decode().split() == [
        *("0x1234", "0xd3a1", "0x088000", "0x444D4131"),
        *("1", "0x00000002", "2", "0x00000002"),
        *("0x11223344", "0x11223345", "0x11223346", "0x11223347"),
        "0xFFFFFFFF",
    ]
    assert (stats["violations"], stats["faults"], stats["timeouts"]) == (0, 0, 1)
    assert stats["intx"] >= 2
