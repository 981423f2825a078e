"""What testbenches share: building a component for cocotb, and models of the two ends of a stream."""

from .runner import SIMULATOR, parameters, run_bench
from .streams import StreamChecker, StreamSink, StreamSource, random_stalls, start, stream_names

__all__ = [
    "SIMULATOR",
    "StreamChecker",
    "StreamSink",
    "StreamSource",
    "parameters",
    "random_stalls",
    "run_bench",
    "start",
    "stream_names",
]
