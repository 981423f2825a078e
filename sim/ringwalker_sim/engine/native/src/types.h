// Packets and beats as the host sees them; field meanings are those of ringwalker/spec/tlp.py.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "generated.h"

namespace rw {

struct RequestHeader {
  RequestKind kind = RequestKind::MEMORY_READ;
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint8_t first_be = 0;
  std::uint8_t last_be = 0;
  std::uint16_t requester_id = 0;
  std::uint16_t target_id = 0;
  std::uint8_t tag = 0;
  std::uint8_t traffic_class = 0;
  std::uint8_t attributes = 0;
  bool poisoned = false;

  bool operator==(const RequestHeader&) const = default;
};

struct CompletionHeader {
  CompletionStatus status = CompletionStatus::SUCCESS;
  bool has_data = false;
  std::uint32_t length = 0;
  std::uint32_t byte_count = 0;
  std::uint8_t lower_address = 0;
  std::uint16_t requester_id = 0;
  std::uint16_t completer_id = 0;
  std::uint8_t tag = 0;
  std::uint8_t traffic_class = 0;
  std::uint8_t attributes = 0;
  bool poisoned = false;

  bool operator==(const CompletionHeader&) const = default;
};

inline bool is_write(RequestKind kind) {
  return kind == RequestKind::MEMORY_WRITE || kind == RequestKind::IO_WRITE ||
         kind == RequestKind::CONFIG_WRITE_0 || kind == RequestKind::CONFIG_WRITE_1;
}

inline bool is_posted(RequestKind kind) {
  return kind == RequestKind::MEMORY_WRITE || kind == RequestKind::MESSAGE;
}

inline unsigned payload_dwords(const RequestHeader& header) { return is_write(header.kind) ? header.length : 0; }

inline unsigned payload_dwords(const CompletionHeader& header) { return header.has_data ? header.length : 0; }

using BeatData = std::array<std::uint32_t, beat_dwords>;

template <class Header>
struct Beat {
  Header header{};
  BeatData data{};
  std::uint32_t dwords = 0;
  bool first = false;
  bool last = false;

  bool operator==(const Beat&) const = default;
};

template <class Header>
struct Packet {
  Header header{};
  std::vector<std::uint32_t> payload{};
};

using RequestPacket = Packet<RequestHeader>;
using CompletionPacket = Packet<CompletionHeader>;

// Beats of a TLP at the port: it begins a beat of its own.
inline std::uint64_t beats_of(std::uint64_t dwords) { return dwords == 0 ? 1 : (dwords + beat_dwords - 1) / beat_dwords; }

struct StorageCommand {
  StorageOp op = StorageOp::READ;
  std::uint64_t sector = 0;
  std::uint32_t sectors = 0;

  bool operator==(const StorageCommand&) const = default;
};

struct StorageBeat {
  BeatData data{};
  bool last = false;

  bool operator==(const StorageBeat&) const = default;
};

// Bytes packed from bit 0 of the lowest word up; count of them in this beat.
struct MacBeat {
  BeatData data{};
  std::uint32_t count = 0;
  bool first = false;
  bool last = false;
  bool error = false;

  bool operator==(const MacBeat&) const = default;
};

}  // namespace rw
