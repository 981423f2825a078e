#include "pump.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rw {

Pump::Pump(Shared& shared, Cpu& cpu, PumpSetup& setup)
    : shared_(shared),
      cpu_(cpu),
      setup_(setup),
      memory_{reinterpret_cast<std::uint8_t*>(setup.memory_array), setup.memory_address} {
  auto* queues = reinterpret_cast<PumpQueue*>(setup.queues_array);
  for (std::uint64_t i = 0; i < setup.queue_count; ++i) {
    rings_.emplace_back(queues[i], memory_);
    in_flight_ += rings_.back().outstanding();
  }
}

bool Pump::takes(std::uint64_t address, std::uint64_t data) {
  if (state_ != State::RUNNING) return false;
  for (SplitRing& ring : rings_) {
    const PumpQueue& queue = ring.queue();
    if (queue.message_address != address || queue.message_data != data) continue;
    ++ring.queue().interrupts;
    woken_.push_back(&ring);
    return true;
  }
  return false;
}

void Pump::service() {
  bool sense = true;
  for (SplitRing* ring : std::exchange(woken_, {})) {
    if (!ring->used_pending()) {
      ++ring->queue().spurious;
    } else {
      sense = take_used(*ring) && sense;
    }
  }
  if (sense) fill();
  if (!sense) {
    state_ = State::LOST;
  } else if (in_flight_ == 0) {
    state_ = State::FINISHED;
  } else if (done_ < setup_.batch) {
    return;
  }
  shared_.event(EventKind::PUMP, state_ == State::FINISHED ? 1 : state_ == State::LOST ? 2 : 0, done_, 0);
}

// False when the ring is not as it can be; then what makes no sense is left in it.
bool Pump::take_used(SplitRing& ring) {
  PumpRequest request;
  std::uint32_t written = 0;
  SplitRing::Taken taken;
  while ((taken = ring.take(request, written)) == SplitRing::Taken::ONE) {
    --in_flight_;
    shared_.timeline.add(TimelineKind::TAKEN, ring_event(ring, request.number, 0, written));
    ended(ring, request, written);
  }
  ring.ask();
  return taken == SplitRing::Taken::NOTHING;
}

void Pump::report(const PumpRequest& request, std::uint32_t status, std::uint32_t written, const std::uint8_t* bytes) {
  auto* row = reinterpret_cast<PumpDone*>(setup_.done_array) + done_;
  *row = {request.operation, request.block, request.started, shared_.now, status, written};
  if (bytes != nullptr) {
    std::memcpy(reinterpret_cast<std::uint8_t*>(setup_.data_array) + done_ * setup_.row_bytes, bytes, setup_.row_bytes);
  }
  ++done_;
}

void Pump::add(SplitRing& ring, PumpRequest request, std::span<const SplitRing::Piece> pieces) {
  request.started = shared_.now;  // the notification goes in the same cycle
  const std::uint32_t head = ring.add(request, pieces);
  ++in_flight_;
  if (!shared_.timeline.on()) return;
  std::uint32_t bytes = 0;
  for (const SplitRing::Piece& piece : pieces) bytes += piece.length;
  shared_.timeline.add(TimelineKind::ADDED, ring_event(ring, ring.queue().number, head, bytes));
}

void Pump::kick(SplitRing& ring) {
  const bool rings = ring.show();
  shared_.timeline.add(TimelineKind::SHOWN, ring_event(ring, rings, 0, 0));
  if (!rings) return;
  PumpQueue& q = ring.queue();
  ++q.kicks;
  const std::uint32_t value = q.index | (q.doorbell_carries_index != 0 ? q.added << 16 : 0u);
  const std::uint32_t length = q.doorbell_carries_index != 0 ? 4 : 2;
  cpu_.submit(RequestKind::MEMORY_WRITE, q.doorbell, length, 0, reinterpret_cast<const std::uint8_t*>(&value));
}

TimelineEvent Pump::ring_event(const SplitRing& ring, std::uint64_t number, std::uint32_t head,
                               std::uint32_t bytes) const {
  return {shared_.now, shared_.now, number, 0, ring.queue().queue, head, bytes, 0, 0};
}

std::uint64_t Pump::take_done() { return std::exchange(done_, 0); }

void Pump::stop() {
  if (state_ == State::STOPPED) return;
  state_ = State::STOPPED;
  woken_.clear();
  give_back();
  for (SplitRing& ring : rings_) ring.give_back();
}

}  // namespace rw
