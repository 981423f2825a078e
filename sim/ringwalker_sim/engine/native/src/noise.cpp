#include "noise.h"

#include <bit>
#include <cstring>

namespace rw {

Noise::Noise(Board& board) : Peripheral(board), stream_(board) {
  Rng seeds(shared_.parameters.seed ^ noise_salt);
  for (std::uint64_t& word : state_) word = seeds.next();
  fill();
}

void Noise::transfer() {
  if (!stream_.transfer()) return;
  shared_.stats.noise_bytes += sizeof(Beat);
  shared_.timeline.add(TimelineKind::BYTES_IN, {shared_.now, shared_.now, 0, 0, 0, 0, sizeof(Beat), 0, 0});
  fill();
}

void Noise::drive() {
  stream_.drive(true, shared_.parameters.stall_noise, [this]() -> const Beat& { return beat_; });
}

bool Noise::calm() const { return stream_.valid() && !stream_.accepted(); }

void Noise::reset() { stream_.reset(); }

std::uint64_t Noise::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void Noise::fill() {
  static_assert(sizeof(Beat) % sizeof(std::uint64_t) == 0);
  for (std::size_t at = 0; at < sizeof(Beat); at += sizeof(std::uint64_t)) {
    const std::uint64_t number = next();
    std::memcpy(reinterpret_cast<std::uint8_t*>(beat_.data()) + at, &number, sizeof number);
  }
}

}  // namespace rw
