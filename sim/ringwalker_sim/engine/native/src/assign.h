// Copies between the model's ports and numbers or words of the host.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace rw {

// Ports have the smallest unsigned type that holds them.
template <class To, class From>
void assign(To& to, const From& from) {
  to = static_cast<To>(from);
}

// Wide ports are one 64-bit integer or an array of 32-bit words, lowest first.
template <class Port, std::size_t count>
void assign(std::array<std::uint32_t, count>& to, const Port& from) {
  static_assert(sizeof(Port) == sizeof to);
  std::memcpy(to.data(), &from, sizeof to);
}

template <class Port, std::size_t count>
void assign(Port& to, const std::array<std::uint32_t, count>& from) {
  static_assert(sizeof(Port) == sizeof from);
  std::memcpy(&to, from.data(), sizeof from);
}

}  // namespace rw
