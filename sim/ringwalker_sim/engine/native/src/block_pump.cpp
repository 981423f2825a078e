#include "block_pump.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace rw {
namespace {

constexpr std::size_t words_bytes = 32;
constexpr std::uint8_t no_status = 0xff;

bool writes(const PumpOperation& operation) {
  return operation.kind == static_cast<std::uint32_t>(BlkRequestType::OUT);
}

}  // namespace

BlockPump::BlockPump(Shared& shared, Cpu& cpu, PumpSetup& setup, BlockLoad& load)
    : Pump(shared, cpu, setup),
      given_(load),
      load_(load),
      queues_(reinterpret_cast<BlockQueue*>(load.block_queues_array)),
      next_(load.next),
      turn_(load.turn) {
  const auto* buffers = reinterpret_cast<const std::uint64_t*>(load.buffers_array);
  buffers_.assign(buffers, buffers + load.buffer_count);
  if (load.held != 0) {
    place_ = load.held_block;
    ++busy_[load.held_block];
  }
  for (const SplitRing& ring : rings()) {
    const BlockQueue& queue = queues_[number_of(ring)];
    const auto* slots = reinterpret_cast<const std::uint16_t*>(queue.slots_array);
    slots_.emplace_back(slots, slots + queue.slot_count);
    const auto* requests = reinterpret_cast<const PumpRequest*>(ring.queue().outstanding_array);
    for (std::size_t i = 0; i < ring.outstanding(); ++i) ++busy_[requests[i].block];
  }
}

void BlockPump::ended(const SplitRing& ring, const PumpRequest& request, std::uint32_t written) {
  const std::size_t number = number_of(ring);
  const std::uint8_t status = *memory().at(queues_[number].statuses + request.slot);
  slots_[number].push_back(static_cast<std::uint16_t>(request.slot));
  const bool read = operation(request.operation).kind == static_cast<std::uint32_t>(BlkRequestType::IN);
  report(request, status, written, read ? memory().at(request.buffer) : nullptr);
  buffers_.push_back(request.buffer);
  if (load_.exclusive == 0) return;
  const auto busy = busy_.find(request.block);
  if (--busy->second == 0) busy_.erase(busy);
}

// Finds place_ for the next operation; false when there is none, or none before another has ended.
bool BlockPump::next_place() {
  if (place_) return true;
  if (next_ == load_.operation_count) return false;
  std::uint64_t block = operation(next_).block;
  if (load_.exclusive != 0) {
    if (busy_.size() == load_.blocks) return false;
    while (busy_.count(block) != 0) {
      if (load_.moving == 0) return false;
      block = block + 1 == load_.blocks ? 0 : block + 1;
    }
    ++busy_[block];
  }
  place_ = block;
  return true;
}

SplitRing* BlockPump::ring_with_room() {
  for (std::size_t i = 0; i < rings().size(); ++i) {
    SplitRing& ring = rings()[turn_];
    turn_ = turn_ + 1 == rings().size() ? 0 : turn_ + 1;
    if (ring.has_room(blk_pieces)) return &ring;
  }
  return nullptr;
}

void BlockPump::fill() {
  while (!buffers_.empty() && next_place()) {
    SplitRing* ring = ring_with_room();
    if (ring == nullptr) break;
    add_next(*ring);
  }
  for (SplitRing& ring : rings()) kick(ring);
}

void BlockPump::write_data(std::uint64_t buffer, const PumpOperation& what) {
  std::uint8_t* data = memory().at(buffer);
  if (!writes(what)) {
    std::memset(data, static_cast<int>(load_.poison), what.length);
    return;
  }
  const std::uint64_t stamp = next_ + 1;
  const std::uint64_t from = (stamp * load_.stamp_factor + *place_ * load_.block_factor) % load_.pattern_bytes;
  std::memcpy(data, reinterpret_cast<const std::uint8_t*>(load_.pattern_array) + from, what.length);
  char words[words_bytes + 1];
  std::snprintf(words, sizeof words, "%16llx%16llx", static_cast<unsigned long long>(*place_),
                static_cast<unsigned long long>(stamp));
  std::memcpy(data, words, words_bytes);
}

// Adds the next operation to a ring that has room for it: header, data, status.
void BlockPump::add_next(SplitRing& ring) {
  const PumpOperation& what = operation(next_);
  const BlockQueue& queue = queues_[number_of(ring)];
  std::vector<std::uint16_t>& slots = slots_[number_of(ring)];
  PumpRequest request;
  request.operation = next_;
  request.block = *place_;
  request.buffer = buffers_.back();
  buffers_.pop_back();
  write_data(request.buffer, what);
  request.slot = slots.back();
  slots.pop_back();
  const std::uint64_t header = queue.headers + request.slot * blk_header_bytes;
  const std::uint64_t status = queue.statuses + request.slot;
  memory().put<std::uint32_t>(header, what.kind);
  memory().put<std::uint64_t>(header + 8, *place_ * (setup().row_bytes / sector_bytes));
  *memory().at(status) = no_status;
  const std::array<SplitRing::Piece, blk_pieces> pieces{{
      {header, blk_header_bytes, false},
      {request.buffer, what.length, !writes(what)},
      {status, 1, true},
  }};
  add(ring, request, pieces);
  ++next_;
  place_.reset();
}

void BlockPump::give_back() {
  given_.next = next_;
  given_.turn = turn_;
  given_.held = place_ ? 1 : 0;
  given_.held_block = place_.value_or(0);
  given_.buffer_count = buffers_.size();
  std::copy(buffers_.begin(), buffers_.end(), reinterpret_cast<std::uint64_t*>(load_.buffers_array));
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    std::copy(slots_[i].begin(), slots_[i].end(), reinterpret_cast<std::uint16_t*>(queues_[i].slots_array));
    queues_[i].slot_count = static_cast<std::uint32_t>(slots_[i].size());
  }
}

}  // namespace rw
