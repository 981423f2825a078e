// Memory of the guest as its driver sees it: numbers at addresses, in the byte order of both.
#pragma once

#include <cstdint>
#include <cstring>

namespace rw {

struct GuestBytes {
  std::uint8_t* array;
  std::uint64_t address;  // of its first byte

  std::uint8_t* at(std::uint64_t where) const { return array + (where - address); }

  template <class Number>
  Number get(std::uint64_t where) const {
    Number value;
    std::memcpy(&value, at(where), sizeof value);
    return value;
  }

  template <class Number>
  void put(std::uint64_t where, Number value) const {
    std::memcpy(at(where), &value, sizeof value);
  }
};

}  // namespace rw
