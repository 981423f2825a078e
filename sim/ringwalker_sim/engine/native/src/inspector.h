// Looks at the variables of a change-driven model after every edge: which have changed, and whether they are what
// the plain model makes of them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model_steps.h"
#include "pins.h"
#include "shared.h"

namespace rw {

class Inspector {
 public:
  Inspector(Shared& shared, Pins& pins) : shared_(shared), pins_(pins) {}

  // From now on a plain model gets the same inputs, and what differs is a violation. Before the first cycle.
  void compare(VerilatedContext& context);

  // From now on notes which variables change, in the first so many cycles of every period.
  void record(std::uint64_t cycles, std::uint64_t period);

  bool active() const { return plain_ != nullptr || period_ != 0; }

  // After every edge.
  void edge();

  // How many cycles were noted, and for a variable a bit for each, lowest first: whether it changed.
  std::uint64_t recorded() const { return recorded_; }
  const std::vector<std::uint8_t>& changes(std::size_t signal) const { return changes_[signal]; }

 private:
  static constexpr unsigned most_different = 5;
  static constexpr std::size_t most_padding = 8;
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  const std::uint8_t* model() const { return reinterpret_cast<const std::uint8_t*>(pins_.root()); }
  void follow();
  bool same() const;
  void note();

  Shared& shared_;
  Pins& pins_;
  std::unique_ptr<Vringwalker> plain_{};
  std::vector<Range> ranges_{};  // of signals with nothing but padding between them
  std::uint64_t evaluations_ = 0;
  std::uint64_t cycles_ = 0;
  std::uint64_t period_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t recorded_ = 0;
  std::vector<std::uint8_t> before_{};
  std::vector<std::vector<std::uint8_t>> changes_{};
};

}  // namespace rw
