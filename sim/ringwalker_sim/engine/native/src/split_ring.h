// A split virtqueue as its driver has it: what guest/split_queue.py does, with the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "guest_bytes.h"
#include "spec.h"

namespace rw {

class SplitRing {
 public:
  struct Piece {
    std::uint64_t address;
    std::uint32_t length;
    bool writable;
  };
  enum class Taken { NOTHING, ONE, NONSENSE };

  // Goes on from what queue says and points to, all of which lives until give_back.
  SplitRing(PumpQueue& queue, GuestBytes memory);

  PumpQueue& queue() const { return *queue_; }
  std::size_t outstanding() const { return outstanding_; }

  // Whether a buffer of so many pieces fits.
  bool has_room(std::size_t pieces) const { return free_.size() >= descriptors(pieces); }

  // Adds a buffer of up to three pieces, for which there is room. The device sees it with show.
  std::uint32_t add(PumpRequest request, std::span<const Piece> pieces);

  // Shows what was added, if anything was; whether the device wants a notification of it.
  bool show();

  bool used_pending() const { return used_index() != queue_->last_used; }

  // Takes the next used buffer, and how many bytes were written into it. Nonsense stays in the ring.
  Taken take(PumpRequest& request, std::uint32_t& written);

  // Asks for the next interrupt, after all that was used has been taken.
  void ask();

  // Leaves all in the queue and what it points to, for somebody else to go on.
  void give_back();

 private:
  static constexpr std::uint64_t table_rows = 16;  // descriptors in the indirect table of each ring entry

  std::size_t descriptors(std::size_t pieces) const { return queue_->indirect != 0 ? 1 : pieces; }
  std::uint16_t used_index() const { return memory_.get<std::uint16_t>(queue_->device_area + used_idx_offset); }
  void describe(std::uint64_t row, std::uint64_t address, std::uint32_t length, unsigned flags, std::size_t following);

  PumpQueue* queue_;
  GuestBytes memory_;
  std::deque<std::uint16_t> free_;
  std::vector<PumpRequest> by_head_;  // those in flight; where nothing is, the number is 0
  std::size_t outstanding_;
  std::uint32_t shown_;
};

}  // namespace rw
