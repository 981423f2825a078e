// Headers as they stand on the wire: three or four dwords, each with its first byte highest.
// Ref: PCI Express Base 3.1, 2.2.1, 2.2.7 to 2.2.9; 4.0, 2.2.6.2 (tags of ten bits).
#pragma once

#include <array>
#include <cstdint>

#include "packets.h"

namespace rw {

struct RawHeader {
  std::array<std::uint32_t, 4> dwords{};
  unsigned count = 3;
};

namespace raw {

constexpr std::uint32_t no_data = 0u << 29, four_dwords = 1u << 29, with_data = 2u << 29;
constexpr std::uint32_t memory = 0x00, locked = 0x01, io = 0x02, config_0 = 0x04, config_1 = 0x05, completion = 0x0a,
                        to_root = 0x10, local = 0x14;
constexpr std::uint32_t assert_inta = 0x20, deassert_inta = 0x24;

inline std::uint32_t type_of(const RequestHeader& h) {
  switch (h.kind) {
    case RequestKind::IO_READ:
    case RequestKind::IO_WRITE: return io;
    case RequestKind::CONFIG_READ_0:
    case RequestKind::CONFIG_WRITE_0: return config_0;
    case RequestKind::CONFIG_READ_1:
    case RequestKind::CONFIG_WRITE_1: return config_1;
    case RequestKind::MESSAGE: return message_code(h) == 0 ? local : to_root;
    case RequestKind::OTHER_NON_POSTED: return locked;  // of all that are not supported, the oldest
    default: return memory;
  }
}

template <class Header>
std::uint32_t first(const Header& h, std::uint32_t format, std::uint32_t type) {
  const std::uint32_t tag = h.tag, attributes = h.attributes;
  return format | type << 24 | (tag >> 9 & 1) << 23 | std::uint32_t{h.traffic_class} << 20 | (tag >> 8 & 1) << 19 |
         (attributes >> 2 & 1) << 18 | std::uint32_t{h.poisoned} << 14 | (attributes & 3) << 12 | (h.length & 0x3ffu);
}

}  // namespace raw

// INTx, which has no code here, is the message that says so.
inline RawHeader raw_header(const RequestHeader& h) {
  RawHeader out;
  const bool message = h.kind == RequestKind::MESSAGE;
  const bool config = raw::type_of(h) == raw::config_0 || raw::type_of(h) == raw::config_1;
  const bool far = !message && h.address >> 32 != 0;
  const auto low = static_cast<std::uint32_t>(h.address);
  out.count = far || message ? 4 : 3;
  std::uint32_t format = out.count == 4 ? raw::four_dwords : raw::no_data;
  if (is_write(h.kind)) format |= raw::with_data;
  std::uint32_t enables = static_cast<std::uint32_t>(h.last_be) << 4 | h.first_be;
  if (message && enables == 0) enables = low != 0 ? raw::assert_inta : raw::deassert_inta;
  out.dwords[0] = raw::first(h, format, raw::type_of(h));
  out.dwords[1] = std::uint32_t{h.requester_id} << 16 | (h.tag & 0xffu) << 8 | enables;
  if (message) return out;
  out.dwords[2] = low;
  if (far) out.dwords[2] = static_cast<std::uint32_t>(h.address >> 32);
  if (config) out.dwords[2] = std::uint32_t{h.target_id} << 16 | (low & 0xffcu);
  if (far) out.dwords[3] = low;
  return out;
}

inline RawHeader raw_header(const CompletionHeader& h) {
  RawHeader out;
  out.dwords[0] = raw::first(h, h.has_data ? raw::with_data : raw::no_data, raw::completion);
  out.dwords[1] = std::uint32_t{h.completer_id} << 16 | static_cast<std::uint32_t>(h.status) << 13 |
                  (h.byte_count & 0xfffu);
  out.dwords[2] = std::uint32_t{h.requester_id} << 16 | (h.tag & 0xffu) << 8 | h.lower_address;
  return out;
}

}  // namespace rw
