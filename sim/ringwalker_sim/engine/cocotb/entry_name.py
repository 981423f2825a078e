"""What the launcher and the code inside the simulator agree on."""

__all__ = ["FOLDER", "MODULE"]

FOLDER = "RINGWALKER_COCOTB_JOB"
"""Environment variable with the job's folder: ``job.json`` in, ``result.json`` or ``error.json`` out; a file
``stop`` ends it."""

MODULE = "ringwalker_sim.engine.cocotb.entry"
"""The module with the cocotb test that carries out a job."""
