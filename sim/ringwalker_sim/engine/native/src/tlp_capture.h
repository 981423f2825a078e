// TLPs as packets of a capture: a head of our own (captures/tlp_link.py), the header, the payload.
#pragma once

#include <array>
#include <cstring>

#include "raw_header.h"
#include "shared.h"
#include "wire.h"

namespace rw {

namespace raw {

// Puts so many bytes of value at out, the highest first; gives the place behind them.
inline std::uint8_t* put(std::uint8_t* out, std::uint64_t value, unsigned bytes) {
  for (unsigned at = bytes; at-- != 0;) *out++ = static_cast<std::uint8_t>(value >> 8 * at);
  return out;
}

}  // namespace raw

// A packet that got the link at begin, and is whole at the other end now.
template <class Header>
void capture_tlp(Shared& shared, const Packet<Header>& packet, bool from_device, std::uint64_t begin) {
  const std::uint64_t period = shared.parameters.period_ps, now = shared.now;
  const RawHeader header = raw_header(packet.header);
  std::array<std::uint8_t, tlp_head_bytes + 4 * std::tuple_size_v<decltype(header.dwords)>> head;
  std::uint8_t* at = raw::put(head.data(), tlp_head_version, 1);
  at = raw::put(at, from_device ? 0 : 1, 1);
  at = raw::put(at, wire_event(packet, begin, now).wire, 2);
  at = raw::put(at, std::min<std::uint64_t>((now - begin) * period, UINT32_MAX), 4);
  at = raw::put(at, now, 8);
  for (unsigned dword = 0; dword < header.count; ++dword) at = raw::put(at, header.dwords[dword], 4);
  // The payload of a packet that is not done with holds nothing else than it says.
  const std::size_t bytes = std::min<std::size_t>(packet.payload.size(), payload_dwords(packet.header)) * 4;
  const auto* payload = reinterpret_cast<const std::uint8_t*>(packet.payload.data());
  const auto used = static_cast<std::size_t>(at - head.data());
  shared.tlps.add(now * period / 1000, from_device, false, {head.data(), used}, {payload, bytes});
}

}  // namespace rw
