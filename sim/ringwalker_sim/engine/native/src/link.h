// Occupancy of one direction of the link. With rate 0 it is never busy.
#pragma once

#include <cstdint>

namespace rw {

class LinkModel {
 public:
  // rate in 1/65536 bytes a cycle.
  explicit LinkModel(std::uint64_t rate) : rate_(rate) {}

  bool unlimited() const { return rate_ == 0; }

  // Whether another packet may start: the one before it ends within cycle now, so no part of a cycle is lost.
  bool free(std::uint64_t now) {
    if (left_ == 0) return true;
    drain(now);
    return left_ < rate_;
  }

  // A packet of so many bytes occupies the link after those before it; the cycle in which its end has passed.
  std::uint64_t occupy(std::uint64_t now, std::uint64_t bytes) {
    if (rate_ == 0) return now;
    drain(now);
    left_ += bytes << fraction;
    return now + (left_ + rate_ - 1) / rate_;
  }

  void reset() { left_ = 0; }

 private:
  static constexpr unsigned fraction = 16;

  void drain(std::uint64_t now) {
    const std::uint64_t cycles = now - at_;
    at_ = now;
    left_ = cycles > left_ / rate_ ? 0 : left_ - cycles * rate_;
  }

  std::uint64_t rate_;
  std::uint64_t left_ = 0;  // 1/65536 bytes still to pass at cycle at_
  std::uint64_t at_ = 0;
};

}  // namespace rw
