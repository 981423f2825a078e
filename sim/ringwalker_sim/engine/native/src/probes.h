// What the stages of the walkers do, as a device with probes shows it. It drives nothing.
#pragma once

#include "peripheral.h"

namespace rw {

class Probes final : public Peripheral {
 public:
  explicit Probes(Board& board) : Peripheral(board) {}

  void transfer() override;
  void drive() override {}
  bool calm() const override { return true; }
  void reset() override {}

 private:
  port::probes::Payload words_{};
};

}  // namespace rw
