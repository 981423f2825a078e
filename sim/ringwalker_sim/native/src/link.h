// Occupancy of one direction of the link. With rate 0 it is never busy.
#pragma once

#include <cstdint>

#include "generated.h"

namespace rw {

class LinkModel {
 public:
  explicit LinkModel(std::uint64_t rate) : rate_(rate) {}

  // Whether another packet may start in cycle now.
  bool free(std::uint64_t now) const { return rate_ == 0 || free_at_ <= (now << fraction); }

  // A packet of so many bytes (rate is in 1/65536 bytes a cycle) occupies the link from now on.
  void occupy(std::uint64_t now, std::uint64_t bytes) {
    if (rate_ == 0) return;
    const std::uint64_t start = now << fraction;
    if (free_at_ < start) free_at_ = start;
    free_at_ += (bytes << (2 * fraction)) / rate_;
  }

 private:
  static constexpr unsigned fraction = 16;
  std::uint64_t rate_;
  std::uint64_t free_at_ = 0;  // in 1/65536 cycles
};

}  // namespace rw
