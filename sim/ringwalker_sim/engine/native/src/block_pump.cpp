#include "block_pump.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace rw {
namespace {

constexpr std::uint16_t index_mask = 0xffff;
constexpr std::uint64_t table_rows = 16;  // descriptors in the indirect table of each ring entry
constexpr std::size_t words_bytes = 32;

}  // namespace

template <class Number>
Number BlockPump::get(std::uint64_t address) {
  Number value;
  std::memcpy(&value, at(address), sizeof value);
  return value;
}

template <class Number>
void BlockPump::put(std::uint64_t address, Number value) {
  std::memcpy(at(address), &value, sizeof value);
}

void BlockPump::start(PumpSetup& setup) {
  given_ = &setup;
  setup_ = setup;
  memory_ = reinterpret_cast<std::uint8_t*>(setup.memory_array);
  const auto* buffers = reinterpret_cast<const std::uint64_t*>(setup.buffers_array);
  buffers_.assign(buffers, buffers + setup.buffer_count);
  next_ = setup.next;
  turn_ = setup.turn;
  in_flight_ = done_ = 0;
  woken_.clear();
  busy_.clear();
  place_.reset();
  if (setup.held != 0) {
    place_ = setup.held_block;
    ++busy_[setup.held_block];
  }
  queues_.clear();
  auto* queues = reinterpret_cast<PumpQueue*>(setup.queues_array);
  for (std::uint64_t i = 0; i < setup.queue_count; ++i) {
    PumpQueue& q = queues[i];
    const auto* free = reinterpret_cast<const std::uint16_t*>(q.free_array);
    const auto* slots = reinterpret_cast<const std::uint16_t*>(q.slots_array);
    const auto* requests = reinterpret_cast<const PumpRequest*>(q.outstanding_array);
    queues_.push_back({&q, {free, free + q.free_count}, {slots, slots + q.slot_count}, {}, 0});
    queues_.back().requests.assign(requests, requests + q.outstanding_count);
    for (const PumpRequest& request : queues_.back().requests) ++busy_[request.block];
    in_flight_ += q.outstanding_count;
  }
  state_ = State::RUNNING;
}

bool BlockPump::takes(std::uint64_t address, std::uint64_t data) {
  if (state_ != State::RUNNING) return false;
  for (Queue& queue : queues_) {
    if (queue.shared->message_address != address || queue.shared->message_data != data) continue;
    woken_.push_back(&queue);
    return true;
  }
  return false;
}

bool BlockPump::used_pending(const Queue& queue) {
  const PumpQueue& q = *queue.shared;
  return get<std::uint16_t>(q.device_area + used_idx_offset) != (q.last_used & index_mask);
}

void BlockPump::service(Cpu& cpu) {
  const std::vector<Queue*> woken = std::move(woken_);
  woken_.clear();
  for (Queue* queue : woken) {
    ++queue->shared->interrupts;
    if (!used_pending(*queue)) {
      ++queue->shared->spurious;
    } else if (!take_used(*queue)) {
      state_ = State::LOST;
    }
  }
  if (state_ == State::RUNNING) fill(cpu);
  tell();
}

void BlockPump::tell() {
  if (state_ == State::RUNNING && in_flight_ == 0) state_ = State::FINISHED;
  if (state_ == State::RUNNING && done_ < setup_.batch) return;
  shared_.event(EventKind::PUMP, state_ == State::FINISHED ? 1 : state_ == State::LOST ? 2 : 0, done_, 0);
}

// False when the ring is not as it can be; then what makes no sense is left in it.
bool BlockPump::take_used(Queue& queue) {
  PumpQueue& q = *queue.shared;
  for (;;) {
    const std::uint16_t used = get<std::uint16_t>(q.device_area + used_idx_offset);
    const auto pending = static_cast<std::uint16_t>(used - q.last_used);
    if (pending == 0) return true;
    const std::uint64_t entry = q.device_area + used_ring_offset + (q.last_used & (q.size - 1)) * used_entry_bytes;
    const auto head = get<std::uint32_t>(entry), written = get<std::uint32_t>(entry + 4);
    const auto found = std::find_if(queue.requests.begin(), queue.requests.end(),
                                    [head](const PumpRequest& request) { return request.place0 == head; });
    if (pending > queue.requests.size() || found == queue.requests.end() || written > found->room) return false;
    const PumpRequest request = *found;
    queue.requests.erase(found);
    q.last_used = (q.last_used + 1) & index_mask;
    const std::uint32_t places[3] = {request.place0, request.place1, request.place2};
    for (unsigned i = 0; i < descriptors(queue); ++i) queue.free.push_back(static_cast<std::uint16_t>(places[i]));
    if (q.event_index != 0) {
      put(q.driver_area + avail_ring_offset + q.size * avail_entry_bytes, static_cast<std::uint16_t>(q.last_used));
    }
    ended(queue, request, written);
  }
}

void BlockPump::ended(Queue& queue, const PumpRequest& request, std::uint32_t written) {
  const std::uint8_t status = *at(queue.shared->statuses + request.slot);
  queue.slots.push_back(static_cast<std::uint16_t>(request.slot));
  const PumpOperation& what = operation(request.operation);
  auto* done = reinterpret_cast<PumpDone*>(setup_.done_array) + done_;
  *done = {request.operation, request.block, request.started, shared_.now, status, written};
  if (what.kind == static_cast<std::uint32_t>(BlkRequestType::IN)) {
    auto* row = reinterpret_cast<std::uint8_t*>(setup_.data_array) + done_ * setup_.block_bytes;
    std::memcpy(row, at(request.buffer), what.length);
  }
  ++done_;
  --in_flight_;
  buffers_.push_back(request.buffer);
  if (setup_.exclusive == 0) return;
  const auto busy = busy_.find(request.block);
  if (--busy->second == 0) busy_.erase(busy);
}

// Finds place_ for the next operation; false when there is none, or none before another has ended.
bool BlockPump::next_place() {
  if (place_) return true;
  if (next_ == setup_.operation_count) return false;
  std::uint64_t block = operation(next_).block;
  if (setup_.exclusive != 0) {
    if (busy_.size() == setup_.blocks) return false;
    while (busy_.count(block) != 0) {
      if (setup_.moving == 0) return false;
      block = block + 1 == setup_.blocks ? 0 : block + 1;
    }
    ++busy_[block];
  }
  place_ = block;
  return true;
}

BlockPump::Queue* BlockPump::queue_with_room() {
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[turn_];
    turn_ = turn_ + 1 == queues_.size() ? 0 : turn_ + 1;
    if (queue.free.size() >= descriptors(queue)) return &queue;
  }
  return nullptr;
}

void BlockPump::fill(Cpu& cpu) {
  while (!buffers_.empty() && next_place()) {
    Queue* queue = queue_with_room();
    if (queue == nullptr) break;
    add(*queue);
  }
  for (Queue& queue : queues_) {
    if (queue.unkicked != 0) kick(queue, cpu);
  }
}

void BlockPump::write_data(std::uint64_t buffer, const PumpOperation& what) {
  std::uint8_t* data = at(buffer);
  if (what.kind != static_cast<std::uint32_t>(BlkRequestType::OUT)) {
    std::memset(data, static_cast<int>(setup_.poison), what.length);
    return;
  }
  const std::uint64_t stamp = next_ + 1;
  const std::uint64_t from = (stamp * setup_.stamp_factor + *place_ * setup_.block_factor) % setup_.pattern_bytes;
  std::memcpy(data, reinterpret_cast<const std::uint8_t*>(setup_.pattern_array) + from, what.length);
  char words[words_bytes + 1];
  std::snprintf(words, sizeof words, "%16llx%16llx", static_cast<unsigned long long>(*place_),
                static_cast<unsigned long long>(stamp));
  std::memcpy(data, words, words_bytes);
}

// Adds the next operation to a queue that has room for it: header, data, status.
void BlockPump::add(Queue& queue) {
  PumpQueue& q = *queue.shared;
  const PumpOperation& what = operation(next_);
  const bool out = what.kind == static_cast<std::uint32_t>(BlkRequestType::OUT);
  PumpRequest request{};
  request.operation = next_;
  request.block = *place_;
  request.buffer = buffers_.back();
  buffers_.pop_back();
  write_data(request.buffer, what);
  request.slot = queue.slots.back();
  queue.slots.pop_back();
  const std::uint64_t header = q.headers + request.slot * blk_header_bytes;
  const std::uint64_t status = q.statuses + request.slot;
  put<std::uint32_t>(header, what.kind);
  put<std::uint64_t>(header + 8, *place_ * (setup_.block_bytes / sector_bytes));
  *at(status) = 0xff;
  request.room = 1 + (out ? 0 : what.length);
  std::uint16_t places[3] = {};
  for (unsigned i = 0; i < descriptors(queue); ++i) {
    places[i] = queue.free.front();
    queue.free.pop_front();
  }
  const std::uint16_t head = places[0];
  request.place0 = head;
  request.place1 = places[1];
  request.place2 = places[2];
  const auto describe = [this](std::uint64_t row, std::uint64_t address, std::uint32_t length, unsigned flags,
                               std::uint16_t following) {
    put(row, address);
    put(row + 8, length);
    put(row + 12, static_cast<std::uint16_t>(flags));
    put(row + 14, following);
  };
  const std::uint64_t addresses[3] = {header, request.buffer, status};
  const std::uint32_t lengths[3] = {blk_header_bytes, what.length, 1};
  const unsigned writes[3] = {0, out ? 0u : desc_write, desc_write};
  const std::uint64_t own_table = q.indirect_tables + head * table_rows * desc_bytes;
  for (unsigned i = 0; i < 3; ++i) {
    const bool last = i == 2;
    const std::uint64_t row = q.indirect != 0 ? own_table + i * desc_bytes : q.table + places[i] * desc_bytes;
    const auto following = static_cast<std::uint16_t>(last ? 0 : q.indirect != 0 ? i + 1 : places[i + 1]);
    describe(row, addresses[i], lengths[i], writes[i] | (last ? 0 : desc_next), following);
  }
  if (q.indirect != 0) describe(q.table + head * desc_bytes, own_table, 3 * desc_bytes, desc_indirect, 0);
  put(q.driver_area + avail_ring_offset + (q.added & (q.size - 1)) * avail_entry_bytes, head);
  q.added = (q.added + 1) & index_mask;
  ++q.number;
  queue.requests.push_back(request);
  ++queue.unkicked;
  ++in_flight_;
  ++next_;
  place_.reset();
}

// Shows the device what was added, and notifies it unless it suppresses that.
void BlockPump::kick(Queue& queue, Cpu& cpu) {
  PumpQueue& q = *queue.shared;
  const auto count = static_cast<std::uint16_t>(queue.unkicked);
  for (std::size_t i = queue.requests.size() - count; i < queue.requests.size(); ++i) {
    queue.requests[i].started = shared_.now;
  }
  queue.unkicked = 0;
  put(q.driver_area + avail_idx_offset, static_cast<std::uint16_t>(q.added));
  if (q.event_index != 0) {
    const auto event = get<std::uint16_t>(q.device_area + used_ring_offset + q.size * used_entry_bytes);
    if (static_cast<std::uint16_t>(q.added - event - 1) >= count) return;
  } else if ((get<std::uint16_t>(q.device_area + used_flags_offset) & used_no_notify) != 0) {
    return;
  }
  ++q.kicks;
  const std::uint32_t value = q.index | (q.doorbell_carries_index != 0 ? q.added << 16 : 0u);
  const std::uint32_t length = q.doorbell_carries_index != 0 ? 4 : 2;
  cpu.submit(RequestKind::MEMORY_WRITE, q.doorbell, length, 0, reinterpret_cast<const std::uint8_t*>(&value));
}

std::uint64_t BlockPump::take_done() { return std::exchange(done_, 0); }

void BlockPump::stop() {
  if (state_ == State::STOPPED) return;
  state_ = State::STOPPED;
  woken_.clear();
  given_->next = next_;
  given_->turn = turn_;
  given_->held = place_ ? 1 : 0;
  given_->held_block = place_.value_or(0);
  given_->buffer_count = buffers_.size();
  std::copy(buffers_.begin(), buffers_.end(), reinterpret_cast<std::uint64_t*>(setup_.buffers_array));
  for (Queue& queue : queues_) {
    PumpQueue& q = *queue.shared;
    std::copy(queue.free.begin(), queue.free.end(), reinterpret_cast<std::uint16_t*>(q.free_array));
    std::copy(queue.slots.begin(), queue.slots.end(), reinterpret_cast<std::uint16_t*>(q.slots_array));
    std::copy(queue.requests.begin(), queue.requests.end(), reinterpret_cast<PumpRequest*>(q.outstanding_array));
    q.free_count = static_cast<std::uint32_t>(queue.free.size());
    q.slot_count = static_cast<std::uint32_t>(queue.slots.size());
    q.outstanding_count = static_cast<std::uint32_t>(queue.requests.size());
  }
  queues_.clear();
}

}  // namespace rw
