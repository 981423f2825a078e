// Loads registers that lie side by side from what lies side by side in the same order, a line of 64 bytes at a time.
// The generated code of a change-driven model uses it (engine/native/changes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rw {

constexpr unsigned line_bytes = 64;

// A bit for each byte of two lines: whether it differs. Both are aligned.
struct AnyProcessor {
  static std::uint64_t differing(const std::uint8_t* one, const std::uint8_t* other) {
    std::uint64_t found = 0;
    for (unsigned at = 0; at < line_bytes; at += 8) {
      constexpr std::uint64_t low = 0x7f7f7f7f7f7f7f7full;
      std::uint64_t left, right;
      std::memcpy(&left, one + at, 8);
      std::memcpy(&right, other + at, 8);
      const std::uint64_t different = left ^ right;
      const std::uint64_t tops = (((different & low) + low) | different) & ~low;
      found |= ((tops >> 7) * 0x0102040810204080ull >> 56) << at;
    }
    return found;
  }
};

#if defined(__x86_64__)
struct Avx2 {
  [[gnu::target("avx2")]] static std::uint64_t differing(const std::uint8_t* one, const std::uint8_t* other) {
    std::uint64_t same = 0;
    for (unsigned at = 0; at < line_bytes; at += 32) {
      const auto left = _mm256_load_si256(reinterpret_cast<const __m256i*>(one + at));
      const auto right = _mm256_load_si256(reinterpret_cast<const __m256i*>(other + at));
      const auto bits = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(left, right)));
      same |= static_cast<std::uint64_t>(bits) << at;
    }
    return ~same;
  }
};
#endif

// What is known of registers: for each line a bit at the last byte of each register, or of its part in the line; and
// for each of these bytes which row of flags the register raises.
struct RegisterPlaces {
  const std::uint64_t* last;
  const std::uint16_t* row;
};

// Of bits for bytes, one for each register: whether any is up, at the place of its last byte. A carry runs through the
// bytes of a register up to the last.
inline std::uint64_t by_register(std::uint64_t bytes, std::uint64_t last) {
  return (((bytes & ~last) + ~last) | bytes) & last;
}

// Flags of chunks; aligned, so that whole rows are raised at once.
template <unsigned words>
struct alignas(line_bytes) Row {
  std::uint64_t flags[words];
};

// Loads the registers of those lines whose bits are up in dirty, and raises the flags of what has changed. Which
// branches are taken hardly depends on the data: there is one list of changed lines, and one loop over their bits.
template <class Processor, unsigned line_words, unsigned words>
[[gnu::always_inline]] inline void load_lines(std::uint8_t* registers, const std::uint8_t* following, std::uint64_t* dirty,
                           std::uint64_t* flags, const RegisterPlaces& places, const Row<words>* rows) {
  struct Changed {
    std::uint64_t mask;
    std::uint64_t first;
  };
  Changed list[line_words * 64 + 1];
  unsigned count = 0;
  for (unsigned word = 0; word < line_words; ++word) {
    std::uint64_t lines = dirty[word];
    dirty[word] = 0;
    for (; lines != 0; lines &= lines - 1) {
      const unsigned line = word * 64 + static_cast<unsigned>(__builtin_ctzll(lines));
      const unsigned first = line * line_bytes;
      const std::uint64_t mask = by_register(Processor::differing(registers + first, following + first), places.last[line]);
      std::memcpy(registers + first, following + first, line_bytes);
      list[count] = {mask, first};
      count += mask != 0;
    }
  }
  if (count == 0) return;
  list[count] = {0, 0};
  Row<words> raised{};
  std::uint64_t mask = list[0].mask;
  for (unsigned at = 0; at < count;) {
    const Row<words>& row = rows[places.row[list[at].first + static_cast<unsigned>(__builtin_ctzll(mask))]];
    for (unsigned i = 0; i < words; ++i) raised.flags[i] |= row.flags[i];
    mask &= mask - 1;
    const bool over = mask == 0;
    at += over;
    mask |= list[at].mask & -static_cast<std::uint64_t>(over);
  }
  for (unsigned i = 0; i < words; ++i) flags[i] |= raised.flags[i];
}

#if defined(__x86_64__)
template <unsigned line_words, unsigned words>
[[gnu::target("avx2"), gnu::noinline]] void load_by_avx2(std::uint8_t* registers, const std::uint8_t* following,
                                                         std::uint64_t* dirty, std::uint64_t* flags,
                                                         const RegisterPlaces& places, const Row<words>* rows) {
  load_lines<Avx2, line_words, words>(registers, following, dirty, flags, places, rows);
}
#endif

template <unsigned line_words, unsigned words>
void load_registers(std::uint8_t* registers, const std::uint8_t* following, std::uint64_t* dirty,
                    std::uint64_t* flags, const RegisterPlaces& places, const Row<words>* rows) {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return load_by_avx2<line_words, words>(registers, following, dirty, flags, places, rows);
#endif
  load_lines<AnyProcessor, line_words, words>(registers, following, dirty, flags, places, rows);
}

}  // namespace rw
