// The source behind the noise port: seeded random bytes, a beat a cycle.
#pragma once

#include <array>

#include "peripheral.h"

namespace rw {

// Not true noise: xoshiro256** (Blackman and Vigna), its state from splitmix64 of the engine's seed, eight bytes a
// number, the lowest first. The same seed gives the same bytes at every width; native/noise.py has them too.
class Noise final : public Peripheral {
 public:
  explicit Noise(Board& board);

  void transfer() override;
  void drive() override;
  bool calm() const override;
  // A beat that was offered and not taken is offered again: what the device takes has no gaps.
  void reset() override;

 private:
  using Beat = port::noise::Payload;

  std::uint64_t next();
  void fill();

  Giver<port::noise> stream_;
  std::array<std::uint64_t, 4> state_{};
  Beat beat_{};
};

}  // namespace rw
