#include "frame_pump.h"

#include <algorithm>

namespace rw {

FramePump::FramePump(Shared& shared, Cpu& cpu, PumpSetup& setup, FrameLoad& load)
    : Pump(shared, cpu, setup), given_(load), load_(load), left_(load.left) {
  const auto* free = reinterpret_cast<const std::uint32_t*>(load.buffers_array);
  free_.assign(free, free + load.buffer_count);
}

void FramePump::ended(const SplitRing&, const PumpRequest& request, std::uint32_t written) {
  const bool received = load_.writable != 0;
  report(request, 0, written, received ? memory().at(request.buffer + load_.header_bytes) : nullptr);
  free_.push_back(static_cast<std::uint32_t>(request.operation));
}

void FramePump::fill() {
  SplitRing& ring = rings().front();
  while (left_ != 0 && free_.size() >= std::min(load_.together, left_)) {
    const std::uint64_t count = std::min(load_.together, left_);
    for (std::uint64_t i = 0; i < count; ++i) {
      PumpRequest request;
      request.operation = free_.front();
      request.buffer = load_.first_buffer + load_.stride * request.operation;
      free_.pop_front();
      const SplitRing::Piece piece{request.buffer, static_cast<std::uint32_t>(load_.length), load_.writable != 0};
      add(ring, request, {&piece, 1});
    }
    left_ -= count;
    kick(ring);
  }
}

void FramePump::give_back() {
  given_.left = left_;
  given_.buffer_count = free_.size();
  std::copy(free_.begin(), free_.end(), reinterpret_cast<std::uint32_t*>(load_.buffers_array));
}

}  // namespace rw
