// Answers the device's reads: after a latency, cut at the read completion boundary, in a chosen order.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <queue>
#include <vector>

#include "memory_map.h"
#include "rng.h"
#include "shared.h"
#include "packets.h"

namespace rw {

class ReadServer {
 public:
  ReadServer(Shared& shared, MemoryMap& memory);

  // A checked read request arrived.
  void request(const RequestHeader& header);

  // The next completion that is due; false when none is. Memory is read at this moment.
  bool next(CompletionPacket& out);

  // What an external read gave (null: it is refused), by the number in its event. False when no read of that
  // number and length waits.
  bool answer(std::uint32_t number, const std::uint8_t* data, std::uint32_t length);

  // Reads whose last completion the device has not taken yet.
  std::uint64_t in_flight() const { return count_in_flight_; }

  // Nothing waits to be returned.
  bool quiet() const { return due_.empty() && waiting_ == 0 && stray_.empty(); }

  // The last beat of a completion was taken by the device.
  void sent(const CompletionHeader& header, std::size_t dwords);

  // The nth read from now (0 is the next) will fail; delay in cycles counts for LATE, and is the bits of the tag
  // that are wrong for WRONG_TAG.
  void inject(FaultKind kind, std::uint64_t nth, std::uint64_t delay);

  void clear_faults() { planned_.clear(); }

  void reset();

 private:
  struct Read {
    RequestHeader header{};
    std::uint64_t position = 0;  // of the next byte to return
    std::uint64_t end = 0;
    CompletionStatus status = CompletionStatus::SUCCESS;
    bool poisoned = false;
    std::optional<FaultKind> spoilt{};  // what becomes of its last completion
    bool waiting = false;               // for the answer of external memory
    std::vector<std::uint8_t> data{};  // that answer: bytes up to end
  };
  struct Due {
    std::uint64_t time;
    std::uint64_t order;
    std::size_t slot;
    bool operator>(const Due& o) const { return time != o.time ? time > o.time : order > o.order; }
  };
  struct Planned {
    FaultKind kind;
    std::uint64_t countdown;
    std::uint64_t delay;
  };

  // A completion that nobody asked for. Which tag it has, if not that of a read that has ended, is chosen when it is sent.
  struct Stray {
    CompletionPacket packet;
    bool other_tag;
  };

  const Planned* planned_fault();
  bool next_stray(CompletionPacket& out);
  std::uint16_t unused_tag(std::uint16_t other) const;
  std::uint64_t jitter();
  const std::uint8_t* find(const Read& read);
  std::uint64_t cut(const Read& read);
  void spoil(CompletionPacket& out, FaultKind kind);
  bool fill(CompletionPacket& out, const Read& read, std::uint64_t stop, const std::uint8_t* host);

  Shared& shared_;
  MemoryMap& memory_;
  Rng rng_;
  std::vector<Read> slots_{};
  std::vector<std::size_t> unused_{};
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_{};
  std::vector<Planned> planned_{};
  Planned taken_{};
  std::deque<Stray> stray_{};
  bool stray_passes_ = false;  // what the device is given now is a stray one
  std::uint64_t order_ = 0;
  std::uint64_t latest_ = 0;
  std::array<bool, tag_count> in_flight_{};
  std::array<bool, tag_count> asked_{};  // also of reads that are answered late, with another tag, or not at all
  std::array<std::uint64_t, tag_count> answered_{};  // when a tag's last completion was sent
  std::uint64_t count_in_flight_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace rw
