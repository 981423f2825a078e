// The storage port's part of a cycle.
#include "host.h"

namespace rw {

#if RW_HAS_STORAGE

void Host::transfer_storage() {
  if (const bool valid = pins_.commands_valid(); true) {
    StorageCommand command;
    if (valid) pins_.get(command);
    command_check_.cycle(valid, commands_ready_, command);
    if (valid && commands_ready_) storage_.command(command);
  }
  if (const bool valid = pins_.write_data_valid(); true) {
    StorageBeat beat;
    if (valid) pins_.get(beat);
    write_data_check_.cycle(valid, write_data_ready_, beat);
    if (valid && write_data_ready_) storage_.data(beat);
  }
  if (read_data_valid_ && pins_.read_data_ready()) {
    storage_.data_taken();
    read_data_valid_ = false;
  }
  if (results_valid_ && pins_.results_ready()) {
    storage_.result_taken();
    results_valid_ = false;
  }
  storage_.tick();
}

void Host::drive_storage() {
  const Parameters& p = shared_.parameters;
  commands_ready_ = storage_.wants_command() && !stalls_.chance(p.stall_storage_commands);
  pins_.commands_ready(commands_ready_);
  write_data_ready_ = storage_.wants_data() && !stalls_.chance(p.stall_storage_write_data);
  pins_.write_data_ready(write_data_ready_);
  if (!read_data_valid_ && storage_.has_data() && !stalls_.chance(p.stall_storage_read_data)) {
    read_data_valid_ = true;
    pins_.put(storage_.beat());
  }
  pins_.read_data_valid(read_data_valid_);
  if (!results_valid_ && storage_.has_result() && !stalls_.chance(p.stall_storage_results)) {
    results_valid_ = true;
    pins_.result(storage_.result());
  }
  pins_.results_valid(results_valid_);
}

#else

void Host::transfer_storage() {}
void Host::drive_storage() {}

#endif

}  // namespace rw
