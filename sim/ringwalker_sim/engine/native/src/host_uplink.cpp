// What the device sends: counted and checked when it leaves the port, done when it arrives at the host.
#include "host.h"
#include "request_rules.h"
#include "tlp_capture.h"
#include "wire.h"

namespace rw {

void Host::sent(const RequestPacket& packet) {
  const RequestHeader& h = packet.header;
  Stats& stats = shared_.stats;
  check_request(shared_, h, device_id_);
  const std::uint64_t payload = 4 * packet.payload.size();
  stats.up_bytes += request_64_bytes + payload;
  stats.up_payload += payload;
  stats.request_beats += beats_of(packet.payload.size());
  if (h.kind == RequestKind::MEMORY_READ) {
    ++stats.up_memory_read;
  } else if (h.kind == RequestKind::MESSAGE) {
    ++stats.up_error_message;
  } else if (h.kind != RequestKind::MEMORY_WRITE) {
    ++stats.up_other;
    return;
  } else if (is_message(h)) {
    ++stats.up_message;
    if (h.length != 1 || h.first_be != 0xf) shared_.violation("message of %u dwords, enables 0x%x", h.length, h.first_be);
  } else {
    ++stats.up_memory_write;
    stats.dma_write_bytes += payload;
  }
  if (up_.direct()) return arrived(packet, shared_.now);
  up_.put(packet, request_64_bytes + payload);
}

void Host::sent(const CompletionPacket& packet) {
  Stats& stats = shared_.stats;
  const std::uint64_t payload = 4 * packet.payload.size();
  stats.up_bytes += completion_bytes + payload;
  stats.up_payload += payload;
  ++(packet.header.has_data ? stats.up_completion_data : stats.up_completion);
  if (up_.direct()) return arrived(packet, shared_.now);
  up_.put(packet, completion_bytes + payload);
}

// INTx is a message behind all writes before it; here it has no code.
void Host::sent_level(bool level) {
  RequestPacket packet;
  packet.header.kind = RequestKind::MESSAGE;
  packet.header.address = level;
  if (up_.direct()) return arrived(packet, shared_.now);
  shared_.stats.up_bytes += request_64_bytes;
  up_.put(packet, request_64_bytes);
}

void Host::transfer_uplink() {
  if (up_.empty()) return;
  up_.tick(shared_.now, reads_.in_flight());
  Uplink::Packet packet;
  std::uint64_t begin = 0;
  while (up_.take(shared_.now, packet, begin)) {
    std::visit([this, begin](const auto& arrival) { arrived(arrival, begin); }, packet);
  }
}

void Host::arrived(const RequestPacket& packet, std::uint64_t begin) {
  const RequestHeader& h = packet.header;
  if (companion_) {
    if (h.kind == RequestKind::MESSAGE && message_code(h) == 0) {
      companion_->arrived_level(h.address != 0);
    } else {
      companion_->arrived(packet);
    }
  }
  if (shared_.tlps.on()) capture_tlp(shared_, packet, true, begin);
  if (shared_.timeline.on()) {
    TimelineEvent event = wire_event(packet, begin, shared_.now);
    if (is_message(h)) event.id = packet.payload[0];
    const bool interrupt = is_message(h) || (h.kind == RequestKind::MESSAGE && message_code(h) == 0);
    shared_.timeline.add(interrupt ? TimelineKind::UP_MESSAGE : TimelineKind::UP_REQUEST, event);
  }
  if (h.kind == RequestKind::MEMORY_READ) {
    reads_.request(h);
  } else if (is_message(h)) {
    if (pump_ && pump_->takes(h.address, packet.payload[0])) return;
    if (peer_.fires(h.address, packet.payload[0])) return;
    shared_.event(EventKind::MESSAGE, 0, h.address, packet.payload[0]);
  } else if (h.kind == RequestKind::MESSAGE) {
    const unsigned code = message_code(h);
    if (is_error(code)) shared_.event(EventKind::ERROR_MESSAGE, code, 0, 0);
    if (code == 0) shared_.event(EventKind::INTX, 0, 0, h.address);
  } else {
    memory_.write(packet);
  }
}

void Host::arrived(const CompletionPacket& packet, std::uint64_t begin) {
  if (companion_) companion_->arrived(packet);
  if (shared_.tlps.on()) capture_tlp(shared_, packet, true, begin);
  if (shared_.timeline.on()) {
    shared_.timeline.add(TimelineKind::UP_COMPLETION, wire_event(packet, begin, shared_.now));
  }
  cpu_.complete(packet);
}

}  // namespace rw
