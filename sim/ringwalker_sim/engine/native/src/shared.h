// What all parts of the host share: time, parameters, counters, events, and the complaints about the device.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "capture.h"
#include "spec.h"
#include "timeline.h"

namespace rw {

class Shared {
 public:
  explicit Shared(const Parameters& p) : parameters(p) {}

  Parameters parameters;
  Stats stats{};
  std::uint64_t now = 0;
  bool stop = false;  // an event wants Python's attention
  std::deque<Event> events{};
  Timeline timeline{};
  Capture tlps{};
  Capture frames{};

  void event(EventKind kind, std::uint32_t status, std::uint64_t a, std::uint64_t b);

  // The device broke a rule. The text gets the cycle in front.
  void violation(const char* format, ...) __attribute__((format(printf, 2, 3)));

  // The oldest complaint not fetched yet; false when there is none.
  bool take_violation(std::string& text);

 private:
  static constexpr std::size_t most_events = 65536;
  static constexpr std::size_t most_violations = 100;
  std::deque<std::string> violations_{};
};

}  // namespace rw
