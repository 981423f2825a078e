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
    *planted(
        "transport.notify",
        data_of_another_queue_is_carried=Change(
            "notification data that names another queue counts for the one that is notified",
            "self.with_data & names & (requests.payload.strobe == 0xF)",
            "self.with_data & (requests.payload.strobe == 0xF)",
        ),
    ),
    *planted(
        "transport.queue_ranges",
        queue_at_the_end_is_refused=Change(
            "a queue that ends with the last byte of the address space is refused",
            "(address[:bits] + length > 1 << bits)",
            "(address[:bits] + length >= 1 << bits)",
        ),
    ),
    *planted(
        "transport.interrupt_router",
        isr_is_set_with_msix=Change(
            "used buffers set the ISR status though MSI-X is on",
            "self.set_queue.eq(send_used & ~self.msix_enable)",
            "self.set_queue.eq(send_used)",
        ),
    ),
    *planted(
        "transport.isr",
        any_read_clears_the_isr=Change(
            "a read of the bytes behind the ISR status clears it",
            "with m.If(hit & requests.payload.strobe[lane]):",
            "with m.If(hit):",
        ),
    ),
    *planted(
        "transport.reset_sequencer",
        queue_vectors_are_reset_to_0=Change(
            "after a reset queues have vector 0",
            "            self.table_write.row.vector.eq(NO_VECTOR),\n",
            "",
        ),
        device_reset_ends_early=Change(
            "a reset of the device rewrites the queues up to one number only",
            "last.eq(Mux(self.whole, last_queue, self.queue_index))",
            "last.eq(self.queue_index)",
        ),
    ),
    *planted(
        "transport.legacy_face",
        "legacy",
        legacy_configuration_does_not_move=Change(
            "device configuration stands where it does without MSI-X, though that is on",
            "header.eq(Mux(moved, HEADER_DWORDS, HEADER_DWORDS - 1))",
            "header.eq(HEADER_DWORDS - 1)",
        ),
    ),
)
