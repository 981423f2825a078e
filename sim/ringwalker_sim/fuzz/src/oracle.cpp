#include "oracle.h"

#include <algorithm>
#include <cinttypes>

#include "packed_rules.h"
#include "split_rules.h"

namespace rw::fuzz {

void Oracle::restarted() {
  shown_.restarted();
  shadow_.restarted();
}

void Oracle::device_reset() {
  queues_.clear();
  quiet_ = true;
}

void Oracle::enabled(unsigned queue, const QueueRow& row, std::uint64_t features) {
  const auto has = [&](unsigned feature) { return (features >> feature & 1) != 0; };
  const QueueAreas areas{queue, row.size, row.desc, row.driver, row.device, has(feature_indirect_desc), has(feature_in_order)};
  if (has(feature_ring_packed)) {
    queues_.push_back(std::make_unique<PackedRules>(areas, findings_));
  } else {
    queues_.push_back(std::make_unique<SplitRules>(areas, findings_));
  }
}

void Oracle::queue_reset(unsigned queue) {
  std::erase_if(queues_, [&](const auto& rules) { return rules->areas().number == queue; });
}

void Oracle::notified(unsigned queue, std::uint16_t place) {
  if ((shadow_.features() >> feature_notification_data & 1) == 0) return;
  for (const auto& rules : queues_) {
    if (rules->areas().number == queue) rules->carried(place, order_);
  }
}

void Oracle::offered(const RequestPacket& packet) {
  ++order_;
  quiet_ = quiet_ && !is_write(packet.header.kind);
  shadow_.offered(packet);
}

void Oracle::offered(const CompletionPacket& packet) {
  ++order_;
  auto piece = shown_.answered(packet, order_);
  if (!piece) return;
  const Piece& kept = shown_.keep(std::move(*piece));
  for (const auto& rules : queues_) rules->take(shown_, kept);
}

void Oracle::arrived_level(bool level) {
  if (level && quiet_) findings_.add("quiet", "INTx is raised after a reset");
}

void Oracle::arrived(const RequestPacket& packet) {
  ++order_;
  const RequestHeader& h = packet.header;
  if (h.kind != RequestKind::MEMORY_READ && h.kind != RequestKind::MEMORY_WRITE) return;
  const Range range = shown_.asked(h);
  if (quiet_) findings_.add("quiet", "a request at 0x%" PRIx64 " after a reset", h.address);
  if (shadow_.vague()) return;
  if (!shadow_.started()) findings_.add("early", "a request at 0x%" PRIx64 " before DRIVER_OK", h.address);
  if (h.kind == RequestKind::MEMORY_READ) return judge_read(h, range);
  judge_write(packet, range);
}

void Oracle::judge_read(const RequestHeader& h, const Range& range) {
  const auto grants = [&](const auto& rules) { return rules->may_read(range); };
  if (range.size == 0 || std::any_of(queues_.begin(), queues_.end(), grants)) return;
  findings_.add("read", "a read of %" PRIu64 " bytes at 0x%" PRIx64 " that no queue grants, tag %u", range.size, range.begin, h.tag);
}

bool Oracle::is_vector(const RequestPacket& packet) const {
  const RequestHeader& h = packet.header;
  return h.length == 1 && h.first_be == 0xf && shadow_.is_vector(h.address, packet.payload[0]);
}

void Oracle::judge_write(const RequestPacket& packet, const Range& range) {
  if (is_vector(packet)) return;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(packet.payload.data()) + (range.begin - packet.header.address);
  bool filled = false;
  for (const auto& rules : queues_) filled = rules->fills(range) || filled;
  bool granted = filled || range.size == 0;
  const auto meets = [&](const auto& rules) { return rules->used_area().meets(range); };
  const bool other = filled || std::count_if(queues_.begin(), queues_.end(), meets) > 1;
  for (const auto& rules : queues_) granted = rules->write(range.begin, {bytes, range.size}, other) || granted;
  if (granted) return;
  findings_.add("write", "a write of %" PRIu64 " bytes at 0x%" PRIx64 " that no queue grants", range.size, range.begin);
}

}  // namespace rw::fuzz
