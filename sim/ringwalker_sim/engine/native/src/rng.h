// Seeded random numbers (splitmix64): the same seed gives the same run.
#pragma once

#include <cmath>
#include <cstdint>

namespace rw {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform from 0 to bound, both included.
  std::uint64_t up_to(std::uint64_t bound) { return bound == 0 ? 0 : next() % (bound + 1); }

  // Exponential with mean 1.
  double exponential() { return -std::log(1.0 - static_cast<double>(next() >> 11) * 0x1p-53); }

  // True with probability threshold / 2**32; draws nothing when that is 0.
  bool chance(std::uint64_t threshold) { return threshold != 0 && (next() >> 32) < threshold; }

 private:
  std::uint64_t state_;
};

}  // namespace rw
