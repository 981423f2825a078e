// What passes a place, as blocks of a pcapng file. Off, it costs a look at a flag.
// Ref: draft-ietf-opsawg-pcapng, 4.3 (Enhanced Packet Block).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rw {

class Capture {
 public:
  using Bytes = std::span<const std::uint8_t>;

  bool on() const { return on_; }
  void record(bool on) { on_ = on; }

  // A packet of head and body that was whole at time_ns. Seen from the device, out goes away from it; bad came with an error.
  void add(std::uint64_t time_ns, bool out, bool bad, Bytes head, Bytes body) {
    const auto bytes = static_cast<std::uint32_t>(head.size() + body.size());
    const std::uint32_t padding = -bytes % 4u;
    const std::uint32_t length = around + bytes + padding;
    const std::uint32_t flags = (out ? outbound : inbound) | (bad ? crc_error : 0u);
    words({packet_block, length, 0u, static_cast<std::uint32_t>(time_ns >> 32), static_cast<std::uint32_t>(time_ns),
           bytes, bytes});
    blocks_.insert(blocks_.end(), head.begin(), head.end());
    blocks_.insert(blocks_.end(), body.begin(), body.end());
    blocks_.insert(blocks_.end(), padding, std::uint8_t{0});
    words({flags_option, flags, 0u, length});
  }

  std::size_t size() const { return blocks_.size(); }

  // Moves all blocks to out, which has room for size() bytes.
  void take(std::uint8_t* out) {
    std::copy(blocks_.begin(), blocks_.end(), out);
    blocks_.clear();
  }

 private:
  static constexpr std::uint32_t packet_block = 6;
  static constexpr std::uint32_t flags_option = 4u << 16 | 2u;  // epb_flags, of 4 bytes
  static constexpr std::uint32_t inbound = 1, outbound = 2, crc_error = 1u << 24;
  static constexpr std::uint32_t around = 44;  // bytes of a block that are no packet

  // In the byte order of the machine, which the head of the file tells.
  template <std::size_t count>
  void words(const std::uint32_t (&values)[count]) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values);
    blocks_.insert(blocks_.end(), bytes, bytes + sizeof values);
  }

  std::vector<std::uint8_t> blocks_{};
  bool on_ = false;
};

}  // namespace rw
