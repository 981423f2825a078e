// Keeps the buffers of frames in flight on one queue, a batch for each notification: what performance/frames.py does.
#pragma once

#include <deque>

#include "pump.h"

namespace rw {

class FramePump final : public Pump {
 public:
  // What load points to lives until stop, too. setup has one queue.
  FramePump(Shared& shared, Cpu& cpu, PumpSetup& setup, FrameLoad& load);

 private:
  void ended(const SplitRing& ring, const PumpRequest& request, std::uint32_t written) override;
  void fill() override;
  void give_back() override;

  FrameLoad& given_;
  const FrameLoad load_;
  std::deque<std::uint32_t> free_;  // numbers of buffers
  std::uint64_t left_;              // buffers still to be added
};

}  // namespace rw
