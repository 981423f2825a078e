#include "split_ring.h"

#include <algorithm>

namespace rw {
namespace {

constexpr std::uint32_t index_mask = 0xffff;

}  // namespace

SplitRing::SplitRing(PumpQueue& queue, GuestBytes memory)
    : queue_(&queue),
      memory_(memory),
      by_head_(queue.size),
      outstanding_(queue.outstanding_count),
      shown_(queue.added) {
  const auto* free = reinterpret_cast<const std::uint16_t*>(queue.free_array);
  free_.assign(free, free + queue.free_count);
  const auto* requests = reinterpret_cast<const PumpRequest*>(queue.outstanding_array);
  for (std::size_t i = 0; i < outstanding_; ++i) by_head_[requests[i].place0] = requests[i];
}

void SplitRing::describe(std::uint64_t row, std::uint64_t address, std::uint32_t length, unsigned flags,
                         std::size_t following) {
  memory_.put(row, address);
  memory_.put(row + 8, length);
  memory_.put(row + 12, static_cast<std::uint16_t>(flags));
  memory_.put(row + 14, static_cast<std::uint16_t>(following));
}

std::uint32_t SplitRing::add(PumpRequest request, std::span<const Piece> pieces) {
  PumpQueue& q = *queue_;
  const std::size_t count = descriptors(pieces.size());
  std::uint32_t places[3] = {};
  for (std::size_t i = 0; i < count; ++i) {
    places[i] = free_.front();
    free_.pop_front();
  }
  const std::uint32_t head = places[0];
  const bool own = count < pieces.size();  // in a table of its own
  const std::uint64_t table = own ? q.indirect_tables + head * table_rows * desc_bytes : q.table;
  request.room = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    const bool last = i + 1 == pieces.size();
    const std::size_t following = last ? 0 : own ? i + 1 : places[i + 1];
    const unsigned flags = (piece.writable ? desc_write : 0) | (last ? 0 : desc_next);
    describe(table + (own ? i : places[i]) * desc_bytes, piece.address, piece.length, flags, following);
    request.room += piece.writable ? piece.length : 0;
  }
  if (own) {
    const auto length = static_cast<std::uint32_t>(pieces.size() * desc_bytes);
    describe(q.table + head * desc_bytes, table, length, desc_indirect, 0);
  }
  const std::uint64_t entry = q.driver_area + avail_ring_offset + (q.added & (q.size - 1)) * avail_entry_bytes;
  memory_.put(entry, static_cast<std::uint16_t>(head));
  q.added = (q.added + 1) & index_mask;
  request.place0 = head;
  request.place1 = places[1];
  request.place2 = places[2];
  request.descriptors = static_cast<std::uint32_t>(count);
  request.number = ++q.number;
  by_head_[head] = request;
  ++outstanding_;
  return head;
}

bool SplitRing::show() {
  PumpQueue& q = *queue_;
  const std::uint32_t count = (q.added - shown_) & index_mask;
  if (count == 0) return false;
  shown_ = q.added;
  memory_.put(q.driver_area + avail_idx_offset, static_cast<std::uint16_t>(q.added));
  if (q.event_index == 0) {
    return (memory_.get<std::uint16_t>(q.device_area + used_flags_offset) & used_no_notify) == 0;
  }
  const auto event = memory_.get<std::uint16_t>(q.device_area + used_ring_offset + q.size * used_entry_bytes);
  return ((q.added - event - 1) & index_mask) < count;
}

SplitRing::Taken SplitRing::take(PumpRequest& request, std::uint32_t& written) {
  PumpQueue& q = *queue_;
  const std::uint32_t pending = (used_index() - q.last_used) & index_mask;
  if (pending == 0) return Taken::NOTHING;
  const std::uint64_t entry = q.device_area + used_ring_offset + (q.last_used & (q.size - 1)) * used_entry_bytes;
  const auto head = memory_.get<std::uint32_t>(entry);
  written = memory_.get<std::uint32_t>(entry + 4);
  if (pending > outstanding_ || head >= q.size || by_head_[head].number == 0) return Taken::NONSENSE;
  request = by_head_[head];
  if (written > request.room) return Taken::NONSENSE;
  by_head_[head].number = 0;
  --outstanding_;
  q.last_used = (q.last_used + 1) & index_mask;
  const std::uint32_t places[3] = {request.place0, request.place1, request.place2};
  for (std::uint32_t i = 0; i < request.descriptors; ++i) free_.push_back(static_cast<std::uint16_t>(places[i]));
  return Taken::ONE;
}

void SplitRing::ask() {
  PumpQueue& q = *queue_;
  if (q.event_index == 0) return;
  const std::uint64_t most = std::max<std::uint64_t>(1, outstanding_);
  const std::uint64_t after = std::clamp<std::uint64_t>(q.interrupt_after, 1, most);
  memory_.put(q.driver_area + avail_ring_offset + q.size * avail_entry_bytes,
              static_cast<std::uint16_t>(q.last_used + after - 1));
}

void SplitRing::give_back() {
  std::copy(free_.begin(), free_.end(), reinterpret_cast<std::uint16_t*>(queue_->free_array));
  queue_->free_count = static_cast<std::uint32_t>(free_.size());
  auto* requests = reinterpret_cast<PumpRequest*>(queue_->outstanding_array);
  auto* const end = std::copy_if(by_head_.begin(), by_head_.end(), requests,
                                 [](const PumpRequest& request) { return request.number != 0; });
  std::sort(requests, end, [](const PumpRequest& a, const PumpRequest& b) { return a.number < b.number; });
  queue_->outstanding_count = static_cast<std::uint32_t>(end - requests);
}

}  // namespace rw
