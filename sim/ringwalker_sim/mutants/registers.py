"""Mutants of ``transport``."""

from .change import Change
from .mutant import Mutant, planted

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (
    *planted(
        "transport.device_status",
        needs_reset_is_silent=Change(
            "no configuration interrupt is sent when the device needs a reset",
            "self.config_change.eq(fails & (self.driver_ok | self.suspended))",
            "self.config_change.eq(0)",
        ),
    ),
    *planted(
        "transport.driver_features",
        benches=("tb/transport/test_control.py", "tb/transport/test_common_config.py"),
        far_features_are_accepted=Change(
            "features from number 64 on that were not offered are accepted",
            "& ~foreign.any() & ~reserved",
            "& ~reserved",
        ),
    ),
    *planted(
        "transport.common_config",
        queue_may_be_twice_as_large=Change(
            "a queue may have twice as many descriptors as the device allows",
            "range(self.config.queue_size.bit_length())",
            "range(self.config.queue_size.bit_length() + 1)",
        ),
        enabled_queue_can_be_moved=Change(
            "the addresses of a queue can be written while it is enabled",
            "configurable = exists & ~row.enable[0]",
            "configurable = exists",
        ),
        one_vector_too_many=Change(
            "a vector that is one beyond the last is taken",
            "Mux(value < self.config.vectors, value, NO_VECTOR)",
            "Mux(value <= self.config.vectors, value, NO_VECTOR)",
        ),
        vector_survives_a_reset=Change(
            "the vector of configuration changes is not reset",
            "                self._queue_select,\n                self.config_vector,\n",
            "                self._queue_select,\n",
        ),
    ),
)
