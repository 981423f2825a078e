// What happened, event by event, for whoever wants to see it afterwards. Off, it costs a look at a flag.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "spec.h"

namespace rw {

class Timeline {
 public:
  bool on() const { return left_ != 0; }

  // Records so many events more; 0 switches it off.
  void record(std::uint64_t most) { left_ = most; }

  void add(TimelineKind kind, TimelineEvent event) {
    if (!on()) return;
    event.kind = static_cast<std::uint32_t>(kind);
    events_.push_back(event);
    --left_;
  }

  std::size_t size() const { return events_.size(); }

  // Moves all events to out, which has room for size().
  void take(TimelineEvent* out) {
    std::copy(events_.begin(), events_.end(), out);
    events_.clear();
  }

 private:
  std::vector<TimelineEvent> events_{};
  std::uint64_t left_ = 0;
};

}  // namespace rw
