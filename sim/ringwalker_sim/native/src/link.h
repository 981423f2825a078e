// Occupancy of one direction of the link. With rate 0 it is never busy.
#pragma once

#include <cstdint>

#include "generated.h"

namespace rw {

class LinkModel {
 public:
  // rate in 1/65536 bytes a cycle; buffer is how many bytes may wait for the link in front of it.
  LinkModel(std::uint64_t rate, std::uint64_t buffer) : rate_(rate), slack_(rate == 0 ? 0 : cycles(buffer)) {}

  // Whether another packet may start in cycle now.
  bool free(std::uint64_t now) const { return rate_ == 0 || free_at_ <= (now << fraction) + slack_; }

  // A packet of so many bytes occupies the link, from now on or after those before it.
  void occupy(std::uint64_t now, std::uint64_t bytes) {
    if (rate_ == 0) return;
    const std::uint64_t start = now << fraction;
    if (free_at_ < start) free_at_ = start;
    free_at_ += cycles(bytes);
  }

 private:
  static constexpr unsigned fraction = 16;

  // In 1/65536 cycles.
  std::uint64_t cycles(std::uint64_t bytes) const { return (bytes << (2 * fraction)) / rate_; }

  std::uint64_t rate_;
  std::uint64_t slack_;
  std::uint64_t free_at_ = 0;  // in 1/65536 cycles
};

}  // namespace rw
