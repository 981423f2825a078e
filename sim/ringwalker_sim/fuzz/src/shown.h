// What a device was shown: the data of completions, which were memory at that moment.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "packets.h"

namespace rw::fuzz {

// Events on the link are numbered in their order.
using Order = std::uint64_t;

struct Range {
  std::uint64_t begin;
  std::uint64_t size;

  bool holds(const Range& other) const {
    return other.begin >= begin && other.begin - begin <= size && other.size <= size - (other.begin - begin);
  }
  bool meets(const Range& other) const {
    return other.begin >= begin ? other.begin - begin < size : begin - other.begin < other.size;
  }
};

// Bytes that were shown at once.
struct Piece {
  std::uint64_t address;
  std::vector<std::uint8_t> bytes;
  Order order;

  Range range() const { return {address, bytes.size()}; }
};

class Shown {
 public:
  // A read of the device; its bytes from the first to the last.
  Range asked(const RequestHeader& header);

  // A completion that goes to the device: what it shows, if it is one that a device may use.
  std::optional<Piece> answered(const CompletionPacket& packet, Order order);

  // Notes a piece; it is the last one now.
  const Piece& keep(Piece&& piece);

  // The bytes at address as they were shown last, and the order of the oldest of them; false if some never were.
  bool get(std::uint64_t address, std::size_t size, std::uint8_t* out, Order& order) const;

  // What is in flight stays.
  void forget() { pieces_.clear(); }
  void restarted();

 private:
  static constexpr std::size_t most_pieces = 256;
  struct Read {
    bool known = false;
    std::uint64_t end = 0;
  };

  std::array<Read, tag_count> reads_{};  // by tag, the last
  std::deque<Piece> pieces_{};
};

}  // namespace rw::fuzz
