#include "pins.h"

namespace rw {
namespace {

// A data port is one 64-bit integer or an array of 32-bit words, lowest first.
static_assert(sizeof(QData) == 8);

template <class Port>
void read_words(BeatData& out, const Port& port) {
  static_assert(sizeof(Port) == sizeof(BeatData));
  std::memcpy(out.data(), &port, sizeof(BeatData));
}

}  // namespace

thread_local bool inputs_changed = true;

void Pins::get(Beat<RequestHeader>& beat) const {
  const Vringwalker& m = *model_;
  RequestHeader& h = beat.header;
  h.kind = static_cast<RequestKind>(m.requester_request_header_kind);
  h.address = m.requester_request_header_address;
  h.length = m.requester_request_header_length;
  h.first_be = m.requester_request_header_first_be;
  h.last_be = m.requester_request_header_last_be;
  h.requester_id = m.requester_request_header_requester_id;
  h.target_id = m.requester_request_header_target_id;
  h.tag = m.requester_request_header_tag;
  h.traffic_class = m.requester_request_header_traffic_class;
  h.attributes = m.requester_request_header_attributes;
  h.poisoned = m.requester_request_header_poisoned != 0;
  read_words(beat.data, m.requester_request_data);
  beat.dwords = m.requester_request_dwords;
  beat.first = m.requester_request_first != 0;
  beat.last = m.requester_request_last != 0;
}

void Pins::get(Beat<CompletionHeader>& beat) const {
  const Vringwalker& m = *model_;
  CompletionHeader& h = beat.header;
  h.status = static_cast<CompletionStatus>(m.completer_completion_header_status);
  h.has_data = m.completer_completion_header_has_data != 0;
  h.length = m.completer_completion_header_length;
  h.byte_count = m.completer_completion_header_byte_count;
  h.lower_address = m.completer_completion_header_lower_address;
  h.requester_id = m.completer_completion_header_requester_id;
  h.completer_id = m.completer_completion_header_completer_id;
  h.tag = m.completer_completion_header_tag;
  h.traffic_class = m.completer_completion_header_traffic_class;
  h.attributes = m.completer_completion_header_attributes;
  h.poisoned = m.completer_completion_header_poisoned != 0;
  read_words(beat.data, m.completer_completion_data);
  beat.dwords = m.completer_completion_dwords;
  beat.first = m.completer_completion_first != 0;
  beat.last = m.completer_completion_last != 0;
}

void Pins::put(const Beat<CompletionHeader>& beat) {
  Vringwalker& m = *model_;
  const CompletionHeader& h = beat.header;
  set(m.requester_completion_header_status_next, h.status);
  set(m.requester_completion_header_has_data_next, h.has_data);
  set(m.requester_completion_header_length_next, h.length);
  set(m.requester_completion_header_byte_count_next, h.byte_count);
  set(m.requester_completion_header_lower_address_next, h.lower_address);
  set(m.requester_completion_header_requester_id_next, h.requester_id);
  set(m.requester_completion_header_completer_id_next, h.completer_id);
  set(m.requester_completion_header_tag_next, h.tag);
  set(m.requester_completion_header_traffic_class_next, h.traffic_class);
  set(m.requester_completion_header_attributes_next, h.attributes);
  set(m.requester_completion_header_poisoned_next, h.poisoned);
  write_words(m.requester_completion_data_next, beat.data);
  set(m.requester_completion_dwords_next, beat.dwords);
  set(m.requester_completion_first_next, beat.first);
  set(m.requester_completion_last_next, beat.last);
}

void Pins::put(const Beat<RequestHeader>& beat) {
  Vringwalker& m = *model_;
  const RequestHeader& h = beat.header;
  set(m.completer_request_header_kind_next, h.kind);
  set(m.completer_request_header_address_next, h.address);
  set(m.completer_request_header_length_next, h.length);
  set(m.completer_request_header_first_be_next, h.first_be);
  set(m.completer_request_header_last_be_next, h.last_be);
  set(m.completer_request_header_requester_id_next, h.requester_id);
  set(m.completer_request_header_target_id_next, h.target_id);
  set(m.completer_request_header_tag_next, h.tag);
  set(m.completer_request_header_traffic_class_next, h.traffic_class);
  set(m.completer_request_header_attributes_next, h.attributes);
  set(m.completer_request_header_poisoned_next, h.poisoned);
  write_words(m.completer_request_data_next, beat.data);
  set(m.completer_request_dwords_next, beat.dwords);
  set(m.completer_request_first_next, beat.first);
  set(m.completer_request_last_next, beat.last);
}

#if RW_HAS_STORAGE
void Pins::get(StorageCommand& command) const {
  command.op = static_cast<StorageOp>(model_->storage_commands_op);
  command.sector = model_->storage_commands_sector;
  command.sectors = model_->storage_commands_sectors;
}

void Pins::get(StorageBeat& beat) const {
  read_words(beat.data, model_->storage_write_data_data);
  beat.last = model_->storage_write_data_last != 0;
}

void Pins::put(const StorageBeat& beat) {
  write_words(model_->storage_read_data_data_next, beat.data);
  set(model_->storage_read_data_last_next, beat.last);
}
#endif

#if RW_HAS_MAC
void Pins::get(MacBeat& beat) const {
  read_words(beat.data, model_->mac_tx_data);
  beat.count = model_->mac_tx_count;
  beat.first = model_->mac_tx_first != 0;
  beat.last = model_->mac_tx_last != 0;
  beat.error = model_->mac_tx_error != 0;
}

void Pins::put(const MacBeat& beat) {
  write_words(model_->mac_rx_data_next, beat.data);
  set(model_->mac_rx_count_next, beat.count);
  set(model_->mac_rx_first_next, beat.first);
  set(model_->mac_rx_last_next, beat.last);
  set(model_->mac_rx_error_next, beat.error);
}
#endif

}  // namespace rw
