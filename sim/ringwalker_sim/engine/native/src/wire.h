// Packets as events of a timeline.
#pragma once

#include "packets.h"

namespace rw {

inline std::uint64_t wire_bytes(const RequestHeader& h, std::uint64_t payload) {
  const bool wide = h.kind == RequestKind::MEMORY_READ || is_posted(h.kind);
  return (wide ? request_64_bytes : request_32_bytes) + payload;
}

// A packet that got the link at begin, and is whole at the other end at end.
inline TimelineEvent wire_event(const RequestPacket& packet, std::uint64_t begin, std::uint64_t end) {
  const RequestHeader& h = packet.header;
  const auto wire = wire_bytes(h, 4 * payload_dwords(h));
  return {begin, end, h.address, 0, static_cast<std::uint32_t>(h.kind), h.tag, 4u * h.length, 0,
          static_cast<std::uint32_t>(wire)};
}

inline TimelineEvent wire_event(const CompletionPacket& packet, std::uint64_t begin, std::uint64_t end) {
  const CompletionHeader& h = packet.header;
  const std::uint32_t payload = 4 * payload_dwords(h);
  return {begin, end, h.byte_count, 0, static_cast<std::uint32_t>(h.status), h.tag, payload,
          h.lower_address,
          completion_bytes + payload};
}

}  // namespace rw
