// Requests of an operation as the host's side of a link may send them.
#pragma once

#include "fuzz_spec.h"
#include "packets.h"
#include "record.h"

namespace rw::fuzz {

// The address of an offset of a space.
std::uint64_t address_of(const Settings& settings, Space space, std::uint64_t offset);

// The kind of a read or write there.
RequestKind access_kind(const Settings& settings, Space space, bool write);

// How many of size bytes at address one such request can have.
std::uint32_t access_length(RequestKind kind, std::uint64_t address, std::uint32_t size);

// The request of an operation of kind TLP: what is not legal in it is made so.
RequestPacket raw_request(const Settings& settings, const Record& record);

}  // namespace rw::fuzz
