// Operations as Python packs them.
#pragma once

#include <cstdint>

#include "fuzz_spec.h"

namespace rw::fuzz {

struct Record {
  std::uint8_t kind;
  std::uint8_t size;
  std::uint16_t space;
  std::uint32_t number;
  std::uint64_t address;
  std::uint64_t value;
  std::uint64_t extra;

  Kind what() const { return static_cast<Kind>(kind); }
  Space place() const { return static_cast<Space>(space & ~unless_broken); }
  bool unless() const { return (space & unless_broken) != 0; }
};
static_assert(sizeof(Record) == 32);

}  // namespace rw::fuzz
