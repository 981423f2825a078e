// Packets as the host sees them; the headers are those of ringwalker/spec/tlp.py.
#pragma once

#include <cstdint>
#include <vector>

#include "spec.h"

namespace rw {

inline bool is_write(RequestKind kind) {
  return kind == RequestKind::MEMORY_WRITE || kind == RequestKind::IO_WRITE || kind == RequestKind::CONFIG_WRITE_0 ||
         kind == RequestKind::CONFIG_WRITE_1;
}

inline bool is_posted(RequestKind kind) { return kind == RequestKind::MEMORY_WRITE || kind == RequestKind::MESSAGE; }

inline unsigned payload_dwords(const RequestHeader& header) { return is_write(header.kind) ? header.length : 0u; }

inline unsigned payload_dwords(const CompletionHeader& header) { return header.has_data ? header.length : 0u; }

// The code of a message, which is where the byte enables are on the wire.
inline unsigned message_code(const RequestHeader& header) { return header.last_be << 4 | header.first_be; }

inline bool is_error(unsigned code) {
  return code == static_cast<unsigned>(ErrorMessage::CORRECTABLE) ||
         code == static_cast<unsigned>(ErrorMessage::NON_FATAL) || code == static_cast<unsigned>(ErrorMessage::FATAL);
}

template <class Header>
struct Packet {
  Header header{};
  std::vector<std::uint32_t> payload{};
};

using RequestPacket = Packet<RequestHeader>;
using CompletionPacket = Packet<CompletionHeader>;

}  // namespace rw
