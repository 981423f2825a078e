// The terminal behind the UART port: takes bytes from the device, and gives it others.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "shared.h"

namespace rw {

class Uart {
 public:
  explicit Uart(Shared& shared) : shared_(shared) {}

  // Whether bytes of the device come back to it; otherwise they wait to be fetched.
  void loopback(bool on) { loopback_ = on; }

  // Queues bytes for the device.
  void send(const std::uint8_t* bytes, std::size_t count) { waiting_.insert(waiting_.end(), bytes, bytes + count); }

  // Bytes of the device that nobody has fetched: how many there are, and the first count of them.
  std::size_t size() const { return sent_.size(); }
  void fetch(std::uint8_t* out, std::size_t count);

  void take(std::uint8_t byte);
  bool has_byte() const { return !waiting_.empty(); }
  std::uint8_t byte() const { return waiting_.front(); }
  void byte_taken();

  // Once a cycle: tells of what the device sent when it pauses, or has sent much, so not byte for byte.
  void tick();
  // Nobody has to be told of anything.
  bool told() const { return !news_; }

 private:
  static constexpr std::uint64_t pause_cycles = 64;
  static constexpr std::uint64_t most_untold = 4096;
  static constexpr std::size_t most_bytes = 1 << 20;

  Shared& shared_;
  bool loopback_ = false;
  bool news_ = false;
  std::uint64_t untold_ = 0;
  std::uint64_t last_ = 0;
  std::deque<std::uint8_t> sent_{};
  std::deque<std::uint8_t> waiting_{};
};

}  // namespace rw
